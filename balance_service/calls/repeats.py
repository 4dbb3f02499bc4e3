"""Which requests are safe to send again."""

from typing import Any

from google.protobuf.message import Message


def is_repeatable(request: Message) -> bool:
    """Whether a request is safe to send again: it changes nothing, or it has a request id."""
    if getattr(request, "request_id", None) != "":
        return True
    items = getattr(request, "requests", ())
    return bool(items) and all(map(_has_id, items))


def _has_id(item: Any) -> bool:  # noqa: ANN401 - a request, or a message with one
    """Whether an item of a batch has a request id, itself or in the request that it holds."""
    if "request_id" in item.DESCRIPTOR.fields_by_name:
        return bool(item.request_id)
    held = [value for _, value in item.ListFields() if isinstance(value, Message)]
    return all(map(_has_id, held))
