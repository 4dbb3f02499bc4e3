"""The JSON form of messages, the same wherever it is sent."""

import json

from google.protobuf import json_format
from google.protobuf.message import Message


def to_dict(message: Message) -> dict[str, object]:
    """A message's JSON form: names in snake_case, and zero and empty fields present."""
    fields: dict[str, object] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return fields


def to_json(data: object) -> bytes:
    """JSON without spaces, in UTF-8."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
