"""The service on a Citus cluster: what people and operators do besides paying."""

from pathlib import Path

import pytest

from balance_client import v1
from balance_service.server import supervisor
from tests import postgres
from tests.cli import Cli
from tests.e2e.test_account_rules import changes, set_limits, shown, withdrawal
from tests.e2e.test_account_statements import whole
from tests.e2e.test_erasure import erase
from tests.service import Service, reason, somebody
from tests.statements import history

WHY = "To be safe"
ERP = {"source": "service:erp"}


@pytest.fixture
def database_url(cluster_url: str) -> str:
    """Has the service start on the cluster."""
    return cluster_url


async def test_operators_change_accounts(service: Service) -> None:
    admin, (anna, account) = await service.admin(), await somebody(service, "100")
    ask = admin.client.accounts
    withdraw = anna.client.withdrawals.CreateWithdrawal
    await ask.FreezeAccount(v1.FreezeAccountRequest(account=account, reason=WHY))
    assert await reason(withdraw(withdrawal(account, "1"))) == "ACCOUNT_FROZEN"
    await ask.UnfreezeAccount(v1.UnfreezeAccountRequest(account=account, reason=WHY))
    await set_limits(admin, account, debit_limit="40", overdraft="0")
    assert await reason(withdraw(withdrawal(account, "41"))) == "DEBIT_LIMIT_EXCEEDED"
    closing = v1.CloseAccountRequest(account=account, reason=WHY)
    assert await reason(ask.CloseAccount(closing)) == "ACCOUNT_NOT_EMPTY"
    for amount in ("40", "40", "20"):
        await withdraw(withdrawal(account, amount))
    await ask.CloseAccount(closing)
    assert await reason(anna.deposit("1", account)) == "ACCOUNT_CLOSED"
    await ask.ReopenAccount(v1.ReopenAccountRequest(account=account, reason=WHY))
    assert (await shown(anna, account)).debit_limit == "40.00"
    assert [change.kind for change in await changes(admin, account)] == [
        v1.ACCOUNT_CHANGE_KIND_REOPEN,
        v1.ACCOUNT_CHANGE_KIND_CLOSE,
        v1.ACCOUNT_CHANGE_KIND_SET_LIMITS,
        v1.ACCOUNT_CHANGE_KIND_UNFREEZE,
        v1.ACCOUNT_CHANGE_KIND_FREEZE,
    ]


async def test_accounts_are_found_by_all_their_names(service: Service) -> None:
    admin, (anna, account) = await service.admin(), await somebody(service)
    found = await shown(anna, account)
    naming = v1.SetAccountExternalIdRequest(
        account=account, source="service:erp", external_id="A-1"
    )
    await admin.client.accounts.SetAccountExternalId(naming)
    for asked in (
        v1.LookupAccountRequest(number=found.number),
        v1.LookupAccountRequest(currency="RUB", user=anna.user_id),
        v1.LookupAccountRequest(external_id="A-1", **ERP),
    ):
        assert (await admin.client.accounts.LookupAccount(asked)).id == account


async def test_statement_of_a_period(service: Service) -> None:
    person = await service.person()
    account = (await person.open()).id
    await history(person, account, ["100", "-30", "5.50", "-0.50"])
    told = await person.client.statements.GetStatement(await whole(person, account))
    assert (told.opening_balance, told.closing_balance, told.entry_count) == ("0.00", "75.00", 4)


async def test_users_are_erased(service: Service, database_url: str) -> None:
    person, account = await somebody(service)
    erased = await erase(service, person, database_url)
    assert erased.HasField("erase_time")
    admin = await service.admin()
    assert (await shown(admin, account)).status == v1.ACCOUNT_STATUS_CLOSED


def test_standbys_are_not_read_from(cli: Cli, database_url: str) -> None:
    replica = {"BALANCE_REPLICA_URL": postgres.of_service(database_url)}
    told = cli("worker", status=supervisor.STARTUP_FAILED, **replica)
    assert "BALANCE_REPLICA_URL must not be set" in told


def test_what_is_of_one_server_is_refused(cli: Cli, database_url: str, tmp_path: Path) -> None:
    owner = {"BALANCE_OWNER_DATABASE_URL": database_url}
    assert "back up each of its servers" in cli(
        "backup", "create", str(tmp_path), status=1, **owner
    )
    assert "distributed over a cluster" in cli("partitions", "convert", status=1, **owner)
