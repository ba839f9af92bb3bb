import fc from "fast-check";
import { expect, test } from "vitest";
import { Knocks, knockDefaults } from "../../../src/core/knocks.ts";

const { waitingMax, perAddressMax, waitMs, begunMax, wrongCodesMax } = knockDefaults;

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("begin"), n: fc.nat(40), ms: fc.nat(9000) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("reveal"), n: fc.nat(200), ms: fc.nat(9) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("end"), n: fc.nat(200), ms: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("admit"), n: fc.nat(30), ms: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("expire"), n: fc.nat(9), ms: fc.nat(waitMs) }),
  },
);

/** Few codes, so that knocks meet. */
const codeOf = (n: number) => `${n % 30}`.padStart(6, "0");

interface Held {
  readonly peer: string;
  readonly address: string;
  code: string | undefined;
  /** Codes that were tried while it knocked. */
  wrong: number;
}

test("whatever happens, bounds hold, and only the knock with a typed code is let in", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const knocks = new Knocks();
      const held = new Map<number, Held>();
      const begun: number[] = [];
      let [nowMs, ids] = [0, 0];
      for (const { kind, n, ms } of steps) {
        nowMs += ms;
        const id = ids === 0 ? 0 : 1 + (n % ids);
        if (kind === "begin") {
          ids += 1;
          const who = { peer: `p${n}`, name: "", address: `a${n % 9}` };
          if (knocks.begin(ids, who, nowMs) === undefined) {
            held.set(ids, { peer: who.peer, address: who.address, code: undefined, wrong: 0 });
            begun.push(nowMs);
          }
        } else if (kind === "reveal") {
          const one = held.get(id);
          if (one?.code !== undefined) continue;
          const failure = knocks.reveal(id, codeOf(n));
          if (one === undefined) expect(failure).toBeDefined();
          else if (failure === undefined) one.code = codeOf(n);
          else held.delete(id);
        } else if (kind === "end") {
          knocks.end(id);
          held.delete(id);
        } else if (kind === "admit") {
          const right = [...held].find(([, { code }]) => code === codeOf(n));
          const verdict = knocks.admit(codeOf(n));
          if (right === undefined) {
            expect(verdict.kind).toBe("refused");
            for (const one of held.values()) if (one.code !== undefined) one.wrong += 1;
            if (verdict.kind === "refused") for (const each of verdict.ended) held.delete(each);
          } else {
            expect(verdict).toMatchObject({ kind: "letIn", id: right[0] });
            held.delete(right[0]);
          }
        } else {
          for (const over of knocks.expire(nowMs)) held.delete(over);
        }
        const all = [...held.values()];
        const codes = all.flatMap(({ code }) => code ?? []);
        expect(knocks.size).toBe(held.size);
        expect(held.size).toBeLessThanOrEqual(waitingMax);
        expect(new Set(all.map(({ peer }) => peer)).size).toBe(all.length);
        expect(new Set(codes).size).toBe(codes.length);
        expect(knocks.waiting(nowMs)).toHaveLength(codes.length);
        for (const { wrong, address } of all) {
          expect(wrong).toBeLessThan(wrongCodesMax);
          const neighbours = all.filter((other) => other.address === address);
          expect(neighbours.length).toBeLessThanOrEqual(perAddressMax);
        }
        const recent = begun.filter((atMs) => nowMs - atMs < waitMs);
        expect(recent.length).toBeLessThanOrEqual(begunMax);
      }
    }),
    { seed: 20_261_127, numRuns: 300 },
  );
});
