"""Refusals that callers make for their tests: those that the service makes, to the client."""

import pickle
import re
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2

from balance_client import Reason, Violation
from balance_client._generated.codes import CODES
from balance_client.errors import from_call, from_failure
from balance_client.testing import refusal, refused_call
from balance_service.calls import refusals
from balance_service.calls.refusals import DETAILS_KEY, TABLE
from balance_service.domain import errors

PAGE = Path(__file__).parent.parent.parent / "docs/guides/handling-refusals.md"


def of_the_service(refused: errors.Refusal) -> Exception:
    """The client's error for a refusal of the service's own."""
    status = refusals.status(refused)
    codes = {code.value[0]: code for code in grpc.StatusCode}
    trailers = ((DETAILS_KEY, status.SerializeToString()),)
    return from_call(codes[status.code], status.message, trailers)


def test_every_reason_has_the_code_that_the_service_gives_it() -> None:
    theirs = {row.reason: code_pb2.Code.Name(row.code) for row in TABLE.values()}
    assert {reason.value: code.name for reason, code in CODES.items()} == theirs | {
        "INTERNAL": "INTERNAL"
    }


@pytest.mark.parametrize(
    ("made", "real"),
    [
        (
            refusal(
                Reason.INSUFFICIENT_FUNDS,
                message="There is not enough money on the account: 2.00 RUB missing.",
                account="a",
                available="1.00",
                required="3.00",
                missing="2.00",
                currency="RUB",
            ),
            errors.InsufficientFunds("a", "1.00", "3.00", "2.00", "RUB"),
        ),
        (
            refusal(
                "INVALID_FIELD",
                message="amount must be above zero",
                violations={"amount": "must be above zero"},
            ),
            errors.invalid("amount", "must be above zero"),
        ),
        (
            refusal(
                "UNAVAILABLE",
                message="The service cannot answer now; retry with the same request id.",
                retry_after_seconds=3,
            ),
            errors.Unavailable(3),
        ),
    ],
)
def test_made_refusal_is_the_services_own(made: Exception, real: errors.Refusal) -> None:
    assert vars(made) == vars(of_the_service(real))


def test_made_refusal_has_what_it_was_given() -> None:
    made = refusal("OVERLOADED", retry_after_seconds=0.5, violations={"a": "b"}, fact="f")
    assert made.reason is Reason.OVERLOADED
    assert made.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert made.retry_after_seconds == 0.5
    assert made.metadata == {"fact": "f", "retry_after_seconds": "0.5"}
    assert made.violations == (Violation("a", "b"),)
    assert vars(pickle.loads(pickle.dumps(made))) == vars(made)


def test_stubs_of_grpcs_own_raise_the_same() -> None:
    failure = refused_call("HOLD_CLOSED", message="Closed.", hold="h")
    assert isinstance(failure, grpc.RpcError)
    assert failure.details() == "Closed."
    assert vars(from_failure(failure)) == vars(refusal("HOLD_CLOSED", message="Closed.", hold="h"))


def test_reason_that_the_service_does_not_have_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="no reason INSUFFICIENT_FOUNDS: INSUFFICIENT_FUNDS"):
        refusal("INSUFFICIENT_FOUNDS")


def test_page_says_of_every_reason_once_what_to_do() -> None:
    rows = re.findall(r"^\| \*\*.+?\*\*.*\| ([A-Z_, ]+) \|$", PAGE.read_text(), re.MULTILINE)
    named = [name for row in rows for name in row.split(", ")]
    assert sorted(named) == sorted(Reason)
