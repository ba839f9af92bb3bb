// Whether to use colour, and the few that are used.

/** What `--color` takes. */
export type ColorChoice = "auto" | "always" | "never";

/**
 * Whether to colour what goes to a stream: as `--color` says, else as `NO_COLOR` and `FORCE_COLOR`
 * say (https://no-color.org, https://force-color.org), else where a terminal can show it.
 */
export function usesColor(
  choice: ColorChoice,
  env: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): boolean {
  if (choice !== "auto") return choice === "always";
  if ((env["NO_COLOR"] ?? "") !== "") return false;
  const force = env["FORCE_COLOR"];
  if (force !== undefined && force !== "") return force !== "0" && force !== "false";
  return isTerminal && env["TERM"] !== "dumb";
}

const codes = { red: 31, green: 32, yellow: 33, dim: 2 };

/** A text in a colour, or as it is. */
export function colored(text: string, color: keyof typeof codes, on: boolean): string {
  return on ? `\x1b[${codes[color]}m${text}\x1b[0m` : text;
}
