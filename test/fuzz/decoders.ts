// Everything that turns a stranger's, a member's or a disk's bytes into values, with right inputs
// to start from. A decoder answers or throws a MeshError; anything else is a mistake.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { multiaddr } from "@multiformats/multiaddr";
import { type Code, MeshError } from "../../src/core/error.ts";
import { createRng, type Rng } from "../../src/core/rng.ts";
import { readAdmission, readJoinAnswer, readJoinRequest } from "../../src/mesh/enrolment.ts";
import { readPunch } from "../../src/mesh/hole-punch.ts";
import {
  createAuthority,
  generateNodeKey,
  issueCertificate,
  peerIdOf,
  readCertificate,
  verifyCertificate,
} from "../../src/mesh/identity.ts";
import { formatLink, newSecret, parseLink } from "../../src/mesh/invitation.ts";
import {
  type KnockAnswer,
  type KnockStep,
  readKnockReply,
  readKnockRequest,
  refusalOf,
} from "../../src/mesh/knock-frames.ts";
import { createRevocations, signRevocation } from "../../src/mesh/revocations.ts";
import { commitmentTo, nonceBytes } from "../../src/mesh/short-code.ts";
import { createInvites } from "../../src/node/invites.ts";
import { loadMeshFiles } from "../../src/node/mesh-files.ts";
import {
  decodeBlobFrame,
  encodeFramedPartsHead,
  encodePlainFrame,
} from "../../src/wire/blob-codec.ts";
import { encodeFrame, FrameDecoder } from "../../src/wire/frame.ts";
import { JoinAnswer, JoinRequest } from "../../src/wire/gen/builder/mesh/v1/join.ts";
import { KnockReply, KnockRequest } from "../../src/wire/gen/builder/mesh/v1/knock.ts";
import { Punch } from "../../src/wire/gen/builder/mesh/v1/punch.ts";
import { decodeMessage, encodeMessage } from "../../src/wire/mesh-codec.ts";
import { blobFrames, messages } from "../support/right-inputs.ts";
import { mutate } from "./mutate.ts";

/** One decoder and what it is tried with. */
export interface Fuzzed {
  readonly name: string;
  readonly corpus: readonly Uint8Array[];
  /** Codes that it may refuse with. */
  readonly codes: readonly Code[];
  /** `rng` decides how the bytes are fed. */
  decode(bytes: Uint8Array, rng: Rng): unknown;
}

/** What came of one decoder. */
export interface FuzzEnd {
  readonly name: string;
  readonly inputs: number;
  /** Inputs that were taken for right. */
  readonly taken: number;
  /** The slowest input, in ms. */
  readonly slowestMs: number;
}

const malformed: readonly Code[] = ["INVALID_ARGUMENT"];

/** All decoders; `remove` deletes the files that some of them work on. */
export async function fuzzedDecoders(): Promise<{
  readonly all: readonly Fuzzed[];
  readonly remove: () => void;
}> {
  // In memory where there is such a place: a file is written for each input.
  const memory = "/dev/shm";
  const folder = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), "fuzz-"));
  const of = await createIdentities(folder);
  return {
    all: [
      ...streams(),
      ...(await joining(of)),
      ...knocking(of),
      ...(await identities(of)),
      ...stateFiles(folder),
    ],
    remove: () => rmSync(folder, { recursive: true }),
  };
}

type Identities = Awaited<ReturnType<typeof createIdentities>>;

async function createIdentities(folder: string) {
  const authority = await createAuthority(join(folder, "authority"));
  const peerId = peerIdOf(await generateNodeKey());
  const times = { notBeforeMs: 0, notAfterMs: 2 ** 45 };
  const certificate = await issueCertificate(authority, { peerId, roles: ["host"], ...times });
  const signed = await signRevocation(authority, { peerId, revokedAtMs: 5 });
  return { authority, peerId, certificate, signed };
}

function streams(): Fuzzed[] {
  const encoded = messages.map(encodeMessage);
  return [
    {
      name: "frame",
      corpus: [...encoded, new Uint8Array(), new Uint8Array(5000)].map(encodeFrame),
      codes: ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"],
      decode: (bytes, rng) => {
        const decoder = new FrameDecoder({ frameBytesMax: 4096 });
        for (let at = 0; at < bytes.length; ) {
          const end = at + 1 + rng.below(300);
          decoder.push(bytes.subarray(at, end));
          at = end;
        }
      },
    },
    {
      name: "message",
      corpus: encoded,
      codes: malformed,
      decode: (bytes) => {
        const message = decodeMessage(bytes);
        // Whatever is taken can be told on.
        if (message !== undefined) encodeMessage(message);
      },
    },
    {
      name: "blob frame",
      corpus: [...blobFrames.map(encodePlainFrame), ...parts()],
      codes: malformed,
      decode: (bytes) => {
        const frame = decodeBlobFrame(bytes);
        if (frame !== undefined && frame.kind !== "parts") encodePlainFrame(frame);
      },
    },
  ];
}

/** Bytes of blobs, plain and compressed. */
function parts(): Uint8Array[] {
  const plain = new Uint8Array(300).fill(7);
  return [0, plain.length].flatMap((expandedBytes) => {
    const data = expandedBytes === 0 ? plain : zstdCompressSync(plain);
    const pieces = { id: 7, blobs: [0, 2], lengths: [100, 200], expandedBytes };
    const framed = Buffer.concat([encodeFramedPartsHead(pieces, data.length), data]);
    return new FrameDecoder({ frameBytesMax: 4096 }).push(framed);
  });
}

async function joining({ authority, peerId, certificate, signed }: Identities): Promise<Fuzzed[]> {
  const secret = newSecret();
  const request = { secret, name: "desk", software: "builder/1", protocolMinor: 0 };
  const addresses = ["/ip4/10.0.0.1/tcp/4001", "/dns4/host/tcp/9"];
  const record = { peer: peerId, name: "desk", addresses, incarnation: 9, version: 1, left: false };
  const joined = {
    ...{ certificate, members: [record], revocations: [signed], meshName: "mesh" },
    ...{ workStealing: true, workStealingVersion: 7, authorityKey: authority.exportKey() },
  };
  const refusal = { code: "UNAUTHENTICATED", message: "No." };
  const rest = { nowMs: 5, software: "builder/1" };
  const answers = [
    { outcome: { $case: "joined" as const, value: joined }, ...rest },
    { outcome: { $case: "refusal" as const, value: refusal }, ...rest },
  ];
  const invitation = { meshId: authority.meshId, secret, expiresAtMs: 5000, peer: peerId };
  const link = formatLink({ ...invitation, addresses });
  return [
    {
      name: "join request",
      corpus: [JoinRequest.encode(request).finish()],
      codes: malformed,
      decode: readJoinRequest,
    },
    {
      name: "join answer",
      corpus: answers.map((answer) => JoinAnswer.encode(answer).finish()),
      codes: [...malformed, "UNAUTHENTICATED"],
      decode: (bytes) => readAdmission(readJoinAnswer(bytes)),
    },
    {
      name: "punch",
      corpus: ["/ip4/198.18.0.1/tcp/4001", "/ip6/2001:db8::1/tcp/1"].map((address) =>
        Punch.encode({ address: multiaddr(address).bytes }).finish(),
      ),
      codes: malformed,
      decode: readPunch,
    },
    {
      name: "invitation link",
      corpus: [Buffer.from(link), Buffer.from(link.slice(15), "base64url")],
      codes: malformed,
      // As text, and as the bytes in it, which is where the decoding is.
      decode: (bytes, rng) => {
        const text = Buffer.from(bytes);
        const isText = rng.below(2) === 0;
        return parseLink(isText ? text.toString() : `builder://join/${text.toString("base64url")}`);
      },
    },
  ];
}

function knocking({ authority: { meshId } }: Identities): Fuzzed[] {
  const nonce = new Uint8Array(nonceBytes).fill(7);
  const rest = { name: "laptop", software: "builder/1", protocolMinor: 0 };
  const requests: KnockStep[] = [
    { $case: "knock", value: { meshId, commitment: commitmentTo(nonce), ...rest } },
    { $case: "reveal", value: { nonce } },
  ];
  const replies: KnockAnswer[] = [
    { $case: "nonce", value: { nonce } },
    { $case: "elsewhere", value: { names: ["desk", "attic"] } },
    { $case: "waiting", value: {} },
    { $case: "letIn", value: { secret: newSecret() } },
    { $case: "refusal", value: { code: "ABORTED", message: "No." } },
  ];
  return [
    {
      name: "knock request",
      corpus: requests.map((step) => KnockRequest.encode({ step }).finish()),
      codes: malformed,
      decode: readKnockRequest,
    },
    {
      name: "knock reply",
      corpus: replies.map((step) => KnockReply.encode({ step }).finish()),
      codes: malformed,
      decode: (bytes) => {
        const answer = readKnockReply(bytes);
        if (answer.$case === "refusal") refusalOf(answer.value);
      },
    },
  ];
}

async function identities({ authority, peerId, certificate, signed }: Identities) {
  const { meshId } = authority;
  const revocations = await createRevocations({ meshId, stored: [], save: () => undefined });
  const expected = { meshId, peerId, nowMs: 1 };
  const fuzzed: Fuzzed[] = [
    {
      name: "certificate",
      corpus: [certificate],
      codes: ["UNAUTHENTICATED"],
      // Signatures take long, so few inputs are checked whole; one that is changed never passes.
      decode: async (bytes, rng) => {
        if (rng.below(20) > 0) return readCertificate(bytes);
        const sponsor = rng.below(2) === 0 ? new Uint8Array() : bytes;
        const member = await verifyCertificate(bytes, sponsor, expected);
        if (member.peerId !== peerId) throw new Error("it is a certificate of somebody else");
        return member;
      },
    },
    {
      name: "revocation",
      corpus: [signed.body],
      codes: malformed,
      decode: async (body, rng) => {
        const isSigned = rng.below(20) === 0;
        const signature = isSigned ? await authority.sign(body) : signed.signature.subarray(1);
        const out = await revocations.take({ body, signature });
        if (!isSigned && out !== undefined) throw new Error("a forged revocation counts");
        return out;
      },
    },
  ];
  return fuzzed;
}

function stateFiles(folder: string): Fuzzed[] {
  const files = loadMeshFiles(folder);
  const invites = createInvites(folder, () => 0);
  const record = { peer: "p", name: "n", addresses: ["/ip4/1.2.3.4/tcp/5"] };
  const bytes = { body: "AAAA", signature: "BBBB" };
  const kept: [string, unknown, () => unknown][] = [
    ["membership.json", { meshId: "AAAA", certificate: "BBBB" }, files.membership],
    ["settings.json", { name: "m", workStealing: true, workStealingVersion: 5 }, files.settings],
    [
      "members.json",
      { members: [{ ...record, incarnation: 5, version: 2, left: false }] },
      files.members,
    ],
    ["port.json", { port: 9000 }, files.port],
    ["revocations.json", { revoked: [bytes, bytes] }, files.revocations],
    [
      "admitted.json",
      { admitted: [{ peer: "p", name: "n", role: "host", atMs: 5 }] },
      files.admitted,
    ],
    [
      "invites.json",
      {
        invites: [{ role: "admin", usesLeft: 2, expiresAtMs: 5e12, secretHash: "ab", usedBy: [] }],
      },
      invites.open,
    ],
  ];
  writeFileSync(join(folder, "node.key"), "key");
  return kept.map(([name, value, read]) => ({
    name,
    corpus: [Buffer.from(JSON.stringify(value, null, 1)), Buffer.from("{}"), Buffer.from("[]")],
    codes: ["DATA_LOSS"],
    decode: (damaged) => {
      writeFileSync(join(folder, name), damaged);
      return read();
    },
  }));
}

/** Feeds `inputs` inputs to one decoder. Rejects with the input that it failed on. */
export async function fuzz(fuzzed: Fuzzed, inputs: number, seed: number): Promise<FuzzEnd> {
  const { name, corpus, codes, decode } = fuzzed;
  const rng = createRng(seed).fork(name);
  let [taken, slowestMs] = [0, 0];
  for (let at = 0; at < inputs; at += 1) {
    const bytes = mutate(rng, corpus);
    const startedMs = performance.now();
    try {
      const found = decode(bytes, rng);
      if (found instanceof Promise) await found;
      taken += 1;
    } catch (error) {
      if (!(error instanceof MeshError) || !codes.includes(error.code)) {
        const hex = Buffer.from(bytes).toString("hex");
        throw new Error(`${name}, seed ${seed}, input ${at}: ${error}\n${hex}`, { cause: error });
      }
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
  }
  return { name, inputs, taken, slowestMs };
}
