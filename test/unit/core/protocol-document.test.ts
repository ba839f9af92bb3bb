import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { meshBlobDefaults } from "../../../src/cas/mesh-blob-store.ts";
import { unaskedBytesMax } from "../../../src/cas/put-lacking.ts";
import { conductDefaults } from "../../../src/core/conduct.ts";
import { electionDefaults } from "../../../src/core/election.ts";
import { knockDefaults } from "../../../src/core/knocks.ts";
import { ledgerDefaults } from "../../../src/core/ledger.ts";
import { membershipDefaults } from "../../../src/core/membership-options.ts";
import { slotDefaults } from "../../../src/core/slots.ts";
import { stealingDefaults } from "../../../src/core/stealing.ts";
import { lanBlobOptions } from "../../../src/mesh/blob-exchange.ts";
import { blobBounds } from "../../../src/wire/blob-codec.ts";

const page = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");
const source = readFileSync(new URL("../../../src/core/message.ts", import.meta.url), "utf8");

test("the protocol page names every message", () => {
  const kinds = [...source.matchAll(/readonly kind: "(\w+)"/g)].map(([, kind]) => kind);
  expect(kinds.length).toBeGreaterThan(6);
  for (const kind of kinds) expect(page).toContain(`\`${kind}\``);
});

test("the protocol page gives every time and bound with its value", () => {
  const { claimTimeoutMs, renewMs, loadMs, quietLoadMs, pendingMs, farMs } = slotDefaults;
  const { asideMs, asideLoadMs } = slotDefaults;
  const { priority: _, ...election } = electionDefaults;
  for (const [name, value] of Object.entries({
    ...ledgerDefaults,
    ...membershipDefaults,
    ...election,
    ...stealingDefaults,
    ...conductDefaults,
    ...knockDefaults,
    claimTimeoutMs,
    renewMs,
    loadMs,
    pendingMs,
    farMs,
    asideMs,
    asideLoadMs,
    quietLoadMs,
  })) {
    expect(page, name).toMatch(new RegExp(`\`${name}\`\\s${value}\\b`));
  }
});

test("the protocol page names every frame of blobs, with every time and bound", () => {
  const codec = readFileSync(new URL("../../../src/wire/blob-codec.ts", import.meta.url), "utf8");
  const kinds = [...codec.matchAll(/\$case: "(\w+)"/g)].map(([, kind]) => kind);
  for (const kind of [...kinds, "want", "ask", "put", "end", "missing"]) {
    expect(page).toContain(`\`${kind}\``);
  }
  const { digestsMax, requestsMax, partBytesMax } = blobBounds;
  const { requestsAtOnce, stallMs, giveUpMs, unstoredBytesMax } = lanBlobOptions;
  const { replicateMs, askMs } = meshBlobDefaults;
  for (const [name, value] of Object.entries({
    ...{ digestsMax, requestsMax, partBytesMax, requestsAtOnce, stallMs, giveUpMs },
    ...{ unstoredBytesMax, replicateMs, askMs, unaskedBytesMax },
  })) {
    expect(page, name).toMatch(new RegExp(`\`${name}\` ${value}\\b`));
  }
});
