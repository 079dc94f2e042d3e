/** `crashsafe completion SHELL`: a script for the shell to load. */

import { UsageError } from "./failures.ts";
import { HELP } from "./help.ts";
import { say } from "./output.ts";

const PUBLISH = [
  "--hash",
  "--algorithm",
  "--mtime",
  "--mode",
  "--durability",
  "--require-durability",
  "--no-clobber",
  "--symlink",
  "--parents",
  "--json",
];

/** What can follow each command. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  write: PUBLISH,
  copy: PUBLISH,
  hash: ["--algorithm", "--check"],
  lock: ["--shared", "--timeout", "--no-wait", "--busy"],
  orphans: ["--recursive", "--remove", "--older-than", "--also", "--json"],
  recover: ["--dry-run", "--json"],
  doctor: ["--json"],
  completion: [],
};

/** What can follow these options. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  "--algorithm": ["xxh3-128", "sha256", "sha512", "blake3"],
  "--durability": ["full", "file", "none"],
  "--symlink": ["follow", "replace", "refuse"],
  "--also": ["oxen", "aperture"],
};

const SHELLS: Readonly<Record<string, () => string>> = { bash, zsh, fish };

export async function completion(args: readonly string[]): Promise<number> {
  const [shell = "", ...rest] = args;
  const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
  if (script === undefined || rest.length > 0) throw new UsageError("wanted bash, zsh or fish");
  return await say(script());
}

/** The first words of a command's line in the help. */
function summaryOf(command: string): string {
  const lines = HELP.split("\n");
  const index = lines.findIndex((one) => one.startsWith(`  crashsafe ${command} `));
  const words = lines[index]?.trim().split(/ {2,}/)[1] ?? lines[index + 1] ?? "";
  return words.trim().replaceAll("'", "");
}

function bash(): string {
  const values = Object.entries(VALUES).map(([option, words]) =>
    `    ${option}) COMPREPLY=($(compgen -W '${words.join(" ")}' -- "$word")); return;;`
  );
  const options = Object.entries(OPTIONS).map(([command, words]) =>
    `    ${command}) options='${[...words, "--help"].join(" ")}';;`
  );
  return `_crashsafe() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} options=
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W '${Object.keys(OPTIONS).join(" ")} --help --version' -- "$word"))
    return
  fi
  case $before in
${values.join("\n")}
  esac
  case \${COMP_WORDS[1]} in
${options.join("\n")}
  esac
  if [ "\${COMP_WORDS[1]}" = completion ]; then
    COMPREPLY=($(compgen -W 'bash zsh fish' -- "$word"))
  elif [ "\${word#-}" != "$word" ]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -o filenames -F _crashsafe crashsafe`;
}

/** zsh understands the scripts of bash. */
function zsh(): string {
  return `#compdef crashsafe
autoload -U +X bashcompinit && bashcompinit
${bash()}`;
}

function fish(): string {
  const commands = Object.keys(OPTIONS).map((command) =>
    `complete -c crashsafe -n __fish_use_subcommand -f -a ${command} -d '${summaryOf(command)}'`
  );
  const options = Object.entries(OPTIONS).flatMap(([command, words]) =>
    words.map((option) => {
      const values = VALUES[option];
      const after = values === undefined ? "" : ` -x -a '${values.join(" ")}'`;
      return `complete -c crashsafe -n '__fish_seen_subcommand_from ${command}' -l ${
        option.slice(2)
      }${after}`;
    })
  );
  return [...commands, ...options].join("\n");
}
