// `bldr verify`: whether actions make the same again under other conditions.

import { availableParallelism } from "node:os";
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
  const session = await import("../build-session.ts");
  const { MeshError } = await import("../../src/core/error.ts");
  const { defaultStore } = await import("../../src/node/config.ts");
  const { verifyBuild } = await import("../../src/node/verify-build.ts");
  const { openLocal } = await import("../chosen-node.ts");
  const { isReproducible, renderVerification, verificationAsJson } = await import(
    "../verify-report.ts"
  );
  if (flags.sandbox === "none") {
    const message = "What is to be compared needs the sandbox: leave --sandbox=none out.";
    throw new MeshError("INVALID_ARGUMENT", message);
  }
  const workspace = session.openHere();
  const wanted = session.wantedTargets(workspace, names, false);
  const opened = await session.openSession(flags, "stderr");
  const { output, signal } = opened;
  const shown = output.show();
  const report = session.reportOf(opened, Date.now());
  const atOnce = flags.jobs ?? workspace.space().jobs ?? availableParallelism();
  try {
    return await session.interruptible(opened, async () => {
      const verification = await verifyBuild(
        {
          open: (sandboxFor) => openLocal({ ...flags, atOnce }, sandboxFor),
          stateFolder: flags.store ?? defaultStore(process.env["XDG_CACHE_HOME"]),
          emit: (event) => {
            shown.take(event);
            if (flags.json !== true) report.emit(event);
          },
          now: Date.now,
        },
        { workspace, wanted, signal, jobs: 2 * atOnce, env: process.env },
      );
      shown.stop();
      if (signal.aborted) return session.interruptedCode;
      const render = flags.json === true ? verificationAsJson : renderVerification;
      process.stdout.write(render(verification));
      return isReproducible(verification) ? 0 : 1;
    });
  } finally {
    shown.stop();
    await opened.close();
  }
}
