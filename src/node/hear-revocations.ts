// What a member does once it hears who was put out of the mesh, whether it serves or works.

import type { PeerId } from "../core/action.ts";
import { failureOf } from "../core/error.ts";
import type { Revocations, SignedRevocation } from "../mesh/revocations.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Member } from "./member.ts";

/** Ears for revocations; `putOut` hears of each that is new and signed by the mesh. */
export function hearRevocations(
  log: Log,
  revocations: Pick<Revocations, "isRevoked" | "take">,
  putOut: (peer: PeerId, signed: SignedRevocation) => void,
) {
  return {
    isRevoked: revocations.isRevoked,
    onRevocation: (from: PeerId, signed: SignedRevocation) => {
      revocations.take(signed).then(
        (peer) => peer !== undefined && putOut(peer, signed),
        (error: unknown) => log("warn", `A revocation of ${from}: ${failureOf(error).message}`),
      );
    },
  };
}

/** Ends the links of a peer that is out: its own, and those of workers it speaks for. */
export function cutOff({ mesh, pump }: Pick<Member, "mesh" | "pump">, peer: PeerId): void {
  // The worker whose host is out must show its sponsor again, and is refused.
  mesh.recheck();
  pump.push({ kind: "revoked", peer });
}
