"""How commands show things: a table for people, or an object of JSON a line for programs."""

import enum
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from google.protobuf.message import Message

Row: TypeAlias = Mapping[str, object]

# Of the contract's enums, which a table shows without them and in lower case.
_PREFIXES = (
    "ACCOUNT_CHANGE_KIND_",
    "ACCOUNT_STATUS_",
    "APPROVAL_STATUS_",
    "AUDIT_OUTCOME_",
    "HOLD_STATUS_",
    "MOVEMENT_KIND_",
    "ROLE_",
)
_GAP = "  "


class Format(enum.StrEnum):
    """What is printed."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[
    Format,
    typer.Option("--output", "-o", help="A table for people, or JSON: one object a line."),
]


def examples(*lines: str) -> str:
    """The end of a command's help: lines as they are typed."""
    return "\n\n".join(["Examples:" if len(lines) > 1 else "Example:", *lines])


def rows(messages: Iterable["Message"]) -> list[Row]:
    """Messages of the contract as the JSON API shows them."""
    from balance_service.messages.json_form import to_dict

    return [to_dict(message) for message in messages]


def row(message: "Message") -> Row:
    """A message of the contract as the JSON API shows it."""
    return rows([message])[0]


def show_list(shown: Iterable[Row], columns: Sequence[str], form: Format) -> None:
    """Prints some objects.

    Args:
        shown: The objects.
        columns: Which of their fields a table has; JSON has all.
        form: What is printed.
    """
    if form is Format.JSON:
        for each in shown:
            print_json(each)
        return
    lines = [[_cell(each.get(column)) for column in columns] for each in shown]
    if not lines:
        typer.echo("There is none.", err=True)
        return
    _print_aligned([[column.replace("_", " ").upper() for column in columns], *lines])


def show_one(shown: Row, form: Format, leave_out: Sequence[str] = ()) -> None:
    """Prints an object.

    Args:
        shown: The object.
        form: What is printed.
        leave_out: Fields that are not for people. Of the others, a table leaves out what is empty.
    """
    if form is Format.JSON:
        print_json(shown)
        return
    told = {name: _cell(value) for name, value in shown.items() if name not in leave_out}
    _print_aligned([[name.replace("_", " "), text] for name, text in told.items() if text])


def confirm(question: str, *, yes: bool) -> None:
    """Asks on a terminal before what cannot be taken back; leaves with status 1 unless told yes.

    Args:
        question: What is about to be done.
        yes: Whether the option `--yes` was given. A program, too, is not asked.
    """
    if not yes and sys.stdin is not None and sys.stdin.isatty():
        typer.confirm(question, abort=True, err=True)


def print_json(shown: Row) -> None:
    """Prints an object in a line."""
    typer.echo(json.dumps(shown, ensure_ascii=False))


def _print_aligned(lines: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True)
        ]
        typer.echo(_GAP.join(cells).rstrip())


def _cell(value: object) -> str:
    """A value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_cell(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(map(_cell, value))
    text = "" if value is None else str(value)
    for prefix in _PREFIXES:
        if text.startswith(prefix):
            return text.removeprefix(prefix).lower().replace("_", " ")
    return " ".join(text.split())
