"""The checker of histories: each anomaly is seen, and what time allows is none."""

import dataclasses

import pytest

from rehearsals.checker import Entry, Journal, find_anomalies
from rehearsals.history import Operation

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
    return Journal(movements, {A: entries}, {A: (100 * len(names), 0)})


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


def test_refusal_is_allowed_for_what_was_held_once() -> None:
    refused = Operation("withdrawal", (A,), "w", 2, 3, "refused", available_minor=70)
    operations = [deposit("x", 0, 1), refused]
    assert found(operations, dataclasses.replace(journal("x"), held={A: {0, 30}})) == []
    assert found(operations, dataclasses.replace(journal("x"), held={A: {0, 31}}))


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
