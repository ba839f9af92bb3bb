// A node as a client reaches it: address, TLS, and what the client shows to be let in.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { checkServerIdentity, createSecureContext } from "node:tls";
import { type ChannelCredentials, type ChannelOptions, credentials, Metadata } from "@grpc/grpc-js";
import { MeshError } from "../core/error.ts";

/** Where a node is and how to speak to it. */
export interface Endpoint {
  /** HOST:PORT. */
  readonly address: string;
  /** Undefined: plain text. */
  readonly tls: ClientTls | undefined;
  /** Bearer token; undefined: none. */
  readonly token: string | undefined;
}

/** PEM texts; undefined where the system's authorities do, or where no certificate is shown. */
export interface ClientTls {
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
}

/** What people say of a node. */
export interface EndpointFlags {
  /** PEM file with the authority of the node's certificate. */
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  /** File whose first line begins with a token; `#` begins a comment. */
  readonly tokenFile?: string;
}

/**
 * Reads `[grpc://|grpcs://]HOST:PORT` and the files beside it. `token` is used where no file is
 * named. INVALID_ARGUMENT for files that cannot be read or used, and for a token that would travel
 * in plain text to another machine.
 */
export function readEndpoint(
  node: string,
  flags: EndpointFlags,
  token: string | undefined,
): Endpoint {
  const [, scheme, address = ""] = /^(?:([a-z]+):\/\/)?(.*)$/.exec(node) ?? [];
  if (scheme !== undefined && scheme !== "grpc" && scheme !== "grpcs") {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${node}: a node is HOST:PORT, grpc://HOST:PORT, or grpcs://HOST:PORT for TLS.`,
    );
  }
  if (!/^(\[[0-9a-fA-F:.]+\]|[^:/\s]+):\d{1,5}$/.test(address)) {
    throw new MeshError("INVALID_ARGUMENT", `${node} is no node. It wants HOST:PORT.`);
  }
  const tls = readTls(scheme === "grpcs", flags);
  if (tls !== undefined && scheme === "grpc") {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${node} is plain text, which certificates are not for. Use grpcs://${address}.`,
    );
  }
  const shown = readToken(flags.tokenFile, token);
  if (shown !== undefined && tls === undefined && !isThisMachine(address)) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `The token would go to ${address} in plain text. Use grpcs://${address}.`,
    );
  }
  return { address, tls, token: shown };
}

/** More nodes than this are a mistake. */
const nodesMax = 16;

/**
 * Reads nodes of which any does, separated by commas; what the first says of TLS holds for those
 * that say nothing. INVALID_ARGUMENT as for `readEndpoint`, and for more than 16.
 */
export function readEndpoints(
  nodes: string,
  flags: EndpointFlags,
  token: string | undefined,
): Endpoint[] {
  const names = [...new Set(nodes.split(","))];
  if (names.length > nodesMax) {
    throw new MeshError("INVALID_ARGUMENT", `${names.length} nodes; name ${nodesMax} at most.`);
  }
  const scheme = /^[a-z]+:\/\//.exec(nodes)?.[0] ?? "";
  const withScheme = (name: string) => (name.includes("://") ? name : `${scheme}${name}`);
  return names.map((name) => readEndpoint(withScheme(name), flags, token));
}

function readTls(wanted: boolean, flags: EndpointFlags): ClientTls | undefined {
  const { tlsCa, tlsCert, tlsKey } = flags;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new MeshError("INVALID_ARGUMENT", "A client certificate wants --tls-cert and --tls-key.");
  }
  if (!wanted && tlsCa === undefined && tlsCert === undefined) return undefined;
  const tls = { ca: readFlag(tlsCa), cert: readFlag(tlsCert), key: readFlag(tlsKey) };
  try {
    if (tls.ca !== undefined) new X509Certificate(tls.ca);
  } catch (cause) {
    const message = `--tls-ca ${tlsCa} holds no PEM certificate.`;
    throw new MeshError("INVALID_ARGUMENT", message, { cause });
  }
  try {
    createSecureContext({ cert: tls.cert, key: tls.key });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/^.*:/, "") : String(cause);
    throw new MeshError(
      "INVALID_ARGUMENT",
      `--tls-cert ${tlsCert} and --tls-key ${tlsKey} cannot be used: ${why}. ` +
        "They want PEM files of a certificate and of the key that it was made for.",
      { cause },
    );
  }
  return tls;
}

/** Of a file, the first word of the first line that is no comment: a line for nodes does, too. */
function readToken(file: string | undefined, given: string | undefined): string | undefined {
  const lines = (readFlag(file)?.toString() ?? given ?? "").split("\n").map((line) => line.trim());
  const line = lines.find((text) => text !== "" && !text.startsWith("#"));
  const from = file ?? "BUILDER_TOKEN";
  if (line === undefined) {
    if (file === undefined) return undefined;
    throw new MeshError("INVALID_ARGUMENT", `${file} holds no token.`);
  }
  const [token = ""] = line.split(/\s+/);
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `The token of ${from} has characters that no header carries. Copy it again.`,
  );
}

/** What gRPC connects with. */
export function channelCredentials({ address, tls }: Endpoint): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  const { ca = null, key = null, cert = null } = tls;
  const host = hostOf(address);
  if (isIP(host) === 0) return credentials.createSsl(ca, key, cert);
  return credentials.createSsl(ca, key, cert, {
    checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
  });
}

/**
 * Channel options beside the credentials. TLS names no host that is an address (RFC 6066), which
 * Node insists on; the certificate is held against the address all the same, see above.
 */
export function channelOptions({ address, tls }: Endpoint): ChannelOptions {
  if (tls === undefined || isIP(hostOf(address)) === 0) return {};
  return { "grpc.ssl_target_name_override": "address.invalid" };
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

/** Headers that show who calls, added to `metadata`. */
export function authorized({ token }: Endpoint, metadata = new Metadata()): Metadata {
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

/** Why no connection came about, for people. */
export function unreachable({ address, tls }: Endpoint, details: string, cause: unknown) {
  return new MeshError("UNAVAILABLE", reasonOf(address, tls, details), { cause });
}

function reasonOf(address: string, tls: ClientTls | undefined, details: string): string {
  if (/self.signed|unable to (get|verify)|unknown ca/i.test(details)) {
    return `${address} shows a certificate of an authority that is not trusted here. Name its authority: --tls-ca FILE`;
  }
  if (/altnames|does not match/i.test(details)) {
    return `${address} shows a certificate for another host. Use the name that it was made for.`;
  }
  if (/certificate has expired/i.test(details)) {
    return `The certificate of ${address} has expired. Renew it and start the node again.`;
  }
  if (/certificate required|bad certificate|handshake failure/i.test(details)) {
    return `${address} wants a client certificate that it trusts: --tls-cert FILE --tls-key FILE`;
  }
  if (/wrong version number|EPROTO|packet length/i.test(details)) {
    return `${address} does not speak TLS. Use grpc://${address}, or start it with --tls-cert.`;
  }
  return `Cannot reach a builder node at ${address}. ${hintFor(tls)}`;
}

/** A node that turns a connection down after the handshake does not say why. */
function hintFor(tls: ClientTls | undefined): string {
  if (tls === undefined) {
    return "Start one with: builder serve --remote (or use grpcs:// if it speaks TLS)";
  }
  if (tls.cert === undefined) return "Is it started, and does it speak TLS?";
  return "Is it started, and is your certificate of the authority of its --tls-client-ca?";
}

function readFlag(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("INVALID_ARGUMENT", `${path} cannot be read: ${why}.`, { cause });
  }
}

/** Whether an address is of this machine's loopback. A forwarded port may lead elsewhere still. */
export function isThisMachine(address: string): boolean {
  return /^(localhost|127\.[0-9.]+|\[::1\]):/.test(address);
}
