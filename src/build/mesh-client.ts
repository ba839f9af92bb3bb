// Asks a node to do something with its mesh.

import {
  type Invited,
  type Mesh,
  MeshControlDefinition,
  type Revoked,
} from "../wire/gen/builder/node/v1/node.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";
import type { Endpoint } from "./endpoint.ts";
import { callNode } from "./status-client.ts";

const { invite, revoke, leave, getMesh } = grpcDefinition(MeshControlDefinition);

/** The mesh of a node. Every call fails with UNAVAILABLE where none answers within 20 s. */
export interface MeshClient {
  invite(what: {
    readonly role: string;
    readonly uses: number;
    readonly expiresInMs: number;
  }): Promise<Invited>;
  revoke(member: string): Promise<Revoked>;
  leave(): Promise<void>;
  describe(): Promise<Mesh>;
}

const answerMs = 20_000;

/** The mesh of the node at an address. */
export function createMeshClient(endpoint: Endpoint): MeshClient {
  return {
    invite: (what) => callNode(endpoint, invite, what, answerMs),
    revoke: (member) => callNode(endpoint, revoke, { member }, answerMs),
    leave: async () => {
      await callNode(endpoint, leave, {}, answerMs);
    },
    describe: () => callNode(endpoint, getMesh, {}, answerMs),
  };
}
