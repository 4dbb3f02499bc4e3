"""Environment variables that look like settings: which are none, and which are others'."""

import difflib
import re
from collections.abc import Collection, Mapping

PREFIX = "BALANCE_"
# Variables of this kind are for whoever tests the service, and no settings.
TEST_PREFIX = "BALANCE_TEST_"
# What Kubernetes puts into every container's environment for a Service that is called balance, or
# balance-something: `BALANCE_PORT=tcp://...` among others.
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://.*")


def is_service_link(value: str) -> bool:
    """Whether Kubernetes set a variable, by what it holds."""
    return bool(_SERVICE_LINK.fullmatch(value))


def find_unknown(
    variables: Mapping[str, str], names: Collection[str], renamed: Collection[str]
) -> dict[str, str]:
    """Variables that look like settings and are none: a misspelt setting must not be ignored.

    Args:
        variables: The environment.
        names: What may follow the prefix, in small letters.
        renamed: Variables that are still read under an old name.

    Returns:
        What is wrong, by variable.
    """
    faults = {}
    for variable in sorted(variables):
        # In small letters they are read as well.
        name = variable.lower().removeprefix(PREFIX.lower())
        if name == variable.lower() or name in names or variable in renamed:
            continue
        if _is_others(variable, variables):
            continue
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"; did you mean {PREFIX}{nearest[0].upper()}?" if nearest else ""
        faults[variable] = f"is no setting{hint}"
    return faults


def _is_others(variable: str, variables: Mapping[str, str]) -> bool:
    """Whether others than operators set a variable: tests, or Kubernetes for a Service."""
    if variable.startswith(TEST_PREFIX):
        return True
    # For a Service x: X_PORT=tcp://..., X_PORT_50051_TCP_ADDR, X_SERVICE_HOST, X_SERVICE_PORT_GRPC.
    service = re.split(r"_SERVICE_(?:HOST|PORT)|_PORT", variable)[0]
    return is_service_link(variables.get(f"{service}_PORT", ""))
