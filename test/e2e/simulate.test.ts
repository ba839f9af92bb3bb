import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Place, root, run, startNode } from "../support/programs.ts";

const browser = "/usr/bin/chromium";
const trace = join(root, "simulations/traces/webrtc-build.json.gz");
let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

const builder = (...args: string[]) => run(place, place.folder, "builder", ["simulate", ...args]);

describe("builder simulate", () => {
  test("plays policies on a build of one's own, the same figures each time", async () => {
    const args = ["--trace", trace, "--policies", "builder,queue-count", "--json"];
    const first = await builder(...args);
    expect([first.stderr, first.code]).toEqual(["", 0]);
    const said = JSON.parse(first.stdout);
    expect(said.policies.map(({ name }: { name: string }) => name)).toEqual([
      "builder",
      "queue-count",
    ]);
    expect((await builder(...args)).stdout).toBe(first.stdout);
    const npm = await run(place, root, process.execPath, [
      "simulations/main.ts",
      "scaling",
      ...args,
    ]);
    expect(npm.stdout).toBe(first.stdout);
  });

  test("recommends flags, and says what they come to", async () => {
    const { stdout } = await builder("--trace", trace, "--policies", "builder", "--recommend");
    const line = /^ {2}builder remote configure (.*)$/m.exec(stdout)?.[1] ?? "";
    expect(line).toMatch(/--workers-min 2 --workers-max 40 --target-wait \d+m?s --idle-time \d+m/);
    expect(stdout).toMatch(
      /^p95 wait [\d.]+ s, [\d.]+ worker-hours, [\d.]+ flaps a day at most\.$/m,
    );
  });

  test("plays what a node recorded", async () => {
    const target = (n: number) =>
      `target s${n}:\n    command: sleep 0.${n}; echo ${n} > o${n}\n    outputs: [o${n}]\n`;
    const Builderfile = Array.from({ length: 8 }, (_, n) => target(n + 1)).join("\n");
    const workspace = place.workspace({ Builderfile });
    const node = await startNode(place, [
      "--sandbox",
      "none",
      "--workers-min",
      "1",
      "--slots",
      "2",
    ]);
    const record = join(place.folder, "day.jsonl");
    try {
      const build = ["build", "-j", "4", `--remote=${node.address}`];
      expect((await run(place, workspace, "bldr", build)).code).toBe(0);
      const asked = ["remote", "record", "--out", record, ...node.asOwner];
      expect((await run(place, workspace, "builder", asked)).code).toBe(0);
    } finally {
      await node.stop();
    }
    const { stdout, stderr } = await builder("--trace", record, "--policies", "builder");
    expect([stderr, stdout]).toEqual(["", expect.stringContaining("1 build, 8 actions")]);
  });

  test("says of the example what its page says", async () => {
    const folder = join(root, "examples/scaling-policy");
    const page = readFileSync(join(folder, "README.md"), "utf8");
    const [, command = ""] = /```sh\n(builder simulate [\s\S]*?)\n```/.exec(page) ?? [];
    const words = command.replaceAll("\\\n", " ").split(/\s+/);
    const args = words.slice(2).filter((word) => !/^(--report|report\.html)$/.test(word));
    const { stdout, stderr, code } = await run(place, folder, "builder", ["simulate", ...args]);
    expect([stderr, code]).toEqual(["", 0]);
    const [, table = ""] = /```text\n([\s\S]*?)\n\n\* no other/.exec(page) ?? [];
    const [recommended = ""] = /^builder remote configure .*$/m.exec(page) ?? [];
    expect(table.split("\n")).toHaveLength(13);
    for (const line of [...table.split("\n"), recommended]) expect(stdout).toContain(line);
  });

  test("says what is wrong with what it was given, and ends with 2", async () => {
    const bad = join(place.folder, "bad.yaml");
    writeFileSync(bad, "nodes: {mni: 1}\n");
    const empty = join(place.folder, "empty.log");
    writeFileSync(empty, "");
    for (const [args, why] of [
      [[bad], /there is no field nodes\.mni/],
      [["none.yaml"], /none\.yaml cannot be read/],
      [["--trace", empty], /is empty\. Give a record/],
      [["--policies", "mine"], /There is no policy mine; there are builder,/],
      [["--sweep", "idle=x"], /idle wants times/],
      [["--seeds", "0"], /whole number from 1 to 100/],
    ] as const) {
      const { stderr, code } = await builder(...args);
      expect([stderr, code]).toEqual([expect.stringMatching(why), 2]);
    }
  });

  test.skipIf(!existsSync(browser))(
    "writes a page that opens without a network, in light and dark (needs /usr/bin/chromium)",
    async () => {
      const page = join(place.folder, "report.html");
      const scenario = join(place.folder, "spot.yaml");
      const spot = "nodes: {spot: true, onDemandBase: 2, owned: [8]}";
      const gone = "interruptions: [{at: 11h, within: 1h, share: 0.3}]";
      writeFileSync(scenario, `name: <spot> & "noon"\n${spot}\n${gone}\n`);
      const sweep = ["--sweep", "target-wait=5s,15s"];
      const ended = await builder(scenario, ...sweep, "--report", page);
      expect([ended.stderr, ended.code]).toEqual(["", 0]);
      expect(readFileSync(page, "utf8")).not.toMatch(/https?:\/\//);
      const args = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
      ];
      const chrome = await chromium.launch({ executablePath: browser, args });
      try {
        const backgrounds = [];
        for (const colorScheme of ["light", "dark"] as const) {
          const tab = await chrome.newPage({ colorScheme, viewport: { width: 1100, height: 900 } });
          const asked: string[] = [];
          const troubles: string[] = [];
          tab.on("request", (request) => asked.push(request.url()));
          tab.on("pageerror", (error) => troubles.push(error.message));
          tab.on("console", (message) => troubles.push(message.text()));
          const url = pathToFileURL(page).href;
          await tab.goto(url);
          expect([asked, troubles]).toEqual([[url], []]);
          expect(await tab.title()).toBe('<spot> & "noon": scaling policies');
          expect(await tab.locator("tbody tr").count()).toBe(9);
          expect(await tab.locator("figure svg").count()).toBe(6);
          expect(await tab.locator("svg circle.dot.swept").count()).toBe(2);
          expect(await tab.locator("svg rect.bar.lost").count()).toBeGreaterThan(0);
          expect(await tab.locator("body").textContent()).not.toMatch(/NaN|undefined|Infinity/);
          const drawn = await tab
            .locator("figure")
            .evaluateAll((figures) => figures.map((figure) => figure.innerHTML).join(""));
          expect(drawn).not.toMatch(/NaN|undefined|Infinity/);
          const isWithin = "document.documentElement.scrollWidth <= innerWidth";
          expect(await tab.evaluate(isWithin)).toBe(true);
          backgrounds.push(await tab.evaluate("getComputedStyle(document.body).backgroundColor"));
          await tab.close();
        }
        expect(backgrounds).toEqual(["rgb(255, 255, 255)", "rgb(18, 22, 27)"]);
      } finally {
        await chrome.close();
      }
    },
  );
});
