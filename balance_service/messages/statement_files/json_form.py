"""Statements as JSON, one object a line, so that no reader needs the whole file at once."""

import json
from collections.abc import Mapping, Sequence

from google.protobuf import json_format
from google.protobuf.message import Message

from balance_service.domain.movements import Line
from balance_service.domain.statements import Statement
from balance_service.messages import convert, statement_messages
from balance_service.messages.statement_files.form import Heading, iso


class JsonFile:
    """Lines: the opening balance, the entries as ListEntries has them, the whole as GetStatement.

    Args:
        heading: What the file tells of.
    """

    def __init__(self, heading: Heading) -> None:
        self._heading = heading

    def head(self) -> bytes:
        heading = self._heading
        return _line(
            {
                "opening": {
                    "account": str(heading.account_id),
                    "currency": heading.currency,
                    "start_time": iso(heading.period.start),
                    "end_time": iso(heading.period.end),
                    "opening_balance": heading.amount(heading.opening_minor),
                    "entry_count": heading.entries,
                }
            }
        )

    def lines(self, lines: Sequence[Line]) -> bytes:
        return b"".join(_line({"entry": _to_dict(convert.entry(line))}) for line in lines)

    def tail(self, statement: Statement) -> bytes:
        return _line({"statement": _to_dict(statement_messages.statement(statement))})


def _to_dict(message: Message) -> Mapping[str, object]:
    """The form that HTTP answers have."""
    fields: Mapping[str, object] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return fields


def _line(data: Mapping[str, object]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
