// The dashboard as people wait for it: a page of a node in a mesh of 200 hosts with 100,000
// actions, in headless Chromium, beside an empty page from the same machine.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import type { Browser } from "playwright-core";
import { createAccess } from "../src/ingress/callers.ts";
import { startDashboard } from "../src/node/dashboard-server.ts";
import { openPage, startBrowser } from "../test/support/browser.ts";
import { meshSources } from "../test/support/dashboard-sources.ts";
import { median, percentile, type Row } from "./table.ts";

const pageFolder = join(resolve(import.meta.dirname, ".."), "dist/page");
const size = { hosts: 200, actions: 100_000 };
const what = `${size.hosts} hosts, ${size.actions} actions`;

/** Measures it. Wants /usr/bin/chromium and the built page. */
export async function* benchDashboard(runs: number): AsyncGenerator<Row> {
  const access = createAccess(
    { now: Date.now, log: () => undefined },
    { tokenFile: undefined, anonymous: "admin" },
  );
  const deps = { ...meshSources(size), access, pageFolder };
  const served = await startDashboard(deps, { host: "127.0.0.1", port: 0 }, undefined);
  const empty = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<h2>empty</h2>");
  });
  await new Promise<void>((ready) => empty.listen(0, "127.0.0.1", ready));
  const bare = `http://127.0.0.1:${(empty.address() as AddressInfo).port}/`;
  const browser = await startBrowser();
  try {
    const [ours, yardstick]: [number[], number[]] = [[], []];
    let bytes = 0;
    for (let run = 0; run < runs; run += 1) {
      const opened = await openMs(browser, served.url, "#figure-workers");
      ours.push(opened.ms);
      bytes = opened.bytes;
      yardstick.push((await openMs(browser, bare, "h2")).ms);
    }
    const beside = `an empty page: ${median(yardstick).toFixed(0)} ms`;
    yield { what: `first figures, ${what}`, figure: `${median(ours).toFixed(0)} ms`, beside };
    yield { what: "bytes until then", figure: `${(bytes / 1024).toFixed(0)} KiB`, beside: "-" };
    const frames = await framesWhileScrolling(browser, served.url);
    yield {
      what: "frames while a list of 1,000 rows scrolls: median, the slowest of twenty",
      figure: `${frames.p50.toFixed(0)} ms, ${frames.p95.toFixed(0)} ms`,
      beside: "60 a second: 17 ms",
    };
  } finally {
    await browser.close();
    empty.close();
    served.close();
  }
}

/** Time from the address to the first figure, and what had come by then. */
async function openMs(browser: Browser, url: string, selector: string) {
  const startMs = performance.now();
  const { page } = await openPage(browser, url);
  await page.locator(selector).first().waitFor();
  const ms = performance.now() - startMs;
  const bytes = await page.evaluate<number>(
    "performance.getEntries().reduce((sum, { transferSize = 0 }) => sum + transferSize, 0)",
  );
  await page.context().close();
  return { ms, bytes };
}

async function framesWhileScrolling(browser: Browser, url: string) {
  const { page } = await openPage(browser, `${url}#actions`);
  await page.getByText("1000 of").waitFor();
  const times = await page.evaluate<number[]>(`new Promise((resolve) => {
    const box = document.querySelector(".long");
    const times = [];
    let before = performance.now();
    function frame(now) {
      times.push(now - before);
      before = now;
      box.scrollTop += 120;
      if (times.length < 240) requestAnimationFrame(frame);
      else resolve(times.slice(1));
    }
    requestAnimationFrame(frame);
  })`);
  await page.context().close();
  return { p50: median(times), p95: percentile(times, 0.95) };
}
