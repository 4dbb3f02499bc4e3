"""The earlier service's lists: `?page=`, `?ordering=`, and `count, next, previous, results`.

Pages by number cost what lies before them and all that they count (AIP-158 `skip`, `total_size`);
page tokens do not. They are for callers who know no better way yet.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from balance_service.calls import http
from balance_service.domain import errors
from balance_service.domain.paging import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, SKIP_MAX
from balance_service.gateway.routes import Binding

Query = Sequence[tuple[str, str]]

PAGE_MAX = 1_000_000
_NUMBER = re.compile("[1-9][0-9]{0,6}")


@dataclass(frozen=True, slots=True)
class Paged:
    """A list asked for by page number, or anything else, which passes unchanged.

    Args:
        query: In the contract's form.
        sent: As it was sent, without `page`.
        page: The page's number, from 1; 0 for anything else.
        page_size: Resources a page.
    """

    query: Query
    sent: Query = ()
    page: int = 0
    page_size: int = PAGE_SIZE_DEFAULT

    def answer(self, url: str, data: dict[str, object]) -> dict[str, object]:
        """The answer in the form that was asked for.

        Args:
            url: Of the list, or its path alone, without a query.
            data: The call's answer.

        Raises:
            Refusal: There is no such page.
        """
        if not self.page:
            return data
        count = int(str(data.pop("total_size")))
        last = max(1, -(-count // self.page_size))
        if self.page > last:
            raise http.PageNotFound
        del data["next_page_token"]
        (results,) = data.values()
        return {
            "count": count,
            "next": self._url(url, self.page + 1) if self.page < last else None,
            "previous": self._url(url, self.page - 1) if self.page > 1 else None,
            "results": results,
        }

    def _url(self, url: str, page: int) -> str:
        return f"{url}?{urlencode([*self.sent, ('page', page)])}"


def asked(binding: Binding, query: Query) -> Paged:
    """Reads the earlier form of a list's query.

    Raises:
        Refusal: `page` is no page's number, or stands with what belongs to the other form.
    """
    fields = binding.method.input.fields_by_name
    given = dict(query)
    sent = [(name, text) for name, text in query if name != "page"]
    if "order_by" in fields and "ordering" in given:
        query = [_order(name, text) for name, text in query]
    if "total_size" not in binding.method.output.fields_by_name or "page" not in given:
        return Paged(query)
    if [name for name, _ in query].count("page") > 1:
        raise errors.invalid("page", "must be given once")
    if "page_token" in given or "pageToken" in given:
        raise errors.invalid("page", "must not be given with page_token")
    page = _number(given["page"], "page", PAGE_MAX)
    named = [text for name, text in query if name in ("page_size", "pageSize")]
    page_size = _number(named[0], "page_size", PAGE_SIZE_MAX) if named else PAGE_SIZE_DEFAULT
    if (page - 1) * page_size > SKIP_MAX:
        last = SKIP_MAX // page_size + 1
        raise errors.invalid("page", f"must be at most {last} here; page tokens lead further")
    kept = [(name, text) for name, text in query if name != "page"]
    skip = [("skip", str((page - 1) * page_size)), ("count_total", "true")]
    return Paged([*kept, *skip], sent, page, page_size)


def _order(name: str, text: str) -> tuple[str, str]:
    """`ordering=-amount` as `order_by=amount desc`."""
    if name != "ordering":
        return name, text
    field = text.removeprefix("-")
    return "order_by", f"{field} desc" if text.startswith("-") else field


def _number(text: str, name: str, maximum: int) -> int:
    if _NUMBER.fullmatch(text) and int(text) <= maximum:
        return int(text)
    raise errors.invalid(name, f"must be a number from 1 to {maximum}")
