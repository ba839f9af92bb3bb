// A mesh host as a process of its own, for a host with a network of its own; ordered and asked over
// the IPC channel.

import { lanLinkOptions, startMeshHost } from "../../src/mesh/mesh-host.ts";

/** What the process is told; keys and certificates as base64. */
export type MeshHostOrder =
  | {
      readonly kind: "start";
      readonly key: string;
      readonly certificate: string;
      readonly meshId: string;
      readonly listen: readonly string[];
      readonly relays: boolean;
    }
  | { readonly kind: "dial"; readonly peer: string; readonly addresses: readonly string[] }
  | { readonly kind: "send"; readonly peer: string; readonly bytes: number }
  | { readonly kind: "look" };

/** What it answers to `look`. */
export interface MeshHostLook {
  readonly addresses: readonly string[];
  readonly linked: readonly string[];
  /** Links that ended. */
  readonly unlinks: number;
  readonly bytesHeard: number;
  readonly said: readonly string[];
}

const state = { unlinks: 0, bytesHeard: 0, said: [] as string[] };
let host: Awaited<ReturnType<typeof startMeshHost>> | undefined;

async function obey(order: MeshHostOrder): Promise<void> {
  if (order.kind === "start") host = await start(order);
  else if (order.kind === "dial") host?.dial(order.peer, order.addresses);
  else if (order.kind === "send") host?.send(order.peer, new Uint8Array(order.bytes));
  const [addresses, linked] = [host?.addresses() ?? [], host?.peers() ?? []];
  process.send?.({ addresses, linked, ...state } satisfies MeshHostLook);
}

function start(order: MeshHostOrder & { readonly kind: "start" }) {
  const [key, certificate, meshId] = [order.key, order.certificate, order.meshId].map(
    (text) => new Uint8Array(Buffer.from(text, "base64")),
  ) as [Uint8Array, Uint8Array, Uint8Array];
  const events = {
    linked: () => undefined,
    unlinked: () => {
      state.unlinks += 1;
    },
    undialled: () => undefined,
    message: (_: string, bytes: Uint8Array) => {
      state.bytesHeard += bytes.length;
    },
  };
  const log = (_: string, line: string) => void state.said.push(line);
  const { listen, relays } = order;
  return startMeshHost(
    { events, log, now: Date.now },
    { ...lanLinkOptions, key, certificate, meshId, listen, relays, software: "test" },
  );
}

process.on("message", (order: MeshHostOrder) => void obey(order));
process.on("disconnect", () => process.exit());
