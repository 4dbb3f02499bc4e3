"""What operators do about people and their money, as they type it."""

import json
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from balance_service.config import Settings
from tests.cli import Typed
from tests.operators_story import EMAIL, Story, tell
from tests.service import Contents

NOBODY = str(uuid4())
WHY = ("--reason", "Ticket 812")


@pytest.fixture
def story(service_settings: Settings) -> Story:
    return tell(service_settings)


@pytest.fixture
def typed(service_settings: Settings) -> Typed:
    return Typed(service_settings.environment())


def objects(text: str) -> list[dict[str, Any]]:
    """What a command printed for a program."""
    return [json.loads(line) for line in text.splitlines()]


def events(typed: Typed, action: str) -> list[dict[str, Any]]:
    """The events of an action, the newest first."""
    return objects(typed("audit", "list", "--action", action, "-o", "json"))


def one(typed: Typed, *command: str) -> dict[str, Any]:
    (shown,) = objects(typed(*command, "-o", "json"))
    return shown


def test_user_is_found_by_address_name_and_username_and_shown_with_accounts(
    typed: Typed, story: Story
) -> None:
    for text in ("boris@", "petrov", "bori"):
        found = objects(typed("user", "find", text, "-o", "json"))
        assert [user["id"] for user in found] == [story.user]
    for name in (EMAIL, "boris", story.user):
        shown = one(typed, "user", "show", name)
        assert shown["email"] == EMAIL
        assert [account["number"] for account in shown["accounts"]] == [story.number]
    table = typed("user", "show", "boris")
    assert "last name" in table
    assert f"{story.number}  RUB       2550.30" in table
    assert typed("user", "find", "nobody-at-all") == "There is none.\n"
    listed = objects(typed("user", "list", "--role", "user", "-o", "json"))
    assert {user["email"] for user in listed} == {EMAIL, "anna@example.com"}
    assert len(typed("user", "list", "--limit", "1").splitlines()) == 2


def test_statement_explains_the_balance(typed: Typed, story: Story) -> None:
    future = ("--since", "2999-01-01T00:00Z")
    told = typed("account", "statement", story.number)
    assert told.splitlines()[1].split()[:3] == [story.number, "RUB", "2550.30"]
    entries = objects(typed("account", "statement", story.account, "-o", "json"))
    assert [entry["amount"] for entry in entries] == ["-100.00", "-750.50", "-1599.20", "5000.00"]
    assert typed.run("account", "statement", story.number, *future, "-o", "json").out == ""
    assert one(typed, "account", "show", story.number)["held"] == "50.00"


def test_movements_are_taken_back_once(typed: Typed, story: Story) -> None:
    key = ("--request-id", str(uuid4()))
    first = one(typed, "purchase", "refund", story.purchase, *WHY, "--amount", "99.20", *key)
    again = one(typed, "purchase", "refund", story.purchase, *WHY, "--amount", "99.20", *key)
    assert first == again
    assert (first["amount"], first["balance"]) == ("99.20", "2649.50")
    assert first["principal"] == "operator"
    shown = one(typed, "movement", "show", story.purchase)
    assert (shown["reversed_amount"], shown["reversals"]) == ("99.20", [first["id"]])
    for what, movement in (("withdrawal", story.withdrawal), ("transfer", story.transfer)):
        typed(what, "reverse", movement, *WHY)
    typed("deposit", "reverse", story.deposit, *WHY, "--amount", "1")
    refused = typed.run("deposit", "reverse", story.deposit, *WHY)
    assert refused.status == 3
    assert "INSUFFICIENT" not in refused.err
    assert "missing" in refused.err or "money" in refused.err
    told = events(typed, "movement.reversed")
    assert len(told) == 4
    assert {str(event["actor"]).partition(":")[0] for event in told} == {"operator"}
    assert {event["reason"] for event in told} == {"Ticket 812"}
    assert all(event["sequence"] for event in told), "sealed at once, though no service runs"
    assert all((event["network"], event["request_id"]) == ("", "") for event in told)
    assert "The ledger is clean." in typed("verify")


def test_hold_is_shown_and_voided(typed: Typed, story: Story) -> None:
    assert one(typed, "hold", "show", story.hold)["left"] == "50.00"
    assert one(typed, "hold", "void", story.hold, *WHY)["status"] == "HOLD_STATUS_VOIDED"
    assert "voided before" in typed("hold", "void", story.hold, *WHY, status=3)
    (event,) = events(typed, "hold.voided")
    assert event["reason"] == "Ticket 812"
    assert "see `hold show`" in typed("movement", "show", story.hold, status=2)
    assert "The ledger is clean." in typed("verify")


def test_account_is_given_sub_accounts(typed: Typed, story: Story) -> None:
    assert one(typed, "account", "sub-accounts", story.number, "8", *WHY)["sub_accounts"] == 8
    assert one(typed, "account", "show", story.number)["sub_accounts"] == 8
    typed("account", "sub-accounts", story.number, "3", *WHY)
    typed("account", "sub-accounts", story.number, "0", *WHY)
    assert "sub_accounts" not in one(typed, "account", "show", story.number)
    told = events(typed, "account.sub_accounts_set")
    counts = [(event["before"]["sub_accounts"], event["after"]["sub_accounts"]) for event in told]
    assert counts == [("3", "0"), ("8", "3"), ("0", "8")]
    assert {event["reason"] for event in told} == {"Ticket 812"}
    assert "The ledger is clean." in typed("verify")


def test_account_is_frozen_unfrozen_closed_and_reopened(typed: Typed, story: Story) -> None:
    number = story.number
    assert "debits frozen" in typed("account", "freeze", number, *WHY, "--debits-alone")
    assert one(typed, "account", "freeze", number, *WHY)["status"] == "ACCOUNT_STATUS_FROZEN"
    found = objects(typed("account", "find", "--status", "frozen", "-o", "json"))
    assert [account["number"] for account in found] == [number]
    mine = objects(typed("account", "find", "--user", EMAIL, "--currency", "rub", "-o", "json"))
    assert [account["number"] for account in mine] == [number]
    assert typed.run("account", "find", "--user", EMAIL, "--status", "closed").out == ""
    typed("account", "unfreeze", number, *WHY)
    typed("account", "close", number, *WHY, status=3)
    typed("hold", "void", story.hold, *WHY)
    typed("withdrawal", "reverse", story.withdrawal, *WHY)
    typed("transfer", "reverse", story.transfer, *WHY)
    typed("purchase", "refund", story.purchase, *WHY)
    typed("deposit", "reverse", story.deposit, *WHY)
    assert "closed" in typed("account", "close", number, *WHY, "--yes")
    assert "active" in typed("account", "reopen", number, *WHY)
    changes = objects(typed("account", "changes", number, "-o", "json"))
    assert [change["kind"] for change in changes][:2] == [
        "ACCOUNT_CHANGE_KIND_REOPEN",
        "ACCOUNT_CHANGE_KIND_CLOSE",
    ]
    assert {change["reason"] for change in changes} == {"Ticket 812"}
    assert [event["target"] for event in events(typed, "account.closed")] == [
        f"account:{story.account}"
    ]
    assert "The ledger is clean." in typed("verify")


def test_limits_are_set_and_above_a_ceiling_wait_for_another_admin(
    typed: Typed, story: Story
) -> None:
    set_ = one(typed, "account", "limit", story.number, "--debit", "10", "--daily", "20", *WHY)
    assert (set_["debit_limit"], set_["daily_limit"]) == ("10.00", "20.00")
    assert not one(typed, "account", "limit", story.number, "--debit", "none", *WHY)["debit_limit"]
    ceiling = {"BALANCE_APPROVAL_OVERDRAFT_ABOVE": "RUB=100"}
    needed = typed.run("account", "limit", story.number, "--overdraft", "101", *WHY, **ceiling)
    assert needed.status == 3
    (waiting,) = objects(typed("approval", "list", "-o", "json"))
    assert str(waiting["id"]) in needed.err
    assert str(waiting["requester"]).startswith("operator:")
    assert one(typed, "account", "show", story.number)["limit"] == "0.00"
    assert "overdraft" in typed("account", "limit", story.number, *WHY, status=2)
    assert "The ledger is clean." in typed("verify")


def test_stolen_account_is_stopped_by_one_command(typed: Typed, story: Story) -> None:
    shown = one(typed, "user", "disable", EMAIL, "--freeze-reason", "Phone stolen")
    assert shown["disable_time"]
    (account,) = shown["accounts"]
    assert account["status"] == "ACCOUNT_STATUS_FROZEN"
    assert [event["reason"] for event in events(typed, "account.frozen")] == ["Phone stolen"]
    assert len(events(typed, "user.disabled")) == 1
    assert "disable_time" not in one(typed, "user", "enable", EMAIL)
    typed("user", "end-sessions", EMAIL)
    assert "The ledger is clean." in typed("verify")


def test_user_is_exported_and_erased(typed: Typed, story: Story) -> None:
    exported = objects(typed("user", "export", EMAIL))
    assert [next(iter(each)) for each in exported] == [
        "profile", "session", "account", "entry", "entry", "entry", "entry",
    ]  # fmt: skip
    (event,) = events(typed, "user.exported")
    assert event["sequence"]
    typed("user", "erase", EMAIL, *WHY, status=3)
    wrong = "another-one-of-tests-and-long-enough-98765"
    assert "sealed with" in typed("user", "erase", EMAIL, *WHY, status=1, BALANCE_SECRET=wrong)
    typed("hold", "void", story.hold, *WHY)
    for what, verb in (("withdrawal", "reverse"), ("transfer", "reverse"), ("purchase", "refund")):
        typed(what, verb, getattr(story, what), *WHY)
    typed("deposit", "reverse", story.deposit, *WHY)
    assert one(typed, "user", "erase", EMAIL, *WHY)["erase_time"]
    assert typed.run("user", "show", EMAIL).status == 3
    (erased,) = events(typed, "user.erased")
    assert erased["reason"] == "Ticket 812"
    assert "The ledger is clean." in typed("verify")


def test_admins_are_listed_and_revoked(typed: Typed, story: Story) -> None:
    typed("admin", "create", "root@example.com")
    assert "root@example.com" in typed("admin", "list")
    assert one(typed, "admin", "revoke", "root@example.com")["role"] == "ROLE_USER"
    assert "root@example.com" not in typed("admin", "list")
    assert "is no admin" in typed("admin", "revoke", EMAIL, status=1)
    newest = events(typed, "user.role_changed")[0]
    assert (newest["before"], newest["after"]) == ({"role": "admin"}, {"role": "user"})


REFUSED = {
    "user show nobody@example.com": 3,
    f"user show {NOBODY}": 3,
    "user show no@b@c": 2,
    "user disable nobody": 3,
    "user list --role king": 2,
    "account show 1234567890": 2,
    "account show 1234567897": 3,
    "account show x": 2,
    f"account show {NOBODY}": 3,
    "account statement 1234567897 --since yesterday": 2,
    "account statement 1234567897 --since 2026-11-01T00:00": 2,
    "account find --currency XXX": 2,
    f"account freeze {NOBODY} --reason a": 3,
    f"account freeze {NOBODY}": 2,
    f"account sub-accounts {NOBODY} 8 --reason a": 3,
    f"account sub-accounts {NOBODY} 65 --reason a": 2,
    f"account limit {NOBODY} --reason a --daily 1": 3,
    "movement show x": 2,
    f"movement show {NOBODY}": 3,
    "movement find ''": 2,
    f"purchase refund {NOBODY} --reason a": 3,
    f"purchase refund {NOBODY} --reason a --amount -1": 2,
    f"purchase refund {NOBODY} --reason ''": 2,
    f"deposit reverse {NOBODY}": 2,
    f"hold void {NOBODY} --reason a": 3,
    "hold show x": 2,
    "audit list --action x": 2,
    "audit list --limit 0": 2,
    "approval list --status open": 2,
    f"keys show {NOBODY}": 1,
}


def test_what_is_wrong_is_told_and_changes_nothing(
    typed: Typed, contents: Callable[[], Contents], story: Story
) -> None:
    before = contents()
    for command, status in REFUSED.items():
        done = typed.run(*shlex.split(command))
        assert done.status == status, (command, done)
        assert done.out == ""
        assert "fault" not in done.err, command
        # What click refuses comes with how it is used.
        assert len(done.err.splitlines()) == 1 or "Usage:" in done.err, command
    assert contents() == before


def test_desk_needs_no_secret_but_to_erase(typed: Typed, story: Story) -> None:
    assert EMAIL in typed("user", "show", EMAIL, BALANCE_SECRET="")
    told = typed("user", "erase", EMAIL, *WHY, status=1, BALANCE_SECRET="")
    assert told == "BALANCE_SECRET is not set\n"


def test_statement_of_a_customer_does_not_tell_an_operators_login(
    typed: Typed, story: Story, database_url: str
) -> None:
    typed("purchase", "refund", story.purchase, *WHY)
    (newest, *_) = objects(typed("account", "statement", story.number, "-o", "json"))
    assert newest["principal"] == "operator"
    with psycopg.connect(database_url) as conn:
        kept = conn.execute(
            "SELECT principal FROM movements WHERE original_id = %s", (story.purchase,)
        ).fetchone()
    assert kept
    assert str(kept[0]).startswith("operator:")


def test_statement_is_written_into_a_new_file(typed: Typed, story: Story, tmp_path: Path) -> None:
    period = ("--since", "2020-01-01T00:00Z", "--until", datetime.now(UTC).isoformat())
    for suffix, start in ((".csv", b"Number,Date"), (".jsonl", b'{"opening"'), (".pdf", b"%PDF")):
        file = tmp_path / f"statement{suffix}"
        assert "is written" in typed("account", "download", story.number, str(file), *period)
        assert file.read_bytes().startswith(start)
        assert "is there already" in typed(
            "account", "download", story.number, str(file), *period, status=2
        )
    told = typed("account", "download", story.number, str(tmp_path / "a.csv"), status=2)
    assert "start_time" in told
    assert "must end with" in typed(
        "account", "download", story.number, str(tmp_path / "a.xls"), *period, status=2
    )
    assert {file.suffix for file in tmp_path.glob("*a*") if file.is_file()} == {
        ".csv", ".jsonl", ".pdf",
    }  # fmt: skip
