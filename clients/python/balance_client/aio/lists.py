"""Lists, item by item, over all their pages."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message

from balance_client.aio.calls import AsyncUnary

Request = TypeVar("Request", bound=Message)
Page = TypeVar("Page", bound=Message)
Item = TypeVar("Item")


async def async_each(
    method: AsyncUnary[Request, Page],
    request: Request,
    items: Callable[[Page], Iterable[Item]],
) -> AsyncIterator[Item]:
    """Every item of a list, page by page.

    Args:
        method: A list method, such as `client.accounts.ListEntries`.
        request: Its request; its page_token is where the list starts, and its skip is how many
            items are left out there.
        items: Takes the items out of an answer.
    """
    page_request: Any = type(request)()
    page_request.CopyFrom(request)
    while True:
        page: Any = await method(page_request)
        for item in items(page):
            yield item
        if not page.next_page_token:
            return
        page_request.page_token = page.next_page_token
        # Both are for the first page: each of the others would skip and count again.
        for name in ("skip", "count_total"):
            if name in page_request.DESCRIPTOR.fields_by_name:
                page_request.ClearField(name)
