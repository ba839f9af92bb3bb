// A node as a client reaches it: address, TLS, and what the client shows to be let in.

import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
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
  /** File that holds a token. */
  readonly tokenFile?: string;
}

/**
 * Reads `[grpc://|grpcs://]HOST:PORT` and the files beside it. `token` is used where no file is
 * named. INVALID_ARGUMENT for files that cannot be read, and for a token that would travel in
 * plain text to another machine.
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
  const { tlsCa, tlsCert, tlsKey, tokenFile } = flags;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new MeshError("INVALID_ARGUMENT", "A client certificate wants --tls-cert and --tls-key.");
  }
  const wantsTls = scheme === "grpcs" || tlsCa !== undefined || tlsCert !== undefined;
  const tls = wantsTls
    ? { ca: readPem(tlsCa), cert: readPem(tlsCert), key: readPem(tlsKey) }
    : undefined;
  const shown = (readPem(tokenFile)?.toString() ?? token)?.trim() || undefined;
  if (shown !== undefined && tls === undefined && !isThisMachine(address)) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `The token would go to ${address} in plain text. Use grpcs://${address}.`,
    );
  }
  return { address, tls, token: shown };
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
  return new MeshError("UNAVAILABLE", reasonOf(address, tls !== undefined, details), { cause });
}

function reasonOf(address: string, isTls: boolean, details: string): string {
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
  const hint = isTls
    ? "Is it started, and does it speak TLS?"
    : "Start one with: builder serve --remote (or use grpcs:// if it speaks TLS)";
  return `Cannot reach a builder node at ${address}. ${hint}`;
}

function readPem(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("INVALID_ARGUMENT", `${path} cannot be read: ${why}.`, { cause });
  }
}

function isThisMachine(address: string): boolean {
  return /^(localhost|127\.[0-9.]+|\[::1\]):/.test(address);
}
