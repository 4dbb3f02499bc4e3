"""Pages by number: what is asked of the contract, and what is answered to an earlier caller."""

from collections.abc import Sequence

import pytest

from balance_service.calls import http
from balance_service.domain import errors
from balance_service.gateway import numbered_pages
from balance_service.gateway.numbered_pages import Paging
from tests.http import BY_METHOD

LIST = BY_METHOD["/balance.v1.DepositService/ListDeposits"]
GET = BY_METHOD["/balance.v1.DepositService/GetDeposit"]
URL = "/api/v1/actions"


def read(*query: tuple[str, str]) -> Paging:
    return numbered_pages.read_paging(LIST, query)


def answer(paging: Paging, count: int) -> dict[str, object]:
    return paging.to_page(URL, {"deposits": ["d"], "next_page_token": "", "total_size": count})


def test_page_is_asked_for_by_what_it_skips() -> None:
    paging = read(("account", "a"), ("page", "3"), ("page_size", "20"))
    assert (paging.page, paging.page_size) == (3, 20)
    assert list(paging.query) == [
        ("account", "a"),
        ("page_size", "20"),
        ("skip", "40"),
        ("count_total", "true"),
    ]


def test_query_without_a_page_passes_unchanged() -> None:
    query = [("account", "a"), ("page_size", "5")]
    paging = read(*query)
    assert (paging.page, list(paging.query)) == (0, query)
    data: dict[str, object] = {"deposits": []}
    assert paging.to_page(URL, data) is data
    # Of what is no list, `page` is for the contract to refuse.
    assert list(numbered_pages.read_paging(GET, [("page", "1")]).query) == [("page", "1")]


@pytest.mark.parametrize(
    ("ordering", "order_by"),
    [("amount", "amount"), ("-amount", "amount desc"), ("-date", "date desc")],
)
def test_ordering_is_translated(ordering: str, order_by: str) -> None:
    assert list(read(("ordering", ordering)).query) == [("order_by", order_by)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ([("page", "0")], "page"),
        ([("page", "-1")], "page"),
        ([("page", "1.0")], "page"),
        ([("page", "٣")], "page"),
        ([("page", "1000001")], "page"),
        ([("page", "1"), ("page", "2")], "page"),
        ([("page", "1"), ("page_token", "t")], "page"),
        ([("page", "1"), ("page_size", "1001")], "page_size"),
        ([("page", "1"), ("pageSize", "0")], "page_size"),
    ],
)
def test_page_that_is_no_number_is_refused(query: Sequence[tuple[str, str]], field: str) -> None:
    with pytest.raises(errors.InvalidFields) as refused:
        read(*query)
    assert [violation.field for violation in refused.value.violations] == [field]


def test_answer_leads_to_its_neighbours() -> None:
    middle = answer(read(("account", "a"), ("page", "2"), ("page_size", "2")), 5)
    assert middle == {
        "count": 5,
        "next": f"{URL}?account=a&page_size=2&page=3",
        "previous": f"{URL}?account=a&page_size=2&page=1",
        "results": ["d"],
    }
    last = answer(read(("page", "3"), ("page_size", "2")), 5)
    assert last["next"] is None
    assert answer(read(("page", "1")), 0)["previous"] is None


@pytest.mark.parametrize(("page", "count"), [("2", 0), ("2", 10), ("4", 30)])
def test_page_after_the_last_is_refused(page: str, count: int) -> None:
    with pytest.raises(http.PageNotFound):
        answer(read(("page", page)), count)


def test_page_that_was_cut_is_refused() -> None:
    cut = {"deposits": ["d"], "next_page_token": "t", "total_size": 2}
    with pytest.raises(errors.InvalidFields) as refused:
        read(("page", "1"), ("page_size", "2")).to_page(URL, cut)
    assert [violation.field for violation in refused.value.violations] == ["page_size"]
    assert read(("page", "1"), ("page_size", "1")).to_page(URL, cut)["results"] == ["d"]
