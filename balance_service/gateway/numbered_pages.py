"""The earlier service's lists: `?page=`, `?ordering=`, and `count, next, previous, results`.

Pages by number cost what lies before them and all that they count (AIP-158 `skip`, `total_size`);
page tokens do not. Pages are for callers who do not know page tokens yet.
"""

import math
import re
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode

from google.protobuf.descriptor import FieldDescriptor

from balance_service._generated.balance.v1 import options_pb2
from balance_service.calls import http
from balance_service.domain import errors
from balance_service.domain.paging import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from balance_service.gateway.queries import Query
from balance_service.gateway.routes import Binding
from balance_service.messages import field_limits, page_bytes

PAGE_MAX = 1_000_000
_SKIP_MAX = field_limits.read_format(options_pb2.FORMAT_SKIP).maximum
_NUMBER = re.compile("[1-9][0-9]{0,6}")


@dataclass(frozen=True, slots=True)
class Paging:
    """How a list was asked for: by page number, or in another way that needs no change.

    Args:
        query: The query in the contract's form.
        sent_query: The query as it was sent, without `page`, for the links to other pages.
        results_field: The field of the call's answer that holds the resources.
        page: The page's number, from 1; 0 for a request that is not for a page by number.
        page_size: Resources a page.
    """

    query: Query
    sent_query: Query = ()
    results_field: str = ""
    page: int = 0
    page_size: int = PAGE_SIZE_DEFAULT

    def to_page(self, url: str, answer: dict[str, object]) -> dict[str, object]:
        """The answer as a page; unchanged if it was not asked for by page number.

        Args:
            url: The URL of the list, or its path alone, without a query.
            answer: The call's answer in JSON's form.

        Raises:
            Refusal: The list has no such page, or a page of this size is too large.
        """
        if not self.page:
            return answer
        # An int64 is a string in protobuf's JSON.
        count = int(str(answer["total_size"]))
        # An empty list has one page, which is empty.
        last = max(1, math.ceil(count / self.page_size))
        if self.page > last:
            raise http.PageNotFound
        results = cast("list[object]", answer[self.results_field])
        if answer["next_page_token"] and len(results) < self.page_size:
            # The rest of a page that is too large comes with a token, which a number cannot say.
            raise page_bytes.too_large(len(results))
        return {
            "count": count,
            "next": self._link(url, self.page + 1) if self.page < last else None,
            "previous": self._link(url, self.page - 1) if self.page > 1 else None,
            "results": results,
        }

    def _link(self, url: str, page: int) -> str:
        return f"{url}?{urlencode([*self.sent_query, ('page', page)])}"


def has_pages(binding: Binding) -> bool:
    """Whether a binding is of a list, which can be asked for by page number."""
    return "total_size" in binding.method.output.fields_by_name


def results_field(binding: Binding) -> FieldDescriptor:
    """The field of a list's answer that holds the resources, its first (AIP-158)."""
    return binding.method.output.fields[0]


def read_paging(binding: Binding, query: Query) -> Paging:
    """Reads a query in either form, and puts it into the contract's.

    Args:
        binding: What the request calls, a list or not.
        query: Names and values as they were sent.

    Raises:
        Refusal: `page` is not a page's number, or stands beside what only the other form has.
    """
    sent_query = [(name, text) for name, text in query if name != "page"]
    if "order_by" in binding.method.input.fields_by_name:
        query = [_read_ordering(name, text) for name, text in query]
    pages = [text for name, text in query if name == "page"]
    if not pages or not has_pages(binding):
        return Paging(query)
    if len(pages) > 1:
        raise errors.invalid("page", "must be given once")
    if any(name in ("page_token", "pageToken") for name, _ in query):
        raise errors.invalid("page", "must not be given with page_token")
    page = _read_number(pages[0], "page", PAGE_MAX)
    # A size given twice is refused with the other fields of the query.
    sizes = [text for name, text in query if name in ("page_size", "pageSize")]
    page_size = _read_number(sizes[0], "page_size", PAGE_SIZE_MAX) if sizes else PAGE_SIZE_DEFAULT
    skip = (page - 1) * page_size
    if skip > _SKIP_MAX:
        last = _SKIP_MAX // page_size + 1
        raise errors.invalid("page", f"must be at most {last} here; page tokens lead further")
    contract_query = [(name, text) for name, text in query if name != "page"]
    contract_query += [("skip", str(skip)), ("count_total", "true")]
    return Paging(contract_query, sent_query, results_field(binding).name, page, page_size)


def _read_ordering(name: str, text: str) -> tuple[str, str]:
    """`ordering=-amount` as `order_by=amount desc`; any other parameter unchanged."""
    if name != "ordering":
        return name, text
    field = text.removeprefix("-")
    return "order_by", f"{field} desc" if text.startswith("-") else field


def _read_number(text: str, name: str, maximum: int) -> int:
    if _NUMBER.fullmatch(text) and int(text) <= maximum:
        return int(text)
    raise errors.invalid(name, f"must be a number from 1 to {maximum}")
