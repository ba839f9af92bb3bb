// Invitations that this node gave out. Secrets are kept as hashes, and a use is on disk before the
// certificate that it buys leaves the node: a crash may waste a use, never double it.

import { join } from "node:path";
import type { PeerId } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import { hashSecret, newSecret } from "../mesh/invitation.ts";
import { readJson, writeJson } from "./state-files.ts";

/** What an invitation makes of a newcomer: `admin` also gets the key that lets others in. */
export type InviteRole = "host" | "admin";

/** An invitation as people see it. */
export interface InviteView {
  readonly role: InviteRole;
  readonly usesLeft: number;
  /** Unix ms. */
  readonly expiresAtMs: number;
}

/** The invitations of one node. */
export interface Invites {
  create(what: {
    readonly role: InviteRole;
    readonly uses: number;
    readonly expiresInMs: number;
  }): { readonly secret: Uint8Array; readonly expiresAtMs: number };
  /**
   * Counts a use by `peer`; the same peer asking again, because an answer was lost, is not counted
   * again. UNAUTHENTICATED says what is wrong with the secret.
   */
  redeem(secret: Uint8Array, peer: PeerId): InviteRole;
  /** Ends every invitation that `peer` used: it knows their secrets, and is out. */
  endThoseOf(peer: PeerId): void;
  /** Those that still let somebody in. */
  open(): readonly InviteView[];
}

/** Bounds of what is kept. */
export const inviteBounds = {
  /** Invitations kept. */
  invitesMax: 1000,
  usesMax: 1000,
  /** Longest life, in ms. */
  expiresInMsMax: 365 * 86_400_000,
  /** One that has ended is remembered this long, in ms, to tell people why it does not work. */
  rememberMs: 7 * 86_400_000,
};

interface Invite extends InviteView {
  readonly secretHash: string;
  readonly usedBy: readonly PeerId[];
}

/** The invitations kept in `folder`. Read anew each time: commands write them too. */
export function createInvites(folder: string, now: () => number): Invites {
  const path = join(folder, "invites.json");

  function load(): Invite[] {
    const remedy = "Remove it: open invitations end, members stay members.";
    const kept = readJson(path, (file) => file.list("invites").map(parseInvite), remedy) ?? [];
    return kept.filter(({ expiresAtMs }) => expiresAtMs + inviteBounds.rememberMs > now());
  }

  /** Those that ended are remembered only as long as there is room. */
  function loadWithRoom(): Invite[] {
    const invites = load();
    if (invites.length < inviteBounds.invitesMax) return invites;
    return invites.filter(({ usesLeft, expiresAtMs }) => usesLeft > 0 && expiresAtMs >= now());
  }

  return {
    create: ({ role, uses, expiresInMs }) => {
      const invites = loadWithRoom();
      checkBounds(uses, expiresInMs, invites.length);
      const secret = newSecret();
      const expiresAtMs = Math.floor((now() + expiresInMs) / 1000) * 1000;
      const secretHash = hashSecret(secret);
      invites.push({ role, usesLeft: uses, expiresAtMs, secretHash, usedBy: [] });
      writeJson(path, { invites });
      return { secret, expiresAtMs };
    },
    redeem: (secret, peer) => {
      const invites = load();
      const secretHash = hashSecret(secret);
      const invite = invites.find((kept) => kept.secretHash === secretHash);
      if (invite === undefined) throw refused("is not known here; it may be old or mistyped");
      if (invite.expiresAtMs < now()) throw refused("has expired");
      if (invite.usedBy.includes(peer)) return invite.role;
      if (invite.usesLeft < 1) throw refused("is used up");
      const used = { usesLeft: invite.usesLeft - 1, usedBy: [...invite.usedBy, peer] };
      const after = invites.map((kept) => (kept === invite ? { ...kept, ...used } : kept));
      writeJson(path, { invites: after });
      return invite.role;
    },
    endThoseOf: (peer) => {
      const invites = load();
      if (!invites.some(({ usedBy }) => usedBy.includes(peer))) return;
      const ended = invites.map((invite) =>
        invite.usedBy.includes(peer) ? { ...invite, usesLeft: 0, usedBy: [] } : invite,
      );
      writeJson(path, { invites: ended });
    },
    open: () =>
      load()
        .filter(({ usesLeft, expiresAtMs }) => usesLeft > 0 && expiresAtMs >= now())
        .map(({ role, usesLeft, expiresAtMs }) => ({ role, usesLeft, expiresAtMs })),
  };
}

function parseInvite(fields: Parameters<Parameters<typeof readJson>[1]>[0]): Invite {
  const role = fields.text("role");
  if (role !== "host" && role !== "admin") throw new Error(`"role" is wrong`);
  return {
    role,
    usesLeft: fields.number("usesLeft"),
    expiresAtMs: fields.number("expiresAtMs"),
    secretHash: fields.text("secretHash"),
    usedBy: fields.texts("usedBy"),
  };
}

function checkBounds(uses: number, expiresInMs: number, kept: number): void {
  const { usesMax, expiresInMsMax, invitesMax } = inviteBounds;
  if (!Number.isInteger(uses) || uses < 1 || uses > usesMax) {
    throw new MeshError("INVALID_ARGUMENT", `An invitation has 1 to ${usesMax} uses.`);
  }
  if (!(expiresInMs >= 1000 && expiresInMs <= expiresInMsMax)) {
    throw new MeshError("INVALID_ARGUMENT", "An invitation lasts from 1 s to 365 days.");
  }
  if (kept >= invitesMax) {
    throw new MeshError(
      "RESOURCE_EXHAUSTED",
      `There are ${invitesMax} invitations already. Give out one with more uses instead.`,
    );
  }
}

function refused(why: string): MeshError {
  return new MeshError(
    "UNAUTHENTICATED",
    `This invitation ${why}. \`builder mesh invite\` on the node that gave it out prints a new one.`,
  );
}
