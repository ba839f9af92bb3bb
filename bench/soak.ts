// Full load for a long time, to see whether memory stays flat: `npm run bench -- soak --minutes
// 60`. Lanes execute new actions, write and read blobs, ask what is missing, and look results up;
// the store is small, so that it evicts all the while.

import { digestOf } from "../src/cas/hash.ts";
import { createRng } from "../src/core/rng.ts";
import { toWireDigest } from "../src/wire/reapi.ts";
import { memoryKib, residentMiB } from "./own-node.ts";
import { type Reapi, reapiClient } from "./reapi-client.ts";

/** What a soak does. */
export interface SoakOptions {
  readonly address: string;
  readonly minutes: number;
  /** Processes whose memory is watched, by name. */
  readonly pidByName: ReadonlyMap<string, number>;
}

const lanes = 24;
const sampleMs = 30_000;

/** Runs it and prints a line of figures every half minute. Fails on the first wrong answer. */
export async function soak({ address, minutes, pidByName }: SoakOptions): Promise<void> {
  const client = reapiClient(address);
  const endMs = performance.now() + minutes * 60_000;
  const counts = { executed: 0, written: 0, read: 0, looked: 0, refused: 0 };
  const print = () => {
    const memory = [...pidByName].map(([name, pid]) => `${name} ${memoryOf(pid)}`);
    const done = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
    const leftMin = Math.max(0, (endMs - performance.now()) / 60_000).toFixed(1);
    process.stdout.write(`${leftMin} min left · MiB: ${memory.join(", ")} · ${done.join(", ")}\n`);
  };
  print();
  const timer = setInterval(print, sampleMs);
  try {
    const lane = async (seed: number) => {
      const rng = createRng(seed);
      for (let turn = 0; performance.now() < endMs; turn += 1) {
        await oneTurn(client, counts, `${seed} ${turn}`, rng.below(100));
      }
    };
    await Promise.all(Array.from({ length: lanes }, (_, seed) => lane(seed + 1)));
  } finally {
    clearInterval(timer);
    print();
    client.close();
  }
}

async function oneTurn(
  client: Reapi,
  counts: Record<string, number>,
  unique: string,
  dice: number,
): Promise<void> {
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  try {
    if (dice < 60) {
      await client.execute(await client.uploadAction(unique));
      count("executed");
    } else if (dice < 90) {
      const bytes = Buffer.alloc(dice < 88 ? 3000 + dice : 300_000, unique);
      const digest = toWireDigest(await digestOf(bytes, "sha256"));
      await client.write(digest, bytes);
      count("written");
      const back = await client.read(digest);
      if (!back.equals(bytes)) throw new Error(`blob ${digest.hash} came back wrong`);
      count("read");
    } else {
      await client.findMissing(200)();
      count("looked");
    }
  } catch (error) {
    // A store that is full of blobs in use says so; that is right, and the lane goes on.
    if (!/all of it is in use/.test(String(error))) throw error;
    count("refused");
  }
}

function memoryOf(pid: number): string {
  const mapped = memoryKib(pid, "RssFile") / 1024;
  return `${residentMiB(pid).toFixed(0)} (+${mapped.toFixed(0)} mapped)`;
}
