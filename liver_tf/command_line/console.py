"""The console script: ``liver-tf predict ...`` runs ``python -m trainers.predict ...``."""

import difflib
import runpy
import sys

from liver_tf import __version__
from liver_tf.command_line.commands import FOLDERS, find_commands


def main() -> int:
    """Run the command that the first argument names; returns the exit status."""
    arguments = sys.argv[1:]
    commands = find_commands()
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(overview())
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    name, *rest = arguments
    if name not in commands:
        near = difflib.get_close_matches(name, commands, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        print(f"no command {name!r}.{hint} See liver-tf --help.", file=sys.stderr)
        return 1
    sys.argv = [sys.argv[0], *rest]
    runpy.run_module(commands[name].module, run_name="__main__", alter_sys=True)
    return 0


def overview() -> str:
    """All commands with one line each."""
    commands = find_commands().values()
    width = max(len(command.name) for command in commands)
    lines = []
    for folder, title in FOLDERS.items():
        lines += [f"{title}:"] + [
            f"  {command.name:{width}}  {command.summary}"
            for command in commands
            if command.module.startswith(f"{folder}.")
        ]
    usage = "usage: liver-tf COMMAND [flags]; liver-tf COMMAND --help lists the flags"
    note = (
        "All arguments of a command are flags. --flagfile=FILE reads flags from a file;\n"
        "shipped files, such as hier_freeze.flags, are found by name."
    )
    return "\n".join([usage, "", *lines, "", note])
