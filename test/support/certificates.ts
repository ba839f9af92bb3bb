// Certificates for tests, made when they run: an authority and what it issues, as PEM files.

import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";

x509.cryptoProvider.set(webcrypto as Crypto);
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Paths of PEM files. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface TestAuthority {
  /** Its own certificate. */
  readonly path: string;
  /** For a host or a person; `unit` becomes the OU. A negative life has ended already. */
  issue(name: string, unit?: string, lifeMs?: number, ip?: string): Promise<Issued>;
}

/** Makes an authority whose files are in `folder`. */
export async function createTestAuthority(folder: string, name: string): Promise<TestAuthority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const hourMs = 3_600_000;
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - hourMs),
    notAfter: new Date(Date.now() + hourMs),
    signingAlgorithm: algorithm,
    keys: keys as webcrypto.CryptoKeyPair,
    extensions: [new x509.BasicConstraintsExtension(true, 2, true)],
  });
  const path = join(folder, `${name}.pem`);
  writeFileSync(path, own.toString("pem"));
  let serial = 1;
  return {
    path,
    issue: async (host, unit, lifeMs = hourMs, ip = "127.0.0.1") => {
      serial += 1;
      const issued = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: serial.toString(16).padStart(2, "0"),
        subject: `CN=${host}${unit === undefined ? "" : `,OU=${unit}`}`,
        issuer: own.subject,
        notBefore: new Date(Date.now() - 48 * hourMs),
        notAfter: new Date(Date.now() + lifeMs),
        signingAlgorithm: algorithm,
        publicKey: issued.publicKey as CryptoKey,
        signingKey: keys.privateKey as CryptoKey,
        extensions: [
          new x509.SubjectAlternativeNameExtension([
            { type: "dns", value: host },
            { type: "ip", value: ip },
          ]),
        ],
      });
      const files = {
        cert: join(folder, `${name}-${serial}.pem`),
        key: join(folder, `${name}-${serial}-key.pem`),
      };
      const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", issued.privateKey));
      writeFileSync(files.cert, certificate.toString("pem"));
      writeFileSync(files.key, x509.PemConverter.encode(key, "PRIVATE KEY"), { mode: 0o600 });
      return files;
    },
  };
}
