import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { conductDefaults } from "../../../src/core/conduct.ts";
import { ledgerDefaults } from "../../../src/core/ledger.ts";
import { slotDefaults } from "../../../src/core/slots.ts";
import { stealingDefaults } from "../../../src/core/stealing.ts";

const page = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");
const source = readFileSync(new URL("../../../src/core/message.ts", import.meta.url), "utf8");

test("the protocol page names every message", () => {
  const kinds = [...source.matchAll(/readonly kind: "(\w+)"/g)].map(([, kind]) => kind);
  expect(kinds.length).toBeGreaterThan(6);
  for (const kind of kinds) expect(page).toContain(`\`${kind}\``);
});

test("the protocol page gives every time and bound with its value", () => {
  const { claimTimeoutMs, renewMs, loadMs, pendingMs, farMs } = slotDefaults;
  for (const [name, value] of Object.entries({
    ...ledgerDefaults,
    ...stealingDefaults,
    ...conductDefaults,
    claimTimeoutMs,
    renewMs,
    loadMs,
    pendingMs,
    farMs,
  })) {
    expect(page, name).toMatch(new RegExp(`\`${name}\` ${value}\\b`));
  }
});
