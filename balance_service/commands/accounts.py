"""`balance-service account`: what people have, and what operators decide about it."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from balance_service.commands.desk import (
    Account,
    Duration,
    Limit,
    Reason,
    Since,
    Until,
    Yes,
    at_desk,
)
from balance_service.commands.output import (
    Format,
    Output,
    confirm,
    examples,
    row,
    rows,
    show_list,
    show_one,
)

app = typer.Typer(no_args_is_help=True, help="What people have, and what is decided about it.")

COLUMNS = ("number", "currency", "balance", "available", "status", "user", "id")
ENTRY_COLUMNS = ("date", "kind", "amount", "balance_after", "description", "movement")
CHANGE_COLUMNS = ("date", "kind", "before", "after", "principal", "reason")
LEFT_OUT = ("etag", "external_ids")


class Status(enum.StrEnum):
    """What accounts may be."""

    ACTIVE = "active"
    FROZEN = "frozen"
    DEBITS_FROZEN = "debits-frozen"
    CLOSED = "closed"


@app.command(
    epilog=examples(
        "balance-service account find --user boris@example.com",
        "balance-service account find --status frozen --currency RUB --limit 100",
    )
)
def find(
    user: Annotated[
        str, typer.Option(help="Whose: id, address or username.", show_default=False)
    ] = "",
    currency: Annotated[str, typer.Option(help="In this currency.", show_default=False)] = "",
    status: Annotated[
        Status | None, typer.Option(help="Only those that are this.", show_default=False)
    ] = None,
    limit: Limit = 20,
    output: Output = Format.TABLE,
) -> None:
    """Find accounts: somebody's, or anybody's by currency and status."""
    from balance_service.operations import accounts

    value = f"ACCOUNT_STATUS_{status.name}" if status else ""
    found = at_desk(lambda desk: accounts.find(desk, user, currency, value, limit))
    show_list(rows(found), COLUMNS, output)


@app.command(epilog=examples("balance-service account show 1234567897"))
def show(account: Account, output: Output = Format.TABLE) -> None:
    """Show an account: its balance, what is held of it, its limits and its status."""
    from balance_service.operations import accounts

    found, limits_end = at_desk(lambda desk: accounts.show(desk, account))
    more = {"limits_end_time": limits_end.isoformat()} if limits_end else {}
    show_one({**row(found), **more}, output, LEFT_OUT)


@app.command(
    epilog=examples(
        "balance-service account statement 1234567897",
        "balance-service account statement 1234567897 --since 2026-11-01T00:00Z --limit 1000",
    )
)
def statement(
    account: Account,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    output: Output = Format.TABLE,
) -> None:
    """Explain a balance: the account and its entries, the newest first; JSON has the entries."""
    from balance_service.operations import accounts

    period = accounts.Period(since, until)
    found, entries, archived = at_desk(
        lambda desk: accounts.statement(desk, account, period, limit)
    )
    if output is Format.TABLE:
        show_list([row(found)], COLUMNS[:-1], output)
        typer.echo()
    show_list(rows(entries), ENTRY_COLUMNS, output)
    if archived:
        typer.echo(f"Entries before {archived.isoformat()} are archived.", err=True)


@app.command(
    epilog=examples(
        "balance-service account download 1234567897 november.pdf"
        " --since 2026-11-01T00:00Z --until 2026-12-01T00:00Z",
    )
)
def download(
    account: Account,
    file: Annotated[
        Path,
        typer.Argument(help="Where to: a new file, .csv, .jsonl or .pdf.", show_default=False),
    ],
    since: Since = None,
    until: Until = None,
) -> None:
    """Write an account's statement for a period, with every entry, into a file."""
    from balance_service.messages.statement_files.forms import Form
    from balance_service.operations import accounts

    forms = {form.suffix: form for form in Form}
    if file.suffix not in forms:
        raise typer.BadParameter(f"must end with {', '.join(forms)}", param_hint="FILE")
    if file.exists():
        raise typer.BadParameter("is there already", param_hint="FILE")
    period, form = accounts.Period(since, until), forms[file.suffix]
    # Under another name until it is whole.
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as opened:
            at_desk(lambda desk: accounts.download(desk, account, period, form, opened))
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)
    typer.echo(f"{file} is written")


@app.command(epilog=examples("balance-service account changes 1234567897"))
def changes(account: Account, limit: Limit = 20, output: Output = Format.TABLE) -> None:
    """Show what was decided about an account, by whom and why, the newest first."""
    from balance_service.operations import accounts

    found = at_desk(lambda desk: accounts.changes(desk, account, limit))
    show_list(rows(found), CHANGE_COLUMNS, output)


@app.command(epilog=examples('balance-service account freeze 1234567897 --reason "Ticket 812"'))
def freeze(
    account: Account,
    reason: Reason,
    *,
    debits_alone: Annotated[
        bool, typer.Option("--debits-alone", help="Let money come in still.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Freeze an account: no money moves on it, or with `--debits-alone` none leaves it."""
    from balance_service.operations import accounts

    done = at_desk(lambda desk: accounts.freeze(desk, account, reason, debits_alone=debits_alone))
    show_one(row(done), output, LEFT_OUT)


@app.command(epilog=examples('balance-service account unfreeze 1234567897 --reason "Ticket 812"'))
def unfreeze(account: Account, reason: Reason, output: Output = Format.TABLE) -> None:
    """Let money move on a frozen account again."""
    from balance_service.operations import accounts

    show_one(row(at_desk(lambda desk: accounts.unfreeze(desk, account, reason))), output, LEFT_OUT)


@app.command(epilog=examples('balance-service account close 1234567897 --reason "Ticket 815"'))
def close(
    account: Account, reason: Reason, *, yes: Yes = False, output: Output = Format.TABLE
) -> None:
    """Close an account that has neither money nor holds on it."""
    from balance_service.operations import accounts

    confirm(f"Close the account {account}?", yes=yes)
    show_one(row(at_desk(lambda desk: accounts.close(desk, account, reason))), output, LEFT_OUT)


@app.command(epilog=examples('balance-service account reopen 1234567897 --reason "Ticket 816"'))
def reopen(account: Account, reason: Reason, output: Output = Format.TABLE) -> None:
    """Open a closed account again."""
    from balance_service.operations import accounts

    show_one(row(at_desk(lambda desk: accounts.reopen(desk, account, reason))), output, LEFT_OUT)


@app.command(
    epilog=examples(
        'balance-service account limit 1234567897 --daily 500000 --for 1d --reason "Buys a car"',
        'balance-service account limit 1234567897 --daily none --overdraft 0 --reason "Ticket 9"',
    )
)
def limit(
    account: Account,
    reason: Reason,
    overdraft: Annotated[
        str, typer.Option(help="How far below zero it may go.", show_default=False)
    ] = "",
    debit: Annotated[
        str,
        typer.Option(help="The most that is taken from it at once, or none.", show_default=False),
    ] = "",
    daily: Annotated[
        str,
        typer.Option(help="The most that is taken from it in a day, or none.", show_default=False),
    ] = "",
    life: Duration = None,
    output: Output = Format.TABLE,
) -> None:
    """Set limits of an account; one above its ceiling waits for another admin, with status 3.

    "none" takes the account's own limit away, so that the service's holds. With `--for`, those of
    debits go back to what they were, unless others are set meanwhile.
    """
    from balance_service.operations import accounts

    limits = accounts.NewLimits(overdraft, debit, daily)
    done = at_desk(lambda desk: accounts.set_limits(desk, account, limits, reason, life))
    show_one(row(done), output, LEFT_OUT)


@app.command(
    name="sub-accounts",
    epilog=examples(
        'balance-service account sub-accounts 1234567897 8 --reason "The shop on a sale day"',
        'balance-service account sub-accounts 1234567897 0 --reason "The sale is over"',
    ),
)
def sub_accounts(
    account: Account,
    count: Annotated[
        int, typer.Argument(min=0, max=64, help="How many; 0 for none.", show_default=False)
    ],
    reason: Reason,
    output: Output = Format.TABLE,
) -> None:
    """Give an account sub-accounts, so that many workers can add to it at once.

    They are not seen outside: balance, limits, statement and number stay those of the account.
    """
    from balance_service.operations import accounts

    done = at_desk(lambda desk: accounts.set_sub_accounts(desk, account, count, reason))
    show_one(row(done), output, LEFT_OUT)
