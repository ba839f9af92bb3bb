// `bldr completion`: scripts that let a shell complete commands, flags and targets. They ask the
// program itself (`bldr complete`), so they need no change when it does.

import { type Command, InvalidArgumentError } from "commander";

const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

/** Adds the command, and the one that its scripts call. */
export function addCompletionCommand(program: Command): void {
  program
    .command("completion")
    .addArgument(program.createArgument("<shell>", "whose script").choices(shells))
    .description("Print a completion script for a shell.")
    .action((shell: Shell) => {
      process.stdout.write(scriptFor(shell));
    });
  program
    .command("complete", { hidden: true })
    .argument("<line>", "the command line up to the cursor", boundedLine)
    .action(async (line: string) => {
      const { completionWords } = await import("../completion-words.ts");
      const words = completionWords(program, line, process.cwd());
      process.stdout.write(words.map((word) => `${word}\n`).join(""));
    });
}

function boundedLine(text: string): string {
  if (text.length <= 1 << 16) return text;
  throw new InvalidArgumentError("It wants a line of at most 65536 characters.");
}

function scriptFor(shell: Shell): string {
  switch (shell) {
    case "bash":
      return bashScript;
    case "zsh":
      return zshScript;
    case "fish":
      return fishScript;
  }
}

/** Bash takes : and = for ends of words: what stands before the last is not to be repeated. */
const bashScript = `# bldr completion for bash: eval "$(bldr completion bash)"
_bldr_complete() {
  local line="\${COMP_LINE:0:COMP_POINT}" word found cut=""
  word="\${line##*[[:space:]]}"
  case "$word" in *[:=]*) cut="\${word%"\${word##*[:=]}"}" ;; esac
  COMPREPLY=()
  while IFS= read -r found; do
    COMPREPLY+=("\${found#"$cut"}")
  done < <("\${COMP_WORDS[0]}" complete -- "$line" 2>/dev/null)
  case "\${COMPREPLY[*]}" in *:|*//|*=) compopt -o nospace ;; esac
}
complete -o default -F _bldr_complete bldr
`;

const zshScript = `#compdef bldr
# bldr completion for zsh: eval "$(bldr completion zsh)"
_bldr_complete() {
  local line="\${(j: :)words[1,CURRENT]}"
  local -a found
  found=("\${(@f)$("\${words[1]}" complete -- "$line" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -S '' -- "\${found[@]}"; else _files; fi
}
compdef _bldr_complete bldr
`;

const fishScript = `# bldr completion for fish: bldr completion fish | source
function __bldr_complete
    bldr complete -- (commandline -cp | string collect) 2>/dev/null
end
complete -c bldr -a '(__bldr_complete)'
`;
