// Asks a node to do something with its mesh.

import {
  type Admitted,
  type Invited,
  type Mesh,
  MeshControlDefinition,
  type RecordPage,
  type Revoked,
  type WaitingKnock,
} from "../wire/gen/builder/node/v1/node.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";
import type { Endpoint } from "./endpoint.ts";
import { callNode } from "./status-client.ts";

const { invite, revoke, leave, getMesh, scale, drain, configure, getConfiguration, readRecord } =
  grpcDefinition(MeshControlDefinition);
const { listKnocks, admit } = grpcDefinition(MeshControlDefinition);

/** The mesh of a node. Every call fails with UNAVAILABLE where none answers within 20 s. */
export interface MeshClient {
  invite(what: {
    readonly role: string;
    readonly uses: number;
    readonly expiresInMs: number;
  }): Promise<Invited>;
  revoke(member: string): Promise<Revoked>;
  knocks(): Promise<readonly WaitingKnock[]>;
  admit(code: string): Promise<Admitted>;
  leave(): Promise<void>;
  describe(): Promise<Mesh>;
  /** Keeps so many machines at least; undefined: as configured. */
  scale(machines: number | undefined): Promise<void>;
  drain(node: string, cancel: boolean): Promise<void>;
  /** What is configured about scaling, as JSON. */
  configuration(): Promise<string>;
  configure(json: string): Promise<void>;
  /** Lines of the record of scaling, from number `from` on. */
  readRecord(from: number, decisionsOnly: boolean): Promise<RecordPage>;
}

const answerMs = 20_000;

/** The mesh of the node at an address. */
export function createMeshClient(endpoint: Endpoint): MeshClient {
  return {
    invite: (what) => callNode(endpoint, invite, what, answerMs),
    revoke: (member) => callNode(endpoint, revoke, { member }, answerMs),
    knocks: async () => (await callNode(endpoint, listKnocks, {}, answerMs)).knocks,
    admit: (code) => callNode(endpoint, admit, { code }, answerMs),
    leave: async () => {
      await callNode(endpoint, leave, {}, answerMs);
    },
    describe: () => callNode(endpoint, getMesh, {}, answerMs),
    scale: async (machines) => {
      await callNode(endpoint, scale, { machines }, answerMs);
    },
    drain: async (node, cancel) => {
      await callNode(endpoint, drain, { node, cancel }, answerMs);
    },
    configuration: async () => (await callNode(endpoint, getConfiguration, {}, answerMs)).json,
    configure: async (json) => {
      await callNode(endpoint, configure, { json }, answerMs);
    },
    readRecord: (from, decisionsOnly) =>
      callNode(endpoint, readRecord, { from, limit: 0, decisionsOnly }, answerMs),
  };
}
