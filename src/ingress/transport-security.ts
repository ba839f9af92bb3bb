// TLS for the ingress: certificate, key, and the authority that client certificates come from.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { ServerCredentials } from "@grpc/grpc-js";
import { MeshError } from "../core/error.ts";

/** PEM files. */
export interface TlsFiles {
  /** The node's certificate, followed by those between it and its authority. */
  readonly cert: string;
  readonly key: string;
  /** With it, clients must show a certificate of this authority. */
  readonly clientCa: string | undefined;
}

/** Credentials to listen with. INVALID_ARGUMENT names a file that is missing or does not fit. */
export function listenCredentials(files: TlsFiles | undefined, nowMs: number): ServerCredentials {
  if (files === undefined) return ServerCredentials.createInsecure();
  const [chain, key] = [readPem("--tls-cert", files.cert), readPem("--tls-key", files.key)];
  checkPair(files, chain, key, nowMs);
  const clientCa = files.clientCa === undefined ? null : readPem("--tls-client-ca", files.clientCa);
  if (clientCa !== null) parseCertificate("--tls-client-ca", files.clientCa ?? "", clientCa);
  const pair = { cert_chain: chain, private_key: key };
  return ServerCredentials.createSsl(clientCa, [pair], clientCa !== null);
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
