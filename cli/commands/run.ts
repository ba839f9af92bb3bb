// `bldr run`: builds a program and runs it.

import { join } from "node:path";
import type { Command } from "commander";
import type { Target } from "../../src/builderfile/model.ts";
import { MeshError } from "../../src/core/error.ts";
import { addBuildFlags, type BuildFlags } from "../build-flags.ts";
import { requestOf } from "../unchanged-answer.ts";

/** Adds the command. */
export function addRunCommand(program: Command): void {
  const command = program
    .command("run")
    .argument("<target>", "app, :app or //folder:app")
    .argument("[args...]", "arguments of the program; write -- before them")
    .description("Build an executable and run it here, with its arguments after --.");
  addBuildFlags(command);
  command.action(async (name: string, args: string[], flags: BuildFlags) => {
    process.exitCode = await buildAndRun(name, args, flags);
  });
}

async function buildAndRun(
  name: string,
  args: readonly string[],
  flags: BuildFlags,
): Promise<number> {
  const { buildOnce, exitCodeOf, interruptible, openHere, openSession, programStartMs } =
    await import("../build-session.ts");
  const { parseTargetName } = await import("../../src/workspace/workspace.ts");
  const startedAtMs = programStartMs();
  const workspace = openHere();
  const target = workspace.find(parseTargetName(name), workspace.here);
  checkExecutable(target.target);
  // Standard output belongs to the program.
  const session = await openSession(flags, "stderr");
  let exitCode: number;
  try {
    exitCode = await interruptible(session, async () => {
      const choose = () => ({ workspace, wanted: [target] });
      // The program's arguments make no other build.
      const request = requestOf(process.cwd(), ["run", name, JSON.stringify(flags)]);
      const asked = { request, choose, alone: false, test: false, startedAtMs };
      return exitCodeOf(session, await buildOnce(session, asked));
    });
  } finally {
    await session.close();
  }
  if (exitCode !== 0) return exitCode;
  const { ruleFor } = await import("../../src/rules/languages.ts");
  const { runProgram } = await import("../../src/node/run-program.ts");
  const [program = ""] = ruleFor(target.target).outputs(target);
  return runProgram(join(workspace.root, program), [...target.target.args, ...args]);
}

function checkExecutable({ name, type }: Target): void {
  if (type === "executable") return;
  const instead = type === "test" ? " Run it with bldr test." : "";
  throw new MeshError(
    "INVALID_ARGUMENT",
    `${name} cannot be run: its type is ${type}, not executable.${instead}`,
  );
}
