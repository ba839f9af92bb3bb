// Runs one action at a node as a client that knows nothing of toolchains: `ADDRESS COMMAND`, a line
// for a shell that writes a file `out`. Prints that file, behind `cached` where nothing was run.

import { prepareAction } from "../../src/build/prepared-action.ts";
import { createRemoteExecutor } from "../../src/build/remote-executor.ts";
import { hermeticDefaults } from "../../src/builderfile/model.ts";
import type { BuildAction } from "../../src/rules/build-action.ts";
import { fromWireDigest } from "../../src/wire/reapi.ts";

const [address = "", command = ""] = process.argv.slice(2);
const build: BuildAction = {
  ...{ id: "//plain", target: "//plain", mnemonic: "Custom", argv: ["/bin/sh", "-c", command] },
  ...{ env: {}, workingDirectory: "", inputs: [], outputs: ["out"], keep: [] },
  hermetic: hermeticDefaults,
  ...{ remote: true, cache: true, priority: 0, parallelism: undefined },
};
const executor = createRemoteExecutor(
  { openStore: async () => undefined, onGone: () => undefined, onReached: () => undefined },
  [{ address, tls: undefined, token: undefined }],
  "test/1",
);
const prepared = await prepareAction(build, { salt: new Uint8Array(), toolchain: undefined }, []);
const { result, cached, failure } = await executor.execute(prepared, {
  ...{ invocation: "plain", signal: new AbortController().signal, fresh: false },
  events: { uploaded: () => undefined, started: () => undefined },
});
if (failure !== undefined) throw new Error(failure.message);
const out = await executor.get(fromWireDigest(result.outputFiles[0]?.digest, "sha256", "out"));
process.stdout.write(`${cached ? "cached " : ""}${Buffer.from(out)}`);
await executor.close();
