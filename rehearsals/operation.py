"""An operation: one line of the history that a client records."""

from dataclasses import dataclass, field


@dataclass
class Operation:
    """One movement that was asked for, again under its id until its outcome was known.

    Args:
        kind: One of `history.METHODS`.
        accounts: Those it touches.
        request_id: Of what moves money.
        invoked: When it was first sent, on one clock for all.
        returned: When its outcome was known; infinity while it is not.
        outcome: `ok`, `refused`, or `unknown`.
        answer: The movement's id, or what was read: the last entry's sequence, or the balance in
            minor units.
        amount_minor: How much it moves.
        reason: Of a refusal; empty where it says nothing that can be checked.
        available_minor: What a refusal said was there.
        spent_minor: What a refusal said was debited on the day.
        together: Names the chain that it belongs to, done whole or not at all; empty for none.
        unknowns: Attempts whose outcome is unknown.
        faults: Answers that must never be given.
    """

    kind: str
    accounts: tuple[str, ...]
    request_id: str
    invoked: float
    returned: float = float("inf")
    outcome: str = "unknown"
    answer: str = ""
    amount_minor: int = 0
    reason: str = ""
    available_minor: int | None = None
    spent_minor: int | None = None
    together: str = ""
    unknowns: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def is_read(self) -> bool:
        """Whether it moves nothing."""
        return self.kind in ("read", "balance")
