// The mesh over gRPC, for whoever runs the node: who comes in, who goes, and how it stands.

import type { Log } from "../telemetry/logger.ts";
import {
  type AdmitRequest,
  type ConfigureRequest,
  type DrainRequest,
  type Invited,
  type InviteRequest,
  type Mesh,
  MeshControlDefinition,
  type ReadRecordRequest,
  type RecordPage,
  type Revoked,
  type RevokeRequest,
  type ScaleRequest,
  type WaitingKnock,
} from "../wire/gen/builder/node/v1/node.ts";
import { unary } from "./handlers.ts";
import { type Service, service } from "./services.ts";

/** What a node does for whoever runs it. Errors as the service's definition says. */
export interface MeshControl {
  invite(what: InviteRequest): Invited;
  revoke(member: string): Promise<Revoked>;
  knocks(): readonly WaitingKnock[];
  admit(code: string): Pick<WaitingKnock, "name" | "address">;
  /** Resolves at once; the node stops by itself. */
  leave(): void;
  describe(): Mesh;
}

/** What it does about scaling; errors likewise. */
export interface ScalingControl {
  /** Keeps so many machines at least; undefined: as configured. */
  scale(machines: number | undefined): void;
  drain(node: string, cancel: boolean): void;
  configure(json: string): void;
  configuration(): string;
  record(from: number, limit: number, decisionsOnly: boolean): RecordPage;
}

/** The service. */
export function meshControlService(control: MeshControl & ScalingControl, log: Log): Service {
  return service(MeshControlDefinition, {
    invite: unary(log, async (request: InviteRequest) => control.invite(request)),
    revoke: unary(log, async ({ member }: RevokeRequest) => control.revoke(member)),
    listKnocks: unary(log, async () => ({ knocks: [...control.knocks()] })),
    admit: unary(log, async ({ code }: AdmitRequest) => control.admit(code)),
    leave: unary(log, async () => {
      control.leave();
      return {};
    }),
    getMesh: unary(log, async () => control.describe()),
    scale: unary(log, async ({ machines }: ScaleRequest) => {
      control.scale(machines);
      return {};
    }),
    drain: unary(log, async ({ node, cancel }: DrainRequest) => {
      control.drain(node, cancel);
      return {};
    }),
    configure: unary(log, async ({ json }: ConfigureRequest) => {
      control.configure(json);
      return {};
    }),
    getConfiguration: unary(log, async () => ({ json: control.configuration() })),
    readRecord: unary(log, async ({ from, limit, decisionsOnly }: ReadRecordRequest) =>
      control.record(from, limit, decisionsOnly),
    ),
  });
}
