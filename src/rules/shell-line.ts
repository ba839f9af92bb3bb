// Words as `/bin/sh` reads them back.

/** A word as a shell reads it back: quoted where it must be. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Words as one command line. */
export function shellLine(words: readonly string[]): string {
  return words.map(shellWord).join(" ");
}

/** A command line that runs these lines, stopping at the first that fails. */
export function shellScript(lines: readonly string[]): string[] {
  return ["/bin/sh", "-e", "-c", lines.join("\n")];
}
