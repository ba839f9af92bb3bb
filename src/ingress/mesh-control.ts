// The mesh over gRPC, for whoever runs the node: invite, revoke, leave, and how it stands.

import type { Log } from "../telemetry/logger.ts";
import {
  type Invited,
  type InviteRequest,
  type Mesh,
  MeshControlDefinition,
  type Revoked,
  type RevokeRequest,
} from "../wire/gen/builder/node/v1/node.ts";
import { unary } from "./handlers.ts";
import { type Service, service } from "./services.ts";

/** What a node does for whoever runs it. Errors as the service's definition says. */
export interface MeshControl {
  invite(what: InviteRequest): Invited;
  revoke(member: string): Promise<Revoked>;
  /** Resolves at once; the node stops by itself. */
  leave(): void;
  describe(): Mesh;
}

/** The service. */
export function meshControlService(control: MeshControl, log: Log): Service {
  return service(MeshControlDefinition, {
    invite: unary(log, async (request: InviteRequest) => control.invite(request)),
    revoke: unary(log, async ({ member }: RevokeRequest) => control.revoke(member)),
    leave: unary(log, async () => {
      control.leave();
      return {};
    }),
    getMesh: unary(log, async () => control.describe()),
  });
}
