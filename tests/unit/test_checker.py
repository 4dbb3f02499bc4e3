"""The checker of histories: each anomaly is seen, and what time allows is none."""

import dataclasses
from datetime import date
from itertools import accumulate
from typing import Any

import pytest

from rehearsals.checker import Entry, Journal, Stored, find_anomalies
from rehearsals.operation import Operation

A = "account a"


def deposit(name: str, invoked: float, returned: float, **changes: object) -> Operation:
    done = Operation("deposit", (A,), name, invoked, returned, "ok", f"movement {name}")
    return dataclasses.replace(done, **changes)  # type: ignore[arg-type]


def read(sequence: int, invoked: float, returned: float) -> Operation:
    return Operation("read", (A,), "", invoked, returned, "ok", str(sequence))


def journal(*names: str) -> Journal:
    """Deposits of 100 to one account, in this order."""
    entries = [Entry(n, name, f"movement {name}", 100, 100 * n) for n, name in enumerate(names, 1)]
    movements = {name: [f"movement {name}"] for name in names}
    return Journal(movements, {A: entries}, {A: Stored(100 * len(names))})


def found(operations: list[Operation], there: Journal) -> list[str]:
    return list(find_anomalies(operations, there))


def test_history_that_time_allows_has_no_anomaly() -> None:
    operations = [
        deposit("x", 0, 2),
        deposit("y", 1, 3),
        deposit("lost", 1, float("inf"), outcome="unknown", answer=""),
        read(0, 0, 1),
        read(1, 1, 2.5),
        read(2, 3.5, 4),
        Operation("withdrawal", (A,), "w", 3.5, 4, "refused", available_minor=200),
    ]
    assert found(operations, journal("x", "y")) == []
    assert found(operations[:2], journal("y", "x")) == []
    assert found(operations[:3], journal("y", "lost", "x")) == []


@pytest.mark.parametrize(
    ("operations", "there", "told"),
    [
        ([deposit("x", 0, 1)], journal(), "acknowledged and not there"),
        ([deposit("x", 0, 1, answer="other")], journal("x"), "acknowledged and not there"),
        ([deposit("x", 0, 1, outcome="refused")], journal("x"), "refused and done"),
        ([], journal("x"), "never asked"),
        (
            [deposit("x", 0, 1, together="x"), deposit("y", 0, 1, outcome="unknown", together="x")],
            journal("x"),
            "done in part",
        ),
        ([deposit("x", 0, 1), deposit("y", 2, 3)], journal("y", "x"), "asked for later"),
        ([deposit("x", 0, 1), read(0, 2, 3)], journal("x"), "read 0, allowed 1 to 1"),
        ([deposit("x", 5, 6), read(1, 2, 3)], journal("x"), "read 1, allowed 0 to 0"),
        (
            [deposit("x", 0, 9), read(1, 1, 2), read(0, 3, 4)],
            journal("x"),
            "a read went back in time",
        ),
        (
            [
                deposit("x", 0, 1),
                Operation("withdrawal", (A,), "w", 2, 3, "refused", available_minor=0),
            ],
            journal("x"),
            "a balance that never was",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anomaly_is_seen(operations: list[Operation], there: Journal, told: str) -> None:
    assert any(told in anomaly for anomaly in found(operations, there))


def balance(minor: int, invoked: float, returned: float) -> Operation:
    return Operation("balance", (A,), "", invoked, returned, "ok", str(minor))


@pytest.mark.parametrize(
    ("read_", "divided", "told"),
    [
        (balance(100, 1.5, 2), False, ""),
        (balance(200, 1.5, 3), False, ""),
        (balance(150, 1.5, 3), False, "which never was"),
        (balance(0, 2.5, 3), False, "which never was"),
        (balance(200, 0.5, 1.1), False, "which never was"),
        (read(0, 2.5, 3), False, "read 0, allowed 1 to 2"),
        (read(0, 2.5, 3), True, ""),
        (read(3, 2.5, 3), True, "read 3, allowed 0 to 2"),
        # Of two that were under way, the second alone may be seen.
        (balance(100, 0.2, 1.8), True, ""),
        (balance(200, 2.5, 3), True, ""),
        (balance(99, 2.5, 3), True, "allowed 100 to 200"),
        (balance(201, 2.5, 3), True, "allowed 100 to 200"),
        (balance(0, 4.5, 5), True, "allowed 200 to 200"),
    ],
)
def test_read_that_its_interval_forbids_is_seen(
    read_: Operation, told: str, *, divided: bool
) -> None:
    there = journal("x", "y")
    there.accounts[A] = dataclasses.replace(there.accounts[A], divided=divided)
    anomalies = found([deposit("x", 0, 2), deposit("y", 1.2, 4), read_], there)
    assert [told in anomaly for anomaly in anomalies] == [True] * bool(told)


def test_statement_with_what_was_taken_is_read_at_once() -> None:
    there = debits(40)
    there.accounts[A] = dataclasses.replace(there.accounts[A], divided=True)
    assert found([*withdrawals(1), read(1, 2, 3)], there) == []
    assert "read 0, allowed 1 to 1" in found([*withdrawals(1), read(0, 2, 3)], there)[0]


def debits(*amounts: int, day: date = date.min, **rules: Any) -> Journal:
    """Debits from one account, in this order, which may owe."""
    sums = list(accumulate(amounts))
    entries = [
        Entry(n, f"{n}", f"movement {n}", -amount, -total, day)
        for n, (amount, total) in enumerate(zip(amounts, sums, strict=True), 1)
    ]
    movements = {f"{n}": [f"movement {n}"] for n, _ in enumerate(amounts, 1)}
    return Journal(movements, {A: entries}, {A: Stored(-sums[-1], 1000, **rules)})


def withdrawals(count: int) -> list[Operation]:
    return [
        Operation("withdrawal", (A,), f"{n}", n, n + 0.5, "ok", f"movement {n}")
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"debits_frozen": True}, "frozen, and debited by entry 1"),
        ({"debit_limit_minor": 59}, "beyond its limit for a debit at entry 2"),
        ({"daily_limit_minor": 99}, "beyond its limit for a day at entry 2"),
        ({"debit_limit_minor": 60, "daily_limit_minor": 100}, ""),
    ],
)
def test_debit_beyond_a_rule_is_seen(rules: dict[str, Any], told: str) -> None:
    anomalies = found(withdrawals(2), debits(40, 60, **rules))
    assert [told in anomaly for anomaly in anomalies[:1]] == [True] * bool(told)


def test_days_are_counted_apart() -> None:
    there = debits(40, 60, daily_limit_minor=60)
    there.statements[A][1] = dataclasses.replace(there.statements[A][1], day=date.max)
    assert found(withdrawals(2), there) == []


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ({"reason": "DAILY_LIMIT_EXCEEDED", "amount_minor": 61, "spent_minor": 40}, ""),
        ({"reason": "DAILY_LIMIT_EXCEEDED", "amount_minor": 60, "spent_minor": 40}, "the account"),
        ({"reason": "DAILY_LIMIT_EXCEEDED", "amount_minor": 80, "spent_minor": 30}, "never were"),
        ({"reason": "DEBIT_LIMIT_EXCEEDED", "amount_minor": 81}, ""),
        ({"reason": "DEBIT_LIMIT_EXCEEDED", "amount_minor": 80}, "the account's rules"),
        ({"reason": "ACCOUNT_FROZEN"}, "the account's rules"),
    ],
)
def test_refusal_against_the_rules_is_seen(refusal: dict[str, Any], told: str) -> None:
    there = debits(40, debit_limit_minor=80, daily_limit_minor=100)
    refused = Operation("withdrawal", (A,), "w", 2, 3, "refused", **refusal)
    anomalies = found([*withdrawals(1), refused], there)
    assert [told in anomaly for anomaly in anomalies] == [True] * bool(told)


def test_movement_that_is_there_twice_is_seen() -> None:
    there = journal("x")
    there.movements["x"].append("movement again")
    assert any("done 2 times" in anomaly for anomaly in found([deposit("x", 0, 1)], there))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sequence": 7}, "has number 7"),
        ({"balance_after_minor": 5}, "entry 1 says 5"),
        ({"amount_minor": -100, "balance_after_minor": -100}, "below its limit"),
        ({"movement_id": "None"}, "belongs to no movement"),
        ({"amount_minor": 1}, "balance 100, entries sum to 1"),
    ],
)
def test_statement_that_does_not_add_up_is_seen(change: dict[str, object], told: str) -> None:
    there = journal("x")
    there.statements[A][0] = dataclasses.replace(
        there.statements[A][0],
        **change,  # type: ignore[arg-type]
    )
    assert any(told in anomaly for anomaly in found([deposit("x", 0, 1)], there))
