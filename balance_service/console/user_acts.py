"""What operators do with a user: keep them from signing in, let them again, end their sign-ins.

The contract takes no reason for these; the audit log keeps who did it, to whom and when.
"""

from collections.abc import Sequence

from google.protobuf.empty_pb2 import Empty

from balance_service._generated.balance.v1 import user_pb2
from balance_service.console import users
from balance_service.console.act_kinds import Act, Change, Order, Subject
from balance_service.console.rendering import value_label
from balance_service.console.visits import Visit


async def _subject(visit: Visit, target: str) -> Subject:
    user = await users.read(visit, target)
    return Subject(
        [
            ("email", user.email),
            ("name", f"{user.first_name} {user.last_name}".strip()),
            ("role", value_label("role", user.role, visit.language)),
            ("sign_in", _sign_in(visit, user)),
        ],
    )


def _sign_in(visit: Visit, user: user_pb2.User) -> str:
    return visit.text("fact.disabled" if user.HasField("disable_time") else "fact.enabled")


async def _changes(visit: Visit, order: Order, after: user_pb2.User) -> Sequence[Change]:
    before = await users.read(visit, order.target)
    return [Change("sign_in", _sign_in(visit, before), _sign_in(visit, after))]


async def _sessions_end(visit: Visit, _: Order, __: Empty | None) -> Sequence[Change]:
    return [Change("sessions", visit.text("fact.as_they_are"), visit.text("fact.ended"))]


def _disable(order: Order) -> user_pb2.DisableUserRequest:
    return user_pb2.DisableUserRequest(
        user=order.target, request_id=order.request_id, validate_only=order.rehearsal
    )


def _enable(order: Order) -> user_pb2.EnableUserRequest:
    return user_pb2.EnableUserRequest(
        user=order.target, request_id=order.request_id, validate_only=order.rehearsal
    )


def _end_sessions(order: Order) -> user_pb2.EndUserSessionsRequest:
    return user_pb2.EndUserSessionsRequest(user=order.target)


def _path(target: str) -> str:
    return f"/users/{target}"


ACTS = (
    Act(
        name="disable-user",
        fields=(),
        subject=_subject,
        method=lambda service: service.users.DisableUser,
        request=_disable,
        changes=_changes,
        path=_path,
        is_danger=True,
    ),
    Act(
        name="enable-user",
        fields=(),
        subject=_subject,
        method=lambda service: service.users.EnableUser,
        request=_enable,
        changes=_changes,
        path=_path,
    ),
    Act(
        name="end-sessions",
        fields=(),
        subject=_subject,
        method=lambda service: service.users.EndUserSessions,
        request=_end_sessions,
        changes=_sessions_end,
        path=_path,
        rehearses=False,
        is_danger=True,
    ),
)
