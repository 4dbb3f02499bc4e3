"""A load that the service is to carry, as it is asked about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from balance_service.domain import errors

BATCH_SIZE_MAX = 1000
SECONDS_A_DAY = 86_400
# Of the busiest second's rate, what a day has on average, unless it is said.
AVERAGE_SHARE = 0.1

# The least and the most of each number of a load.
BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "transfers_per_second": (0, 10**9),
    "purchases_per_second": (0, 10**9),
    "deposits_per_second": (0, 10**9),
    "reads_per_second": (0, 10**9),
    "batched_share": (0, 1),
    "batch_size": (1, BATCH_SIZE_MAX),
    "accounts": (1, 10**12),
    "movements_per_day": (0, 10**14),
    "years": (0, 100),
    "hottest_share": (0, 1),
    "latency_ms": (0, 60_000),
    "round_trip_ms": (0, 10_000),
    "machine_cores": (1, 1024),
}


@dataclass(frozen=True)
class Load:
    """What the service is to carry.

    Args:
        transfers_per_second: In the busiest second, those in batches included.
        purchases_per_second: In the busiest second.
        deposits_per_second: In the busiest second, those in batches included.
        reads_per_second: In the busiest second.
        batched_share: Of transfers and deposits, those that come in batches; 0 to 1.
        batch_size: Items of a batch.
        accounts: That are open.
        movements_per_day: On average; 0 for a tenth of the busiest second's, all day.
        years: How long the journal grows.
        hottest_share: Of all movements, those of the account that has most; 0 to 1.
        latency_ms: What 99 of 100 single calls are to take at most; 0 if it does not matter.
        round_trip_ms: To the standby that commits wait for; 0 if it is beside the primary.
        machine_cores: Of one machine.
    """

    transfers_per_second: float = 0
    purchases_per_second: float = 0
    deposits_per_second: float = 0
    reads_per_second: float = 0
    batched_share: float = 0
    batch_size: int = BATCH_SIZE_MAX
    accounts: int = 1
    movements_per_day: float = 0
    years: float = 5
    hottest_share: float = 0
    latency_ms: float = 0
    round_trip_ms: float = 0
    machine_cores: int = 8

    @property
    def movements(self) -> float:
        """In the busiest second."""
        return self.transfers_per_second + self.purchases_per_second + self.deposits_per_second

    @property
    def batched(self) -> float:
        """Movements in batches, in the busiest second."""
        return (self.transfers_per_second + self.deposits_per_second) * self.batched_share

    @property
    def daily(self) -> float:
        """Movements a day."""
        return self.movements_per_day or self.movements * AVERAGE_SHARE * SECONDS_A_DAY


def check(load: Load) -> None:
    """Refuses a load that nobody has.

    Raises:
        InvalidFields: Numbers are out of their bounds.
    """
    violations = [
        errors.Violation(name, f"must be {low:g} to {high:g}")
        for name, (low, high) in BOUNDS.items()
        # A number that is none is in no bounds.
        if not low <= getattr(load, name) <= high
    ]
    if violations:
        raise errors.InvalidFields(tuple(violations))
