import { expect, test } from "vitest";
import {
  type CodeSubject,
  commitmentTo,
  newNonce,
  nonceBytes,
  shortCode,
} from "../../../src/mesh/short-code.ts";

const subject: CodeSubject = {
  meshId: new Uint8Array(36).fill(1),
  newcomer: "12D3KooWLaptop",
  node: "12D3KooWDesk",
  newcomerNonce: new Uint8Array(nonceBytes).fill(2),
  nodeNonce: new Uint8Array(nonceBytes).fill(3),
};

test("the code is that of the protocol's description", () => {
  // Computed by another program, from knock.proto's words.
  expect(shortCode(subject)).toBe("672224");
  expect(Buffer.from(commitmentTo(subject.newcomerNonce)).toString("hex")).toBe(
    "fbbfe88305c3a95ae8d0edd2b05c0734586d09a16c60de43140cb315ef2a4a21",
  );
});

test("another mesh, peer or nonce at either end is another code", () => {
  const others: CodeSubject[] = [
    { ...subject, meshId: new Uint8Array(36).fill(9) },
    { ...subject, newcomer: "12D3KooWOther" },
    { ...subject, node: "12D3KooWOther" },
    { ...subject, newcomerNonce: new Uint8Array(nonceBytes).fill(9) },
    { ...subject, nodeNonce: new Uint8Array(nonceBytes).fill(9) },
    // What moves from one part to its neighbour, and what changes sides.
    { ...subject, newcomer: "12D3KooWLaptop1", node: "2D3KooWDesk" },
    { ...subject, newcomer: subject.node, node: subject.newcomer },
    { ...subject, newcomerNonce: subject.nodeNonce, nodeNonce: subject.newcomerNonce },
  ];
  const codes = [subject, ...others].map(shortCode);
  expect(new Set(codes).size).toBe(codes.length);
});

test("codes have six digits, and all of them are about as likely", () => {
  const firstDigits = new Map<string, number>();
  for (let n = 0; n < 20_000; n += 1) {
    const nodeNonce = new Uint8Array(nonceBytes);
    new DataView(nodeNonce.buffer).setUint32(0, n);
    const code = shortCode({ ...subject, nodeNonce });
    expect(code).toMatch(/^\d{6}$/);
    firstDigits.set(code.slice(0, 1), (firstDigits.get(code.slice(0, 1)) ?? 0) + 1);
  }
  // 2,000 each; six deviations of the binomial distribution are 255.
  expect(firstDigits.size).toBe(10);
  for (const count of firstDigits.values()) expect(Math.abs(count - 2000)).toBeLessThan(255);
});

test("nonces are new each time, and a commitment is of one nonce", () => {
  const [a, b] = [newNonce(), newNonce()];
  expect(a).toHaveLength(nonceBytes);
  expect(Buffer.compare(a, b)).not.toBe(0);
  expect(Buffer.compare(commitmentTo(a), commitmentTo(b))).not.toBe(0);
  expect(commitmentTo(a)).toHaveLength(nonceBytes);
});
