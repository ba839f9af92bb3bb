// `bldr diff-actions A B`: what the second of two actions has otherwise than the first.

import { availableParallelism } from "node:os";
import type { Command } from "commander";
import type { Digest } from "../../src/core/digest.ts";
import { addNodeChoice, type BuildFlags, checkEndpointFlags } from "../build-flags.ts";
import { chooseNode } from "../chosen-node.ts";
import { oneLine } from "../text-width.ts";

type DiffFlags = Omit<BuildFlags, "color" | "download">;

/** Adds the command. */
export function addDiffActionsCommand(program: Command): void {
  const command = program
    .command("diff-actions")
    .argument("<before>", "digest of an action: HASH/SIZE; at a node its first 6 digits do")
    .argument("<now>", "likewise")
    .description("Say what one action has otherwise than another: files, flags, variables, tools.");
  addNodeChoice(command);
  command
    .option("--store <folder>", "where blobs and results are kept on this machine")
    .action(diff);
}

async function diff(before: string, now: string, flags: DiffFlags): Promise<void> {
  checkEndpointFlags(flags);
  const { diffActions, noActionDigest, readActionDigest } = await import(
    "../../src/build/diff-actions.ts"
  );
  const how = { ...flags, color: "never", download: "none" } as const;
  const atOnce = availableParallelism();
  const node = await chooseNode({ ...how, defaultNode: undefined, atOnce }, (text) =>
    process.stderr.write(text),
  );
  const digestOf = async (text: string): Promise<Digest> => {
    const full = readActionDigest(text) ?? readActionDigest(await named(node.address, flags, text));
    if (full === undefined) throw noActionDigest(text);
    return full;
  };
  try {
    const [first, second] = [await digestOf(before), await digestOf(now)];
    const executor = await node.executorFor({ remote: node.address !== undefined });
    const lines = await diffActions((digest) => executor.get(digest), first, second);
    process.stdout.write(lines.map((line) => `${oneLine(line)}\n`).join(""));
  } finally {
    await node.close();
  }
}

/** What a node knows an action by; "" without one. */
async function named(address: string | undefined, flags: DiffFlags, text: string) {
  if (address === undefined) return "";
  const { readEndpoints } = await import("../../src/build/endpoint.ts");
  const { fetchExplanation } = await import("../../src/node/insight-client.ts");
  const [endpoint] = readEndpoints(address, flags, process.env["BUILDER_TOKEN"]);
  if (endpoint === undefined) return "";
  return (await fetchExplanation(endpoint, text)).action?.action ?? "";
}
