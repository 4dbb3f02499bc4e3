"""Loads that `python -m benchmarks sizing` measures, on machines of any speed."""

import dataclasses
from unittest.mock import Mock

import pytest

from benchmarks import measured, rows
from benchmarks.rows import Row

NEVER = float("nan")
UNANSWERED = Row("", "batch-1000", 4, 0, NEVER, NEVER, NEVER, refused=0, load_busy=0, cpu={})


def test_load_lasts_until_a_call_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = dataclasses.replace(UNANSWERED, p50_ms=2500.0)
    lasted = []

    def measure(_running: object, _name: str, _in_flight: int, seconds: float, _rate: float) -> Row:
        lasted.append(seconds)
        return answered if seconds > 2.5 else UNANSWERED

    monkeypatch.setattr(rows, "measure", measure)
    assert measured._load(Mock(), "batch-1000", 4, 1) == answered
    assert lasted == [1, 2, 4]


def test_load_that_nobody_answers_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "measure", lambda *_: UNANSWERED)
    with pytest.raises(RuntimeError, match="batch-1000: no call is answered"):
        measured._load(Mock(), "batch-1000", 4, 1)
