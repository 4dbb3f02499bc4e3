"""Items of a batch: what they refer to is looked up for all of them at once."""

from typing import Any, cast

import pytest

from balance_service._generated.balance.v1 import transfer_pb2
from balance_service.calls.call import Call
from balance_service.database import pool as pools
from balance_service.database.pool import Pool
from balance_service.domain import errors, ids
from balance_service.domain.commands import Transfer
from balance_service.domain.principals import Principal
from balance_service.domain.users import Role
from balance_service.messages.instructions.items import Item, read_items
from balance_service.messages.instructions.transfer import TransferInstructions
from balance_service.reading import lookups
from balance_service.repositories import accounts

RECEIVERS = 20


class Counting:
    """A pool that counts how often a connection is taken."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.taken = 0

    def connection(self) -> Any:
        self.taken += 1
        return self._pool.connection()


@pytest.mark.parametrize("role", [Role.USER, Role.ADMIN])
async def test_items_share_queries_and_each_has_its_own_refusal(pool: Pool, role: Role) -> None:
    owner = ids.new_id()
    async with pools.transaction(pool) as conn:
        own, _ = await accounts.open_account(conn, owner, "RUB")
        theirs = [
            (await accounts.open_account(conn, ids.new_id(), "RUB"))[0] for _ in range(RECEIVERS)
        ]
        profiles = await accounts.get(conn, theirs)
    numbers = [str(profile.number) for profile in profiles] + ["1234567897"]
    counting = Counting(pool)
    transfers = TransferInstructions(lookups.gather(cast("Pool", counting)))
    requests = [
        transfer_pb2.CreateTransferRequest(to_account=number, amount="1") for number in numbers
    ]
    requests.append(transfer_pb2.CreateTransferRequest(to_account="x", amount="1"))
    caller = Principal(f"user:{owner}", owner, role)
    call = Call("/any", "", caller=caller)
    read = await read_items([Item(transfers, request) for request in requests], call, None)
    assert counting.taken == 2
    sent = [command for command in read if isinstance(command, Transfer)]
    assert {command.from_account_id for command in sent} == {own}
    assert [c.to_account_id for c in sent[:RECEIVERS]] == [p.account.account_id for p in profiles]
    # Who may not read every account is not told that a number is nobody's.
    unknown, malformed = read[-2:]
    assert isinstance(unknown, errors.AccountNotFound) == (role == Role.ADMIN)
    assert isinstance(malformed, errors.InvalidFields)
