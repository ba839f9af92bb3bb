import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findMetadata, type SpotNotice, watchSpotNotices } from "../../src/cloud/spot-notice.ts";
import { eventually } from "../support/eventually.ts";
import { type ImdsDouble, startImdsDouble } from "../support/imds-double.ts";

const nowMs = Date.parse("2026-11-27T08:20:00Z");
let metadata: ImdsDouble;
let notices: SpotNotice[];
let stop: () => void = () => undefined;

beforeEach(async () => {
  metadata = await startImdsDouble();
  notices = [];
  const onNotice = (notice: SpotNotice) => notices.push(notice);
  const deps = { endpoint: metadata.url, now: () => nowMs, onNotice };
  stop = watchSpotNotices(deps, { everyMs: 5, answerMsMax: 30_000 }).stop;
});
afterEach(async () => {
  stop();
  await metadata.close();
});

const looksAgain = async () => {
  const before = metadata.looks();
  await eventually("it looks again", () => metadata.looks() > before + 3);
};

test("nothing announced is no notice, nor is a service that fails or forgets its tokens", async () => {
  await looksAgain();
  metadata.expireTokens();
  await looksAgain();
  metadata.fail(503);
  await looksAgain();
  metadata.fail(undefined);
  await looksAgain();
  expect(notices).toEqual([]);
});

test("a notice is told once, with the time that is left", async () => {
  await looksAgain();
  metadata.announce('{"action": "terminate", "time": "2026-11-27T08:21:50Z"}');
  await eventually("it is told", () => notices.length > 0);
  expect(notices).toEqual([{ action: "terminate", lastsMs: 110_000 }]);
  const looks = metadata.looks();
  await new Promise((turn) => setImmediate(turn));
  expect(metadata.looks()).toBe(looks);
});

test.each([
  ['{"action":"stop","time":"2026-11-27T08:19:00Z"}', { action: "stop", lastsMs: 0 }],
  ['{"action":"stop","time":"2036-01-01T00:00:00Z"}', { action: "stop", lastsMs: 120_000 }],
  ['{"action":7,"time":"soon"}', { action: "terminate", lastsMs: 120_000 }],
  ["not JSON at all", { action: "terminate", lastsMs: 120_000 }],
  ["[]".repeat(1e6), { action: "terminate", lastsMs: 120_000 }],
  ["null", { action: "terminate", lastsMs: 120_000 }],
])("an answer that makes little sense is a notice all the same: %.40s", async (body, notice) => {
  metadata.announce(body);
  await eventually("it is told", () => notices.length > 0);
  expect(notices).toEqual([notice]);
});

test("only a machine of EC2 has such a service, unless the environment names one", () => {
  const folder = mkdtempSync(join(tmpdir(), "builder-vendor-"));
  const vendor = (name: string) => {
    writeFileSync(join(folder, "vendor"), `${name}\n`);
    return join(folder, "vendor");
  };
  const named = { AWS_EC2_METADATA_SERVICE_ENDPOINT: "http://127.0.0.1:1338/" };
  expect(findMetadata({}, vendor("LENOVO"))).toBeUndefined();
  expect(findMetadata({}, join(folder, "none"))).toBeUndefined();
  expect(findMetadata({}, vendor("Amazon EC2"))).toBe("http://169.254.169.254");
  expect(findMetadata(named, vendor("LENOVO"))).toBe("http://127.0.0.1:1338");
  const off = { ...named, AWS_EC2_METADATA_DISABLED: "true" };
  expect(findMetadata(off, vendor("Amazon EC2"))).toBeUndefined();
  rmSync(folder, { recursive: true });
});
