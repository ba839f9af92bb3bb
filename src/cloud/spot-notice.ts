// Whether EC2 is about to take this machine back: a spot machine learns it from the metadata
// service beside it, about two minutes before. Nobody else is told as early.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html

import { readFileSync } from "node:fs";

/** What was announced. */
export interface SpotNotice {
  /** `terminate`, `stop` or `hibernate`; the work is lost by each. */
  readonly action: string;
  /** How long this machine still lasts, in ms, 0 or more. */
  readonly lastsMs: number;
}

/** A watch that can be ended. */
export interface SpotWatch {
  stop(): void;
}

/** Times of the watch. */
export interface SpotWatchOptions {
  readonly everyMs: number;
  /** The service is on this very machine: what takes longer is not there. */
  readonly answerMsMax: number;
}

/** The defaults. EC2 recommends a look every 5 s. */
export const spotWatchDefaults: SpotWatchOptions = { everyMs: 5_000, answerMsMax: 2_000 };

/** Where an answer has no time that makes sense, what EC2 promises counts. */
const usualMs = 120_000;
const noticeBytesMax = 4_096;
const tokenLifeS = 21_600;

/**
 * The metadata service of this machine; undefined where it is none of EC2's. The variables are
 * those of every AWS tool: AWS_EC2_METADATA_SERVICE_ENDPOINT, AWS_EC2_METADATA_DISABLED.
 */
export function findMetadata(
  env: Readonly<Record<string, string | undefined>>,
  vendorFile = "/sys/class/dmi/id/sys_vendor",
): string | undefined {
  if (env["AWS_EC2_METADATA_DISABLED"]?.toLowerCase() === "true") return undefined;
  const named = env["AWS_EC2_METADATA_SERVICE_ENDPOINT"];
  if (named !== undefined && URL.canParse(named)) return named.replace(/\/+$/, "");
  try {
    const isEc2 = readFileSync(vendorFile, "utf8").startsWith("Amazon EC2");
    return isEc2 ? "http://169.254.169.254" : undefined;
  } catch {
    return undefined;
  }
}

/** Looks until something is announced, says so once and is done. */
export function watchSpotNotices(
  deps: {
    readonly endpoint: string;
    readonly now: () => number;
    readonly onNotice: (notice: SpotNotice) => void;
  },
  options: SpotWatchOptions = spotWatchDefaults,
): SpotWatch {
  const stopped = new AbortController();
  let token: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  function ask(path: string, init: RequestInit): Promise<Response> {
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(options.answerMsMax)]);
    return fetch(`${deps.endpoint}/latest/${path}`, { ...init, signal, redirect: "error" });
  }

  async function newToken(): Promise<string> {
    const headers = { "x-aws-ec2-metadata-token-ttl-seconds": String(tokenLifeS) };
    const answer = await ask("api/token", { method: "PUT", headers });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return (await firstBytes(answer)).trim();
  }

  async function look(): Promise<SpotNotice | undefined> {
    token ??= await newToken();
    const headers = { "x-aws-ec2-metadata-token": token };
    const answer = await ask("meta-data/spot/instance-action", { headers });
    if (answer.ok) return readNotice(await firstBytes(answer), deps.now());
    // Tokens end; the next look takes another one.
    if (answer.status === 401) token = undefined;
    await answer.body?.cancel();
    return undefined;
  }

  async function turn(): Promise<void> {
    // A service that is away for a moment is asked again: silence is no notice.
    const notice = await look().catch(() => undefined);
    if (stopped.signal.aborted) return;
    if (notice === undefined) timer = setTimeout(() => void turn(), options.everyMs).unref();
    else deps.onNotice(notice);
  }

  void turn();
  return {
    stop: () => {
      stopped.abort();
      clearTimeout(timer);
    },
  };
}

/** Any answer is a notice, whatever is in it. */
function readNotice(text: string, nowMs: number): SpotNotice {
  const { action, time } = fieldsOf(text);
  const atMs = typeof time === "string" ? Date.parse(time) : Number.NaN;
  // A clock that is wrong by hours must not make of it a notice for tomorrow.
  const lastsMs = Number.isNaN(atMs) ? usualMs : Math.min(usualMs, Math.max(0, atMs - nowMs));
  return { action: typeof action === "string" ? action.slice(0, 20) : "terminate", lastsMs };
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const said: unknown = JSON.parse(text);
    return typeof said === "object" && said !== null ? { ...said } : {};
  } catch {
    return {};
  }
}

async function firstBytes(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > noticeBytesMax) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
