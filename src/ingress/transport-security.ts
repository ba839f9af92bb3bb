// TLS for the ingress: certificate, key, and the authority that client certificates come from.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";
import { ServerCredentials } from "@grpc/grpc-js";
import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import { watchFiles } from "./watched-files.ts";

/** PEM files. */
export interface TlsFiles {
  /** The node's certificate, followed by those between it and its authority. */
  readonly cert: string;
  readonly key: string;
  /** With it, clients must show a certificate of this authority. */
  readonly clientCa: string | undefined;
}

/** TLS, or plain text, for every address of an ingress. */
export interface ListenSecurity {
  readonly credentials: ServerCredentials;
  /** Stops looking for changes of the files. */
  close(): void;
}

/** Changed files are noticed after this time at most, in ms. */
const lookEveryMs = 1000;

/**
 * Reads the files, and again whenever they change: new connections then see the new ones.
 * INVALID_ARGUMENT names a file that is missing or does not fit.
 */
export function listenSecurity(
  deps: { readonly now: () => number; readonly log: Log },
  files: TlsFiles | undefined,
): ListenSecurity {
  if (files === undefined) {
    return { credentials: ServerCredentials.createInsecure(), close: () => undefined };
  }
  const { cert, key, clientCa } = files;
  const watched = watchFiles(deps, {
    paths: clientCa === undefined ? [cert, key] : [cert, key, clientCa],
    name: "TLS files",
    lookEveryMs,
    read: () => readContext(files, deps.now()),
  });
  let current = watched.latest();
  const credentials = new RenewableCredentials(current, clientCa !== undefined);
  const timer = setInterval(() => {
    const next = watched.latest();
    if (next !== current) credentials.renew(next);
    current = next;
  }, lookEveryMs);
  timer.unref();
  return { credentials, close: () => clearInterval(timer) };
}

/** Like those of `createSsl`, but they can be changed under a listening server. */
class RenewableCredentials extends ServerCredentials {
  constructor(context: SecureContextOptions, asksClients: boolean) {
    super({ requestCert: asksClients, rejectUnauthorized: asksClients }, context);
  }

  renew(context: SecureContextOptions): void {
    this.updateSecureContextOptions(context);
  }

  _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function readContext(files: TlsFiles, nowMs: number): SecureContextOptions {
  const [cert, key] = [readPem("--tls-cert", files.cert), readPem("--tls-key", files.key)];
  checkPair(files, cert, key, nowMs);
  if (files.clientCa === undefined) return { cert, key };
  const ca = readPem("--tls-client-ca", files.clientCa);
  parseCertificate("--tls-client-ca", files.clientCa, ca);
  return { cert, key, ca };
}

function readPem(flag: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("INVALID_ARGUMENT", `${flag} cannot be read: ${why}.`, { cause });
  }
}

function parseCertificate(flag: string, path: string, pem: Buffer): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", `${flag} ${path} holds no PEM certificate.`, { cause });
  }
}

function checkPair(files: TlsFiles, chain: Buffer, key: Buffer, nowMs: number): void {
  const certificate = parseCertificate("--tls-cert", files.cert, chain);
  let fits: boolean;
  try {
    fits = certificate.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", `--tls-key ${files.key} holds no PEM private key.`, {
      cause,
    });
  }
  if (!fits) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `The key ${files.key} does not belong to the certificate ${files.cert}.`,
    );
  }
  if (Date.parse(certificate.validTo) < nowMs) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `The certificate ${files.cert} was valid until ${certificate.validTo}. Renew it.`,
    );
  }
}
