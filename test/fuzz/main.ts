// Feeds every decoder damaged inputs and stops at the first that is not refused as it should be.
//
//   node test/fuzz/main.ts [--inputs N] [--seed N] [--only NAME]

import { parseArgs } from "node:util";
import { fuzz, fuzzedDecoders } from "./decoders.ts";

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "1000000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 32) },
    only: { type: "string" },
  },
});
const [inputs, seed] = [Number(values.inputs), Number(values.seed)];
if (!Number.isSafeInteger(inputs) || inputs < 1 || !Number.isSafeInteger(seed)) {
  throw new Error("--inputs and --seed are whole numbers.");
}

console.log(`seed ${seed}, ${inputs} inputs`);
const { all, remove } = await fuzzedDecoders();
try {
  const chosen = all.filter(({ name }) => values.only === undefined || name === values.only);
  const each = Math.ceil(inputs / chosen.length);
  for (const fuzzed of chosen) {
    const startedMs = performance.now();
    const { name, taken, slowestMs } = await fuzz(fuzzed, each, seed);
    const s = ((performance.now() - startedMs) / 1000).toFixed(1);
    const slowest = `slowest ${slowestMs.toFixed(1)} ms`;
    console.log(
      `${name}: ${each} inputs, ${taken} taken, ${each - taken} refused, ${slowest}, ${s} s`,
    );
  }
  console.log("Every input was taken or refused as it should be.");
} finally {
  remove();
}
