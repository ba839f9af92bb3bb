// The dashboard in a real browser: it shows what the terminal says, obeys nobody, and is quick.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAccess } from "../../src/ingress/callers.ts";
import { startDashboard } from "../../src/node/dashboard-server.ts";
import { formatMs } from "../../src/telemetry/duration.ts";
import { hasBrowser, openPage, startBrowser, type WatchedPage } from "../support/browser.ts";
import { meshSources } from "../support/dashboard-sources.ts";
import { eventually } from "../support/eventually.ts";
import {
  createPlace,
  type Place,
  root,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

const pageFolder = join(root, "dist/page");
const missing = !hasBrowser
  ? "/usr/bin/chromium is not installed"
  : existsSync(join(pageFolder, "page.js"))
    ? ""
    : "the page was not built (npm run prepare)";

const views = ["overview", "nodes", "actions", "builds", "cache", "scaling", "log"];
/** HTML, a terminal escape, a control character, and one that turns the direction of text. */
const hostile = "<img src=x onerror=alert(1)>\u001b[31m\u0007\u202egpj.exe";

/** A deadline for everything: the machine may have other things to do. */
const patienceMs = 120_000;

let browser: Browser;
beforeAll(async () => {
  if (missing === "") browser = await startBrowser();
});
afterAll(() => browser?.close());

/** Nothing went wrong in it, and it asked nobody but its own node. */
function isClean({ complaints, requests }: WatchedPage, url: string): void {
  expect(complaints).toEqual([]);
  expect(requests.filter((one) => !one.startsWith(url) && !one.startsWith("data:"))).toEqual([]);
}

const textOf = async (page: Page, selector: string) =>
  (await page.locator(selector).first().textContent({ timeout: patienceMs })) ?? "";

describe.skipIf(missing !== "")(`a node's dashboard ${missing}`, () => {
  let place: Place;
  let node: SpawnedNode;
  let url: string;

  beforeAll(async () => {
    place = createPlace();
    const flags = ["--workers-min", "1", "--slots", "2", "--name", "desk <b>&"];
    node = await startNode(place, [...flags, "--dashboard", "127.0.0.1:0"]);
    url = /Dashboard: (\S+)/.exec(node.said())?.[1] ?? "";
  });
  afterAll(async () => {
    await node?.stop();
    place?.remove();
  });

  const told = async (...words: string[]) => {
    const args = ["remote", ...words, "--json", "--coordinator", node.address];
    const answer = async () => {
      const { code, stdout } = await run(place, place.folder, "builder", args);
      return code === 0 && stdout;
    };
    return JSON.parse(await eventually(`the node tells its ${words[0]}`, answer, patienceMs));
  };

  function build(target: string, command: string, env: NodeJS.ProcessEnv = {}) {
    const text = `target ${target}:\n    command: ${command}\n    outputs: [out]\n`;
    const folder = place.workspace({ Builderfile: text });
    return run(place, folder, "bldr", ["build", target, `--remote=${node.address}`], env);
  }

  test("what it shows is what --json says, and a build appears", async () => {
    expect((await build("quick", "echo quick > out")).code).toBe(0);
    const watched = await openPage(browser, url);
    const { page } = watched;
    await eventually(
      "page and terminal agree",
      async () => {
        const status = await told("status");
        const { ended = 0, succeeded = 0, cacheLookups = 0 } = status.actions;
        expect(ended, "the build is counted").toBeGreaterThan(0);
        const share = `${((100 * succeeded) / ended).toFixed(1)}%`;
        const shown = await Promise.all(
          ["workers", "pending", "executing", "completed", "success"].map((id) =>
            textOf(page, `#figure-${id}`),
          ),
        );
        const wanted = [status.workers.length, status.pending, status.executing, ended, share];
        return cacheLookups > 0 && shown.join() === wanted.join();
      },
      patienceMs,
    );
    const top = await told("top");
    await page.goto(`${url}#nodes`);
    await eventually(
      "workers agree",
      async () => {
        const row = page.locator("section[aria-labelledby=workers] tbody tr").first();
        const cells = await row.locator("th, td").allTextContents();
        const [worker] = top.hosts[0].workers;
        return cells.slice(0, 4).join() === [worker.name, 2, 2, worker.ended].join();
      },
      patienceMs,
    );
    await page.goto(`${url}#actions`);
    await page.getByLabel("Ended").check();
    const listed = await told("actions", "--ended");
    await eventually(
      "actions agree",
      async () => {
        const said = await textOf(page, "section[aria-labelledby=actions] > .quiet");
        const isShown = (await textOf(page, ".long tbody")).includes(listed.actions[0].kind);
        return isShown && said.startsWith(`${listed.actions.length} of ${listed.total};`);
      },
      patienceMs,
    );
    await page.goto(`${url}#builds`);
    await page.getByRole("button", { name: listed.actions[0].invocation }).first().click();
    await eventually(
      "its timeline is drawn",
      async () => {
        const bars = await page.locator(".timeline .lane .bar").count();
        return (
          bars === listed.actions.filter((one: { worker: string }) => one.worker !== "").length
        );
      },
      patienceMs,
    );
    const profile = await told("profile", listed.actions[0].invocation);
    expect(profile.ran, "its actions are in the profile").toBe(1);
    await eventually(
      "the table beside it is the profile",
      async () => {
        const shown = await Promise.all(
          ["wall", "wait", "run"].map((id) => textOf(page, `#build-${id}`)),
        );
        const { wallMs, waitMs, runMs } = profile;
        return shown.join() === [wallMs, waitMs, runMs].map(formatMs).join();
      },
      patienceMs,
    );
    isClean(watched, url);
    await page.context().close();
  });

  test("an action's why opens and closes by keyboard alone", async () => {
    const stop = join(place.folder, "stop");
    const running = build("slow", `echo slow; while ! test -e stop; do sleep 0.05; done`);
    await eventually(
      "it runs",
      async () => (await told("actions", "--running")).total === 1,
      patienceMs,
    );
    const watched = await openPage(browser, url);
    const { page } = watched;
    const press = async (key: string, until: () => Promise<boolean>) => {
      for (let times = 0; times < 40 && !(await until()); times += 1)
        await page.keyboard.press(key);
      expect(await until(), `reached by ${key}`).toBe(true);
    };
    const focused = () => page.evaluate<string>("document.activeElement?.textContent ?? ''");
    await page.locator("nav a").first().waitFor();
    await press("Tab", async () => (await focused()) === "Actions");
    await page.keyboard.press("Enter");
    await page.locator(".long button").first().waitFor({ timeout: patienceMs });
    const onButton = () => page.evaluate<boolean>("document.activeElement?.tagName === 'BUTTON'");
    await press("Tab", async () => (await onButton()) && (await focused()).includes("//:slow"));
    await page.keyboard.press("Enter");
    const why = page.locator("aside.why");
    await why.getByText("It has run on worker-1").waitFor({ timeout: patienceMs });
    expect(await focused(), "readers are led to it").toContain("Why:");
    await press("Tab", async () => (await focused()) === "Close");
    await page.keyboard.press("Enter");
    await why.waitFor({ state: "detached" });
    expect(await focused()).toContain("//:slow");
    const [action] = (await told("actions", "--running")).actions;
    const args = ["remote", "cancel", action.operation, ...node.asOwner];
    await run(place, place.folder, "builder", args);
    writeFileSync(stop, "");
    await running;
    isClean(watched, url);
    await page.context().close();
  });

  test("every view works small and large, light and dark", async () => {
    for (const [width, colorScheme] of [
      [360, "dark"],
      [1200, "light"],
    ] as const) {
      const viewport = { width, height: 800 };
      const watched = await openPage(browser, url, { viewport, colorScheme });
      for (const view of views) {
        await watched.page.goto(`${url}#${view}`);
        await watched.page.locator("main h2").first().waitFor({ timeout: patienceMs });
        const wide = await watched.page.evaluate("document.documentElement.scrollWidth");
        expect(wide, `${view} at ${width}`).toBeLessThanOrEqual(width);
      }
      isClean(watched, url);
      await watched.page.context().close();
    }
  });
});

describe.skipIf(missing !== "")(`a large or hostile mesh ${missing}`, () => {
  async function serve(sources: ReturnType<typeof meshSources>) {
    const quiet = { now: Date.now, log: () => undefined };
    const access = createAccess(quiet, { tokenFile: undefined, anonymous: "admin" });
    const deps = { ...sources, access, pageFolder };
    return startDashboard(deps, { host: "127.0.0.1", port: 0 }, undefined);
  }

  test("hostile names are text", async () => {
    const sources = meshSources({ hosts: 3, actions: 30 }, hostile);
    const served = await serve(sources);
    try {
      const viewport = { width: 360, height: 800 };
      const watched = await openPage(browser, served.url, { viewport });
      const { page } = watched;
      for (const view of views) {
        await page.goto(`${served.url}#${view}`);
        await page.locator("main h2").first().waitFor({ timeout: patienceMs });
        if (["nodes", "actions", "builds", "log"].includes(view)) {
          await page
            .getByText("<img src=x")
            .first()
            .waitFor({ state: "attached", timeout: patienceMs });
        }
        if (view === "actions") await page.locator(".long button").first().click();
        if (view === "builds") {
          await page.locator("section[aria-labelledby=lately] button").first().click();
          await page.locator(".timeline").waitFor({ timeout: patienceMs });
        }
        const wide = await page.evaluate("document.documentElement.scrollWidth");
        expect(wide, `${view} is as wide as the screen`).toBe(360);
        expect(await page.locator("main img, main script").count(), view).toBe(0);
        const text = (await page.locator("main").textContent()) ?? "";
        // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
        expect(text, view).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u202a-\u202e]/);
      }
      isClean(watched, served.url);
      await page.context().close();
    } finally {
      served.close();
    }
  });

  test("200 hosts and 100,000 actions: few rows are drawn, all can be reached", async () => {
    const served = await serve(meshSources({ hosts: 200, actions: 100_000 }));
    try {
      const watched = await openPage(browser, `${served.url}#actions`);
      const { page } = watched;
      await page.getByText("1000 of 100000;").waitFor({ timeout: patienceMs });
      const rows = page.locator(".long tbody tr");
      expect(await rows.count()).toBeLessThan(60);
      await page.locator(".long").evaluate((box) => {
        box.scrollTop = box.scrollHeight;
      });
      await page.getByText("target_999 ").first().waitFor({ timeout: patienceMs });
      expect(await rows.count()).toBeLessThan(60);
      await page.goto(`${served.url}#nodes`);
      await page.locator(".map .host").nth(199).waitFor({ state: "attached", timeout: patienceMs });
      await page.locator(".map .steal").first().waitFor({ state: "attached", timeout: patienceMs });
      await page.goto(`${served.url}#builds`);
      await page.getByRole("button", { name: "build-7" }).first().click();
      await page.getByText("10000 actions in").waitFor({ timeout: patienceMs });
      const bars = await page.locator(".timeline .bar").count();
      expect(bars, "drawn as far as they can be told apart").toBeGreaterThan(60);
      expect(bars).toBeLessThanOrEqual(2000);
      isClean(watched, served.url);
      await page.context().close();
    } finally {
      served.close();
    }
  });
});
