// What every command shares: the log on standard error or output, errors as one clear line, exit
// codes.
//
//   0 done · 1 the build or its tests failed · 2 wrong use · 3 a node or this machine failed ·
//   4 a machine that was started to join ended itself · 130 ended by Ctrl-C

import { Command } from "commander";
import { failureOf } from "../src/core/error.ts";
import { endedItselfCode, NotJoinedError } from "../src/node/boot-order.ts";
import { version } from "../src/node/version.ts";

/** A command line program with this project's manners. */
export function createProgram(name: string, summary: string): Command {
  return new Command(name)
    .description(summary)
    .version(version)
    .showHelpAfterError("(add --help for what can be said)")
    .showSuggestionAfterError()
    .exitOverride((error) => {
      process.exit(error.exitCode === 0 ? 0 : 2);
    });
}

/** Runs a program; whatever it throws becomes one message and an exit code. */
export async function runProgram(program: Command): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    process.stderr.write(`[ERROR] ${failureOf(error).message}\n`);
    process.exitCode = exitCodeOfError(error);
  }
}

/** The exit code of a program that an error ended. */
export function exitCodeOfError(error: unknown): number {
  if (error instanceof NotJoinedError) return endedItselfCode;
  return ["INVALID_ARGUMENT", "NOT_FOUND"].includes(failureOf(error).code) ? 2 : 3;
}
