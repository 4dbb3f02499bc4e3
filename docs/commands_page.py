"""Every command of `balance-service`, printed from the commands themselves."""

from collections.abc import Iterator

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from balance_service.cli import app

_STATUSES = {
    0: "It was done.",
    1: "It failed, for a reason told in one line on standard error: a database that is away, a key "
    "that is not there, a fault that `verify` found, a service that does not serve.",
    2: "The arguments or the settings are wrong; nothing was done.",
    3: "The service's rules refuse it, as they refuse it to any caller: no such user or account, "
    "too little money, a frozen account, an approval that is needed. Nothing was changed.",
    130: "It was interrupted.",
}
_HEAD = """# Commands

Made from `balance_service/commands` by `make docs`.

`balance-service COMMAND --help` shows the same. `balance-service --install-completion` completes
commands and options in your shell.

## Exit status

| status | means |
|---|---|
"""
_OUTPUT = """
## Output

With `--output table`, the default, people read it. With `--output json`, programs do: **one object
of JSON a line**, for a list as for a single thing, so that it can be read line by line, and
filtered by `jq`. What the API has, such as users, accounts, entries and movements, has the fields
of [its JSON](../reference/rpcs.md); later versions add fields, and rename none. Standard output has
nothing else: what is said besides is on standard error, and a bar of progress only where that is a
terminal.

On a terminal, what cannot be taken back is asked about first, unless `--yes` is given.

## At the desk

`user`, `account`, `movement`, `purchase` and the other commands about people and their money carry
out the service's own calls on the database, by the rules, limits and two-person rule that callers
meet. They go by the settings of their environment: give them those of the service. Whoever uses
them is an admin called `operator:LOGIN`, after their login at the machine, in the
[audit log](audit-log.md). Statements show customers `operator`.

A change above a ceiling waits for an admin who is signed in: nobody approves at the command line,
where a login is all that tells people apart.

## All commands

"""


def page() -> str:
    """The page."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup), "it has commands"
    commands = list(walk(root, ()))
    rows = [
        f"| [`{' '.join(path)}`](#{'-'.join(path)}) | {_summary(command)} |"
        for path, command in commands
    ]
    index = "\n".join(["| command | does |", "|---|---|", *rows])
    sections = "\n".join(_section(path, command) for path, command in commands)
    statuses = "".join(f"| {status} | {means} |\n" for status, means in _STATUSES.items())
    return f"{_HEAD}{statuses}{_OUTPUT}{index}\n\n{sections}"


def walk(
    group: TyperGroup, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    """The commands that do something, by their words; those that are hidden are left out."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if isinstance(command, TyperGroup):
            yield from walk(command, (*path, name))
        elif isinstance(command, TyperCommand):
            yield (*path, name), command


def examples(command: TyperCommand) -> list[str]:
    """How a command is typed, as its help shows."""
    return (command.epilog or "").split("\n\n")[1:]


def _summary(command: TyperCommand) -> str:
    return (command.help or "").partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def _section(path: tuple[str, ...], command: TyperCommand) -> str:
    parameters = [each for each in command.params if isinstance(each, TyperArgument | TyperOption)]
    parameters.sort(key=lambda each: isinstance(each, TyperOption))
    told = "\n\n".join(part.replace("\n", " ") for part in (command.help or "").split("\n\n"))
    typed = "\n".join(examples(command))
    rows = [_row(each) for each in parameters if not each.hidden]
    table = "\n".join(["| | | meaning |", "|---|---|---|", *rows]) + "\n\n" if rows else ""
    return f"## {' '.join(path)}\n\n{told}\n\n{table}```\n{typed}\n```\n"


def _row(parameter: TyperArgument | TyperOption) -> str:
    name = ", ".join(f"`{each}`" for each in (*parameter.opts, *parameter.secondary_opts))
    if isinstance(parameter, TyperArgument):
        name = f"`{(parameter.metavar or parameter.name or '').upper()}`"
    needed = "required" if parameter.required else _default(parameter)
    meaning = (parameter.help or "").replace("|", "\\|")
    return f"| {name} | {needed} | {meaning} |"


def _default(parameter: TyperArgument | TyperOption) -> str:
    shown = parameter.show_default
    if isinstance(shown, str):
        return shown
    if parameter.default in (None, "", False) or shown is False:
        return ""
    return f"`{parameter.default}`"
