// A headless Chromium that says whatever goes wrong in it.

import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const program = "/usr/bin/chromium";

/** False where the system's Chromium is not installed. */
export const hasBrowser = existsSync(program);

/** Starts it; it asks nobody for anything by itself. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: program,
    args: [
      ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
      ...["--disable-component-update", "--disable-sync"],
    ],
  });
}

/** A page, what it complained of, and what it asked for. */
export interface WatchedPage {
  readonly page: Page;
  /** Errors and warnings of its console, and exceptions. */
  readonly complaints: string[];
  /** URLs that it asked for. */
  readonly requests: string[];
}

/** Opens a page of its own context at `url`. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  const [complaints, requests]: [string[], string[]] = [[], []];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(url);
  return { page, complaints, requests };
}
