"""Reads external ids, and what users and accounts are looked up by."""

from collections.abc import Sequence
from typing import Protocol, cast
from uuid import UUID

from google.protobuf.message import Message

from balance_service._generated.balance.v1 import options_pb2
from balance_service.calls.call import Call
from balance_service.database.pool import Connection
from balance_service.domain import errors
from balance_service.domain.audit import Action, AuditEvent, yes_or_no
from balance_service.domain.external_ids import ExternalId, Subject
from balance_service.domain.principals import Principal
from balance_service.messages import field_limits, fields
from balance_service.repositories import audit, external_ids

_SOURCE = field_limits.read_format(options_pb2.FORMAT_SOURCE)
_SOURCE_PATTERN = field_limits.compile_pattern(_SOURCE)


_SET = {Subject.USER: Action.USER_EXTERNAL_ID_SET, Subject.ACCOUNT: Action.ACCOUNT_EXTERNAL_ID_SET}


class ExternalRequest(Protocol):
    """A request with an external id."""

    external_id: str
    source: str


def check_selector(checks: fields.Checks, request: Message, names: Sequence[str]) -> None:
    """Checks that exactly one of some fields was sent, which says what is looked up.

    Args:
        checks: Knows what is wrong with the fields themselves.
        request: The request.
        names: The fields.
    """
    sent = [name for name in names if getattr(request, name)]
    *others, last = names
    choice = f"{', '.join(others)} and {last}"
    if not sent:
        checks.refuse(names[0], f"is required, or another one of {choice}")
    if len(sent) > 1:
        for name in sorted(set(sent) - checks.refused, key=sent.index):
            checks.refuse(name, f"must be the only one of {choice}")


def read_external_id(request: ExternalRequest, principal: Principal) -> ExternalId | None:
    """Reads the external id that something is looked up by, of any source; None if it has none.

    Raises:
        InvalidFields: It is malformed, or it is not told whose it is.
    """
    checks = fields.Checks()
    if request.source and not request.external_id:
        checks.refuse("source", "must come with an external_id")
    text = checks(fields.text, cast("Message", request), "external_id")
    source = checks(_read_source, request.source, principal) if request.external_id else ""
    checks.finish()
    return ExternalId(source, text) if text else None


def read_own_external_id(request: ExternalRequest, principal: Principal) -> ExternalId:
    """Reads an external id that is to be set: a service sets its own, an admin anyone's.

    Raises:
        InvalidFields: It is malformed, another service's, or it is not told whose it is.
    """
    checks = fields.Checks()
    text = checks(fields.text, cast("Message", request), "external_id")
    source = checks(_read_source, request.source, principal)
    checks.finish()
    if principal.user_id is None and source != principal.name:
        raise errors.invalid("source", f"must be {principal.name}, the calling service")
    return ExternalId(source, text)


async def put(
    conn: Connection, call: Call, subject: Subject, subject_id: UUID, external_id: ExternalId
) -> None:
    """Sets what a user or an account, which is locked, is called, and records who did it.

    Args:
        conn: In the transaction of the act.
        call: Who asks.
        subject: What the id is of.
        subject_id: A user's or an account's id.
        external_id: Whose text is empty to take away what there is of its source.

    Raises:
        ExternalIdConflict: The source calls another one so.
    """
    before = await external_ids.replace(conn, subject, subject_id, external_id)
    source, text = external_id
    was = {"source": source, "given": yes_or_no(value=bool(before))}
    becomes = {"source": source, "given": yes_or_no(value=bool(text))}
    target = f"{subject.name.lower()}:{subject_id}"
    await audit.record(conn, AuditEvent(_SET[subject], call.actor, target, was, becomes))


def _read_source(value: str, principal: Principal) -> str:
    if not value and principal.user_id is None:
        return principal.name
    if len(value) > _SOURCE.max_length or not _SOURCE_PATTERN.fullmatch(value):
        rule = 'must be "service:" and a client id'
        raise errors.invalid("source", rule if value else f"is required of users: {rule[8:]}")
    return value
