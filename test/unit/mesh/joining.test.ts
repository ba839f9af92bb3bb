import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { failureOf } from "../../../src/core/error.ts";
import {
  type Authority,
  createAuthority,
  createSponsor,
  generateNodeKey,
  issueCertificate,
  type Membership,
  peerIdOf,
  type Signer,
  verifyCertificate,
} from "../../../src/mesh/identity.ts";
import { formatLink, newSecret, parseLink } from "../../../src/mesh/invitation.ts";
import { createRevocations, signRevocation } from "../../../src/mesh/revocations.ts";
import { createTries } from "../../../src/mesh/tries.ts";

const folder = mkdtempSync(join(tmpdir(), "mesh-unit-"));
afterAll(() => rmSync(folder, { recursive: true }));

const now = 1_700_000_000_000;
const none = new Uint8Array();
const seed = 20_261_124;
let authority: Authority;
let other: Authority;
let hostKey: Uint8Array;
let workerKey: Uint8Array;
beforeAll(async () => {
  authority = await createAuthority(join(folder, "a"));
  other = await createAuthority(join(folder, "b"));
  [hostKey, workerKey] = [await generateNodeKey(), await generateNodeKey()];
});

function membership(key: Uint8Array, given: Partial<Membership> = {}): Membership {
  const times = { notBeforeMs: now - 1000, notAfterMs: now + 1000 };
  return { peerId: peerIdOf(key), roles: ["host"], name: "n", ...times, ...given };
}

/** What becomes of a worker's certificate, signed as given, with a sponsor's as given. */
async function verdict(given: {
  worker?: Partial<Membership>;
  host?: Partial<Membership>;
  signer?: Signer;
  hostSigner?: Signer;
  sponsor?: Uint8Array;
  revoked?: Uint8Array;
}): Promise<string> {
  const signer = given.signer ?? createSponsor({ key: hostKey, meshId: authority.meshId });
  const worker = membership(workerKey, { roles: ["worker"], ...given.worker });
  const certificate = await issueCertificate(signer, worker);
  const host = membership(hostKey, given.host);
  const sponsor = given.sponsor ?? (await issueCertificate(given.hostSigner ?? authority, host));
  const revoked = given.revoked && peerIdOf(given.revoked);
  try {
    const member = await verifyCertificate(certificate, sponsor, {
      ...{ meshId: authority.meshId, peerId: peerIdOf(workerKey), nowMs: now },
      isRevoked: (peer) => peer === revoked,
    });
    return `${member.name} by ${member.sponsor === undefined ? "the authority" : "a host"}`;
  } catch (error) {
    expect(failureOf(error).code).toBe("UNAUTHENTICATED");
    return failureOf(error).message.replace("The peer's certificate was refused: ", "");
  }
}

test("a chain is two long, and every link of it counts", async () => {
  const hostSponsor = () => createSponsor({ key: hostKey, meshId: authority.meshId });
  expect(await verdict({})).toBe("n by a host");
  expect(await verdict({ signer: authority, sponsor: none })).toBe("n by the authority");
  expect(await verdict({ sponsor: none })).toMatch(/sponsor did not come/);
  expect(await verdict({ host: { roles: ["worker"] } })).toMatch(/no host/);
  expect(await verdict({ hostSigner: hostSponsor() })).toMatch(/has a sponsor itself/);
  expect(await verdict({ hostSigner: other })).toMatch(/not signed by this mesh/);
  expect(await verdict({ host: { notAfterMs: now - 1 } })).toMatch(/expired/);
  expect(await verdict({ worker: { roles: ["worker", "host"] } })).toMatch(/workers only/);
  expect(await verdict({ worker: { notAfterMs: now + 1001 } })).toMatch(/outlives/);
  expect(await verdict({ worker: { notAfterMs: now - 1 } })).toMatch(/expired/);
  expect(await verdict({ revoked: hostKey })).toMatch(/revoked/);
  expect(await verdict({ revoked: workerKey })).toMatch(/revoked/);
  expect(await verdict({ worker: { name: "x".repeat(65) } })).toMatch(/malformed/);
  expect(await verdict({ sponsor: new Uint8Array(5000) })).toMatch(/too long/);
  // Signed by somebody else than the body says, or naming nobody.
  const thief = createSponsor({ key: workerKey, meshId: authority.meshId });
  const asHost = { ...thief, sponsor: peerIdOf(hostKey) };
  expect(await verdict({ signer: asHost })).toMatch(/not signed by its sponsor/);
  expect(await verdict({ signer: { ...thief, sponsor: "nobody" } })).toMatch(/belongs to|no peer/);
  expect(await verdict({ signer: thief })).toMatch(/belongs to/);
});

test("clocks may differ by days at the begin, not at the end", async () => {
  const day = 86_400_000;
  const late = { notBeforeMs: now + 2 * day, notAfterMs: now + 900 * day };
  expect(await verdict({ signer: authority, worker: late })).toMatch(/authority/);
  const tooLate = { ...late, notBeforeMs: now + 4 * day };
  expect(await verdict({ signer: authority, worker: tooLate })).toMatch(/not valid yet/);
});

test("hostile bytes are refused, whatever they are", async () => {
  const good = await issueCertificate(authority, membership(hostKey));
  const expected = { meshId: authority.meshId, peerId: peerIdOf(hostKey), nowMs: now };
  const bytes = fc.uint8Array({ maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(bytes, bytes, fc.nat(good.length - 1), async (a, b, at) => {
      const bent = Uint8Array.from(good, (byte, index) => (index === at ? byte ^ 0xff : byte));
      for (const [certificate, sponsor] of [
        [a, b],
        [bent, b],
        [good.subarray(0, at), good],
      ] as const) {
        await expect(verifyCertificate(certificate, sponsor, expected)).rejects.toMatchObject({
          code: "UNAUTHENTICATED",
        });
      }
    }),
    { seed, numRuns: 300 },
  );
});

test("a link says the same when read, and is short", () => {
  const octet = fc.nat(255);
  const address = fc
    .tuple(octet, octet, octet, octet, fc.integer({ min: 1, max: 65_535 }))
    .map(([a, b, c, d, port]) => `/ip4/${a}.${b}.${c}.${d}/tcp/${port}`);
  fc.assert(
    fc.property(fc.array(address, { minLength: 1, maxLength: 3 }), (addresses) => {
      const peer = peerIdOf(hostKey);
      const { meshId } = authority;
      const invitation = { meshId, secret: newSecret(), expiresAtMs: now, peer, addresses };
      const withPeer = addresses.map((each) => `${each}/p2p/${peer}`);
      const link = formatLink({ ...invitation, addresses: withPeer });
      expect(link.length).toBeLessThanOrEqual(400);
      expect(parseLink(` ${link}\n`)).toEqual({
        ...invitation,
        meshId: expect.any(Uint8Array),
        secret: expect.any(Uint8Array),
      });
      expect(Buffer.compare(parseLink(link).meshId, meshId)).toBe(0);
    }),
    { seed, numRuns: 100 },
  );
});

test("what is no link is told from one", () => {
  const { meshId } = authority;
  const good = formatLink({
    ...{ meshId, secret: newSecret(), expiresAtMs: now, peer: peerIdOf(hostKey) },
    addresses: ["/dns4/desk.lan/tcp/7000"],
  });
  expect(parseLink(good).addresses).toEqual(["/dns4/desk.lan/tcp/7000"]);
  const cut = fc.nat(good.length - 1).map((at) => good.slice(0, at));
  const noise = fc.uint8Array({ maxLength: 400 }).map((bytes) => {
    return `builder://join/${Buffer.from(bytes).toString("base64url")}`;
  });
  fc.assert(
    fc.property(fc.oneof(cut, noise, fc.string()), (text) => {
      let code = "";
      try {
        // A link that was cut inside of its addresses can still be one.
        parseLink(text);
        expect(good.startsWith(text)).toBe(true);
      } catch (error) {
        code = failureOf(error).code;
        expect(code).toBe("INVALID_ARGUMENT");
      }
    }),
    { seed, numRuns: 2000 },
  );
});

test("revocations: the latest counts, only the authority's, and again after a restart", async () => {
  const saved: number[] = [];
  const options = { meshId: authority.meshId, stored: [] };
  const save = (all: readonly unknown[]) => saved.push(all.length);
  const known = await createRevocations({ ...options, save });
  const peerId = peerIdOf(hostKey);
  const first = await signRevocation(authority, { peerId, revokedAtMs: now });
  const later = await signRevocation(authority, { peerId, revokedAtMs: now + 5 });
  expect(await known.take(later)).toBe(peerId);
  expect(await known.take(first)).toBeUndefined();
  expect(await known.take(await signRevocation(other, { peerId, revokedAtMs: now + 9 }))).toBe(
    undefined,
  );
  expect(await known.take({ body: none, signature: new Uint8Array(64) })).toBeUndefined();
  expect([now + 4, now + 5, now + 6].map((at) => known.isRevoked(peerId, at))).toEqual([
    true,
    true,
    false,
  ]);
  expect(saved).toEqual([1]);
  const again = await createRevocations({ ...options, save, stored: known.all() });
  expect(again.isRevoked(peerId, now)).toBe(true);
});

test("tries are counted by address in a table that cannot grow", () => {
  const tries = createTries({ perMinute: 2, addressesMax: 3 });
  expect([1, 2, 3].map(() => tries.allow("a", 0))).toEqual([true, true, false]);
  expect(tries.allow("a", 60_000)).toBe(true);
  for (const address of ["b", "c", "d"]) expect(tries.allow(address, 60_000)).toBe(true);
  // Forgotten for the newer ones.
  expect([1, 2, 3].map(() => tries.allow("a", 60_001))).toEqual([true, true, false]);
});
