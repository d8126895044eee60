#!/usr/bin/env python3
"""manual.py OUT PROGRAM: writes payonce.1.gz, payonce.bash (completion) and Debian's changelog.gz into OUT.

Manual and completion are made of what the program says at --help, command by command, so they cannot tell another
story. The same program gives the same bytes: the date is SOURCE_DATE_EPOCH's, if any.
"""

import dataclasses
import datetime
import email.utils
import gzip
import os
import pathlib
import re
import subprocess
import sys

TITLE = re.compile(r"^(Positionals|Options|Settings|Subcommands|\[Option Group: .*\]|[A-Z][\w ]*):$")
ENTRY = re.compile(r"^  (\S.*?)(?:  +(\S.*))?$")


@dataclasses.dataclass
class Command:
    """What one --help says."""

    words: list
    about: str
    entries: list = dataclasses.field(default_factory=list)  # (title, [(name, text)])
    rest: str = ""  # what stands below: explanations and examples

    def names(self, title):
        return [name for heading, entries in self.entries if heading == title for name, _ in entries]

    def flags(self):
        found = [re.findall(r"--[a-z0-9-]+", name) for heading, entries in self.entries
                 if heading not in ("Subcommands", "Positionals") for name, _ in entries]
        return sorted({flag for flags in found for flag in flags})


def help_of(program, words):
    done = subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True, timeout=60)
    about, _, below = done.stdout.partition("\nUsage: ")
    command = Command(words, " ".join(about.split()))
    lines = below.splitlines()[1:]
    while lines and (not lines[0] or (TITLE.match(lines[0]) and not lines[0].startswith("Examples"))):
        title, entries = lines.pop(0).rstrip(":"), []
        if not title:
            continue
        while lines and (lines[0].startswith("  ")):
            line = lines.pop(0)
            if line.startswith(" " * 20) and entries:
                entries[-1][1] += f" {line.strip()}"
            else:
                entries.append(list(ENTRY.match(line).groups(default="")))
        command.entries.append((title, entries))
    command.rest = "\n".join(lines).strip()
    return command


def commands_of(program, words=()):
    """The command itself, then each below it."""
    command = help_of(program, list(words))
    found = [command]
    for name in command.names("Subcommands"):
        found += commands_of(program, (*words, name))
    return found


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def section_of(command):
    """One command: what it does, its options, the rest as it stands."""
    out = []
    if command.words:
        out += [f".SH PAYONCE {roff(' '.join(command.words)).upper()}", roff(command.about)]
    for title, entries in command.entries:
        if title != "Options" or len(entries) > 1:
            out.append(f".SS {roff(title)}")
            for name, text in entries:
                out += [".TP", f"\\fB{roff(name.strip())}\\fR", roff(text.strip()) or "\\&"]
    if command.rest:
        out += [".SS Notes and examples", ".nf", roff(command.rest), ".fi"]
    return out


def manual(commands, version, day):
    top = commands[0]
    out = [f'.TH PAYONCE 1 "{day}" "Payonce {version}" "User Commands"', ".SH NAME",
           "payonce \\- caching gateway and inference engine for large language models", ".SH SYNOPSIS",
           "\\fBpayonce\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]", ".SH DESCRIPTION", roff(top.about)]
    for command in commands:
        out += section_of(command)
    out += [".SH FILES", ".TP", "\\fI/etc/payonce/payonce.toml\\fR", "Configuration of the service.",
            ".TP", "\\fI/var/lib/payonce\\fR", "Data of the service.",
            ".TP", "\\fI~/.local/share/payonce\\fR", "Data of a program started by a user.",
            ".SH SEE ALSO", "\\fI/usr/share/doc/payonce\\fR, \\fBsystemctl\\fR(1)"]
    return "\n".join(out) + "\n"


def completion(commands):
    """Commands and flags; values are completed as files."""
    arms = []
    for command in commands:
        words = " ".join([*command.names("Subcommands"), *command.flags()])
        arms.append(f'    "{" ".join(command.words)}") words="{words}" ;;')
    parents = sorted({" ".join(one.words) for one in commands if one.names("Subcommands")})
    cases = "|".join(f'"{parent}"' for parent in parents)
    return f"""# bash completion for payonce, made of its --help
_payonce() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} path="" word words=""
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $path in
      {cases}) [[ $word == -* ]] || path="${{path:+$path }}$word" ;;
    esac
  done
  case $path in
{chr(10).join(arms)}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o default -F _payonce payonce
"""


def packed(target, text):
    target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main():
    out, program = pathlib.Path(sys.argv[1]), sys.argv[2]
    out.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    when = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", 0)) or
                                           int(datetime.datetime.now().timestamp()), datetime.timezone.utc)
    commands = commands_of(program)
    packed(out / "payonce.1.gz", manual(commands, version, when.strftime("%Y-%m-%d")))
    (out / "payonce.bash").write_text(completion(commands), encoding="utf-8")
    packed(out / "changelog.gz", f"payonce ({version}) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n"
           f" -- Payonce contributors <payonce@localhost>  {email.utils.format_datetime(when)}\n")


if __name__ == "__main__":
    main()
