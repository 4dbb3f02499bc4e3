"""Who may call each RPC is what the reference says: docs/who_may_call.py, row by row."""

import re
import runpy
from pathlib import Path

from google.protobuf.message_factory import GetMessageClass

from balance_client import AsyncClient, BalanceError, Reason
from balance_service.calls.methods import Method
from balance_service.domain.principals import Scope
from tests.contract import METHODS
from tests.service import Service

PAGE = runpy.run_path(str(Path(__file__).parents[2] / "docs/who_may_call.py"))["WHO_MAY"]
UNARY = [
    method
    for method in METHODS
    if not (method.descriptor.server_streaming or method.descriptor.client_streaming)
]


async def permitted(client: AsyncClient, method: Method) -> bool:
    """Whether a call gets beyond the question who may make it."""
    service = f"Async{method.descriptor.containing_service.name}"
    stub = next(stub for stub in vars(client).values() if type(stub).__name__ == service)
    request = GetMessageClass(method.input)()
    try:
        await getattr(stub, method.descriptor.name)(request)
    except BalanceError as error:
        return error.reason not in (Reason.PERMISSION_MISSING, Reason.TOKEN_MISSING)
    return True


def test_every_method_has_a_row() -> None:
    assert set(PAGE) == {method.descriptor.name for method in METHODS}


async def test_those_named_may_and_others_may_not(service: Service) -> None:
    nobody, user = service.client(), (await service.person()).client
    admin, unscoped = (await service.admin()).client, await service.sibling()
    scoped = {scope: await service.sibling(scope) for scope in Scope}
    for method in UNARY:
        row = PAGE[method.descriptor.name]
        if row.startswith("anybody"):
            assert await permitted(nobody, method), method.full_name
            continue
        assert not await permitted(nobody, method), method.full_name
        # Whether a reader may read an account is told when there is an account.
        if ":read" not in row:
            users = re.search(r"users\b(?!:)", row) is not None
            assert await permitted(user, method) == users, method.full_name
            assert not await permitted(unscoped, method), method.full_name
        assert await permitted(admin, method) or "admins" not in row, method.full_name
        for scope in re.findall(r"[a-z]+:[a-z]+", row):
            assert await permitted(scoped[Scope(scope)], method), (method.full_name, scope)
