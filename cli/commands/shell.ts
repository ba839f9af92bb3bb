// `bldr shell`: a shell, or a command of the user's, in the place where an action runs.

import type { Command } from "commander";
import { addLocalFlags, type BuildFlags } from "../build-flags.ts";

interface ShellFlags extends BuildFlags {
  readonly action?: string;
}

/** Adds the command. */
export function addShellCommand(program: Command): void {
  const command = program
    .command("shell")
    .argument("<target>", "app, :app or //folder:app")
    .argument("[command...]", "what to run there instead of a shell; write -- before it")
    .description("Look inside an action: a shell in its sandbox, with its inputs laid out.")
    .option("--action <name>", "which one, such as `CppCompile src/main.cpp`; else the last");
  addLocalFlags(command);
  command.action(async (name: string, words: string[], flags: ShellFlags) => {
    process.exitCode = await buildAndEnter(name, words, flags);
  });
}

async function buildAndEnter(
  name: string,
  command: readonly string[],
  flags: ShellFlags,
): Promise<number> {
  const { interruptedCode, interruptible, openHere, openSession, reportOf } = await import(
    "../build-session.ts"
  );
  const { printable } = await import("../../src/telemetry/logger.ts");
  const { parseTargetName } = await import("../../src/workspace/workspace.ts");
  const { enterShell } = await import("../../src/node/action-shell.ts");
  const workspace = openHere();
  const target = workspace.find(parseTargetName(name), workspace.here);
  const session = await openSession(flags, "stderr");
  const { output, signal } = session;
  const shown = output.show();
  const report = reportOf(session, Date.now());
  try {
    return await interruptible(session, async () => {
      const exitCode = await enterShell(
        {
          executor: await session.node.local(),
          emit: (event) => {
            shown.take(event);
            report.emit(event);
          },
          now: Date.now,
          entering: (id, script) => {
            shown.stop();
            if (command.length > 0) return;
            output.warn(`[INFO] Inside ${printable(id)}: ./${script} runs its command\n`);
          },
        },
        {
          ...{ workspace, target, action: flags.action, command, signal },
          jobs: session.jobs,
          env: process.env,
        },
      );
      return exitCode ?? (signal.aborted ? interruptedCode : 1);
    });
  } finally {
    shown.stop();
    await session.close();
  }
}
