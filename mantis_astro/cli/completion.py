"""``mantis-astro completion``: script that completes the command in a shell."""

import argparse
import shlex
from typing import NamedTuple

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "Print the script for completion in bash, zsh or fish."
_EPILOG = """\
To use it, write one of these lines once, and open another terminal:

  mantis-astro completion bash > ~/.local/share/bash-completion/completions/mantis-astro
  mantis-astro completion zsh > ~/.zfunc/_mantis-astro      (with ~/.zfunc in fpath)
  mantis-astro completion fish > ~/.config/fish/completions/mantis-astro.fish
"""


class _Argument(NamedTuple):
    names: tuple  # of an option; empty for a positional argument
    help: str
    words: tuple  # what it may be
    takes_value: bool
    takes_file: bool  # or anything else than one of these words


def add_arguments(sub):
    """Add the arguments of the command."""
    sub.add_argument("shell", choices=list(_WRITERS))
    sub.epilog = _EPILOG
    sub.formatter_class = argparse.RawDescriptionHelpFormatter


def run(options):
    """Run the command."""
    from mantis_astro import cli

    commands = _commands(cli.make_parser())
    print("\n".join(_WRITERS[options.shell](commands)))


def _commands(parser):
    """Collect the summary and the arguments of each command."""
    (subparsers,) = (
        a for a in parser._actions if isinstance(a, argparse._SubParsersAction)
    )
    return {
        name: (sub.description, [_argument(action) for action in sub._actions])
        for name, sub in subparsers.choices.items()
    }


def _argument(action):
    words = action.choices or getattr(action, "words", tuple)()
    return _Argument(
        tuple(action.option_strings),
        " ".join((action.help or "").split()).replace("%%", "%"),
        tuple(map(str, words)),
        action.nargs != 0,
        action.nargs != 0 and not action.choices,
    )


def _bash(commands):
    """Write for bash: words where they are known, else files."""
    yield "# bash completion of mantis-astro"
    yield "_mantis_astro() {"
    yield '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"'
    yield '  local command="${COMP_WORDS[1]}" words= options= value= files='
    yield "  local IFS=$'\\n'"
    yield '  case "$command" in'
    for command, (_, arguments) in commands.items():
        options = shlex.quote(" ".join(_names(arguments)))
        words = shlex.quote(" ".join(_words(arguments)))
        positional = [a for a in arguments if not a.names]
        files = int(any(a.takes_file for a in positional))
        yield f"    {command}) options={options} words={words} files={files};;"
    yield "  esac"
    yield '  case "$command $prev" in'
    for command, (_, arguments) in commands.items():
        for argument in arguments:
            if argument.names and argument.takes_value:
                names = "|".join(f"{command}\\ {name}" for name in argument.names)
                value = shlex.quote(" ".join(argument.words))
                files = int(argument.takes_file)
                yield f"    {names}) words={value} value=1 files={files};;"
    yield "  esac"
    yield "  if [[ $COMP_CWORD -eq 1 ]]; then"
    yield f"    words={shlex.quote(' '.join(commands))}"
    yield "  elif [[ -z $value && $cur == -* ]]; then"
    yield "    words=$options"
    yield "  elif [[ $files -eq 1 ]]; then"
    yield '    COMPREPLY=($(compgen -f -- "$cur"))'
    yield "  fi"
    yield '  COMPREPLY+=($(compgen -W "${words// /$\'\\n\'}" -- "$cur"))'
    yield "}"
    yield "complete -o filenames -F _mantis_astro mantis-astro"


def _zsh(commands):
    """Write for zsh, with the help of each option."""
    yield "#compdef mantis-astro"
    yield "_mantis_astro() {"
    yield "  local -a commands"
    yield "  commands=("
    for command, (summary, _) in commands.items():
        yield f"    {shlex.quote(f'{command}:{summary}')}"
    yield "  )"
    yield "  if (( CURRENT == 2 )); then _describe command commands; return; fi"
    yield "  local command=${words[2]}"
    yield "  shift words; (( CURRENT-- ))"
    yield "  case $command in"
    for command, (_, arguments) in commands.items():
        yield f"    {command}) _arguments \\"
        for argument in arguments:
            for name in argument.names or ("*",):
                yield f"      {shlex.quote(_zsh_specification(name, argument))} \\"
        yield "      ;;"
    yield "  esac"
    yield "}"
    yield 'if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _mantis_astro "$@"'
    yield "else compdef _mantis_astro mantis-astro; fi"


def _zsh_specification(name, argument):
    escaped = "".join(f"\\{c}" if c in "[]:\\" else c for c in argument.help)
    words = " ".join(argument.words)
    if not argument.takes_file:
        what = f"({words})"
    elif words:
        what = f"{{compadd -- {words}; _files}}"
    else:
        what = "_files"
    if name == "*":
        return f"*:{escaped}:{what}"
    value = f":value:{what}" if argument.takes_value else ""
    return f"{name}[{escaped}]{value}"


def _fish(commands):
    """Write for fish, with the help of each option."""
    yield "# fish completion of mantis-astro"
    for command, (summary, arguments) in commands.items():
        start = "complete -c mantis-astro -n"
        yield f"{start} __fish_use_subcommand -f -a {command} -d {_fish_text(summary)}"
        start += f" {_fish_text(f'__fish_seen_subcommand_from {command}')}"
        for argument in arguments:
            line = start
            for name in argument.names:
                is_long = name.startswith("--")
                line += f" -l {name[2:]}" if is_long else f" -s {name[1:]}"
            if argument.names and argument.takes_value:
                line += " -r" if argument.takes_file else " -x"
            if argument.words:
                line += f" -a {_fish_text(' '.join(argument.words))}"
            if argument.names or argument.words:
                yield f"{line} -d {_fish_text(argument.help)}"


def _fish_text(text):
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _names(arguments):
    return [name for argument in arguments for name in argument.names]


def _words(arguments):
    """Words that stand without an option."""
    return [word for a in arguments if not a.names for word in a.words]


_WRITERS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
