// `bldr verify`: whether actions make the same again under other conditions.

import type { Command } from "commander";
import { addLocalFlags, type BuildFlags } from "../build-flags.ts";

/** Adds the command. */
export function addVerifyCommand(program: Command): void {
  const command = program
    .command("verify")
    .argument("[targets...]", "app, :app or //folder:app; all of this folder's when left out")
    .description(
      "Build everything twice, under different conditions, and compare it byte by byte.",
    );
  addLocalFlags(command);
  command.action(async (names: string[], flags: BuildFlags) => {
    process.exitCode = await runVerify(names, flags);
  });
}

/** 0 where everything came out the same, 1 where something did not, or failed. */
async function runVerify(names: readonly string[], flags: BuildFlags): Promise<number> {
  const { MeshError } = await import("../../src/core/error.ts");
  const { verifyBuild } = await import("../../src/node/verify-build.ts");
  const { lookLocally } = await import("../local-look.ts");
  const { isReproducible, renderVerification, verificationAsJson } = await import(
    "../verify-report.ts"
  );
  if (flags.sandbox === "none") {
    const message = "What is to be compared needs the sandbox: leave --sandbox=none out.";
    throw new MeshError("INVALID_ARGUMENT", message);
  }
  const render = flags.json === true ? verificationAsJson : renderVerification;
  return lookLocally(flags, { names, test: false }, async (deps, request) => {
    const verification = await verifyBuild(deps, request);
    return { text: render(verification), isGood: isReproducible(verification) };
  });
}
