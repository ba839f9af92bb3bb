// Meshes of the local network, by multicast DNS (RFC 6762, 6763). What is heard is what anybody
// there may say: good to show and to dial, never to believe.

import multicastDns from "multicast-dns";
import type { PeerId } from "../core/action.ts";
import type { Log } from "../telemetry/logger.ts";

/** What a node says of itself. */
export interface LanAnnouncement {
  readonly meshName: string;
  /** The authority's public key, base64url. */
  readonly meshId: string;
  /** The node's name. */
  readonly node: string;
  readonly peer: PeerId;
  /** Port for other nodes. */
  readonly port: number;
  /** Port for builds; 0 where only its own machine can build there. */
  readonly remotePort: number;
  /** True where builds there speak TLS. */
  readonly tls: boolean;
}

/** A node that was heard. */
export interface LanNode extends LanAnnouncement {
  /** IP address that it spoke from. */
  readonly host: string;
}

/** Where to speak and listen; the defaults are those of multicast DNS. */
export interface LanOptions {
  /** UDP port; 5353. */
  readonly port?: number;
  /** IP address of one interface; all of them when left out. */
  readonly interface?: string;
}

const serviceName = "_builder-mesh._tcp.local";
/** Seconds for which others may remember an announcement. */
const ttl = 120;
/** Bound: nodes heard at once. */
const nodesMax = 256;
/** Bound: characters of one field. */
const textMax = 128;
/** Bound: bytes of one line of a TXT record (RFC 1035: 255). */
const lineBytesMax = 255;

/** Answers whoever looks for meshes, until stopped. A network without multicast is no error. */
export function announceOnLan(
  log: Log,
  says: LanAnnouncement,
  options: LanOptions = {},
): { stop(): void } {
  const socket = open(log, options);
  const instance = `${says.peer.slice(-16)}.${serviceName}`;
  const texts = [
    ...[`mesh=${says.meshName}`, `id=${says.meshId}`, `node=${says.node}`, `peer=${says.peer}`],
    ...[`remote=${says.remotePort}`, `tls=${says.tls ? 1 : 0}`],
  ].map((text) => Buffer.from(text).subarray(0, lineBytesMax));
  socket.on("query", ({ questions = [] }) => {
    if (!questions.some(({ name }) => name.toLowerCase() === serviceName)) return;
    const target = `${says.peer.slice(-16)}.local`;
    socket.respond([
      { name: serviceName, type: "PTR", ttl, data: instance },
      { name: instance, type: "SRV", ttl, data: { port: says.port, target } },
      { name: instance, type: "TXT", ttl, data: texts },
    ]);
  });
  return { stop: () => socket.destroy() };
}

/** The nodes that answer within `ms`. None where there is no multicast. */
export async function findOnLan(
  log: Log,
  ms: number,
  options: LanOptions = {},
): Promise<LanNode[]> {
  const socket = open(log, options);
  const foundByPeer = new Map<PeerId, LanNode>();
  socket.on("response", ({ answers = [] }, { address }) => {
    const node = parse(answers, address);
    if (node !== undefined && foundByPeer.size < nodesMax) foundByPeer.set(node.peer, node);
  });
  const ask = () => socket.query(serviceName, "PTR");
  socket.on("ready", ask);
  // A datagram may be lost: once more half-way.
  const again = setTimeout(ask, ms / 2);
  await new Promise((resolve) => setTimeout(resolve, ms));
  clearTimeout(again);
  socket.destroy();
  return [...foundByPeer.values()];
}

function open(log: Log, options: LanOptions) {
  const socket = multicastDns(options);
  const onTrouble = (error: Error) => log("debug", `Multicast DNS: ${error.message}`);
  socket.on("error", onTrouble);
  // Packets of others that make no sense, and networks that have no multicast.
  socket.on("warning", onTrouble);
  return socket;
}

type Answers = Parameters<ReturnType<typeof multicastDns>["respond"]>[0];

/** A response about our service; undefined for any other, and for one that makes no sense. */
function parse(answers: Extract<Answers, unknown[]>, host: string): LanNode | undefined {
  const own = answers.filter(({ name }) => name.toLowerCase().endsWith(`.${serviceName}`));
  const service = own.find((answer) => answer.type === "SRV");
  const text = own.find((answer) => answer.type === "TXT");
  if (service?.type !== "SRV" || text?.type !== "TXT") return undefined;
  const lines = Array.isArray(text.data) ? text.data : [text.data];
  const fields = new Map(lines.slice(0, 16).map((line) => split(line.toString())));
  const field = (name: string) => (fields.get(name) ?? "").slice(0, textMax);
  const remotePort = Number(field("remote"));
  const isPort = (port: number) => Number.isInteger(port) && port >= 0 && port <= 65_535;
  if (field("peer") === "" || !isPort(service.data.port) || !isPort(remotePort)) return undefined;
  return {
    ...{ meshName: field("mesh"), meshId: field("id"), node: field("node"), peer: field("peer") },
    ...{ port: service.data.port, remotePort, tls: field("tls") === "1", host },
  };
}

function split(line: string): [string, string] {
  const at = line.indexOf("=");
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
}
