"""Which reads a standby may answer, and what is read of it in headers and settings."""

import pytest

from balance_service._generated.balance.v1 import ledger_pb2, report_pb2
from balance_service.auth.sealing import Secrets
from balance_service.calls import freshness
from balance_service.calls.call import from_metadata
from balance_service.calls.methods import Method, load_contract
from balance_service.calls.standby_offers import KEPT, OFFERED, OVER, is_of_what_is_over
from balance_service.database.standbys import History, split
from balance_service.server.standbys import positions

METHODS = {
    method.name: Method(method)
    for file in load_contract()
    for service in file.services_by_name.values()
    for method in service.methods
}
SECRETS = Secrets("only-for-tests-and-long-enough-0123456789")


def test_every_read_with_one_answer_is_offered_or_kept() -> None:
    reads = {
        name
        for name, method in METHODS.items()
        if method.reads and not method.descriptor.server_streaming
    }
    assert set(KEPT) | OFFERED == reads
    assert not set(KEPT) & OFFERED


def test_fields_that_name_a_moment_are_of_reads_that_are_offered() -> None:
    assert set(OVER) <= OFFERED
    for name, fields in OVER.items():
        assert set(fields) <= set(METHODS[name].input.fields_by_name), name


def test_request_that_names_a_moment_is_not_of_what_is_over() -> None:
    method, request = METHODS["ListBalances"], report_pb2.ListBalancesRequest(currency="RUB")
    assert is_of_what_is_over(method, request)
    request.page_token = "x"
    assert not is_of_what_is_over(method, request)
    request.page_token = ""
    request.as_of.seconds = 1
    assert not is_of_what_is_over(method, request)
    now = ledger_pb2.GetTrialBalanceRequest()
    assert not is_of_what_is_over(METHODS["GetTrialBalance"], now)


def test_position_is_read_by_whoever_has_the_secret() -> None:
    made = positions(SECRETS).write(1 << 40)
    assert positions(SECRETS).read(made) == 1 << 40
    with pytest.raises(ValueError, match="sealed"):
        positions(Secrets("another-of-the-tests-and-long-enough-98765")).read(made)


def test_several_things_that_were_seen_may_come_in_several_headers() -> None:
    known = positions(SECRETS)
    ids = ["0198f3a0-0000-7000-8000-000000000001", "0198f3a0-0000-7000-8000-000000000002"]
    sent = [
        ("balance-max-staleness", "0.5s"),
        ("balance-at-least", f"{ids[0]}, {known.write(7)}"),
        ("balance-at-least", f"{ids[1]},{known.write(5)}"),
    ]
    read = freshness.read(from_metadata("/a.B/C", sent, None), known)
    assert (read.max_staleness_seconds, read.position) == (0.5, 7)
    assert {str(each) for each in read.movement_ids} == set(ids)


def test_url_of_several_standbys_is_one_for_each() -> None:
    common = "target_session_attrs=standby load_balance_hosts=disable"
    assert split("postgresql://u@a,b:5433/d?target_session_attrs=any") == [
        f"user=u dbname=d {common} host=a",
        f"user=u dbname=d {common} host=b port=5433",
    ]
    assert split("host=a,b port=1") == [f"{common} host=a port=1", f"{common} host=b port=1"]
    with pytest.raises(ValueError, match="port"):
        split("host=a,b,c port=1,2")
    with pytest.raises(ValueError, match="at most 16"):
        split(f"host={','.join('a' * 17)}")


def test_history_before_a_promotion_is_that_of_the_same_cluster() -> None:
    assert History("1", 2).precedes(History("1", 3))
    assert not History("1", 3).precedes(History("1", 3))
    assert not History("2", 2).precedes(History("1", 3))
