"""Changes that wait for another admin, in a currency that has a ceiling in every test."""

from balance_client import v1
from tests.service import Person, Service, refused

CURRENCY, CEILING = "NOK", "100"


async def asked(operator: Person, account: str, limit: str = "100.01") -> str:
    """Has an operator ask for a limit above the ceiling; the approval's id."""
    request = v1.SetAccountLimitRequest(account=account, limit=limit)
    error = await refused(operator.client.accounts.SetAccountLimit(request))
    assert error.reason == "APPROVAL_REQUIRED", error
    return error.metadata["approval"]


async def two_asked(service: Service) -> list[str]:
    """Two changes of an account, which an admin asked for; the approvals' ids."""
    operator, owner = await service.admin(), await service.person()
    account = (await owner.open(CURRENCY)).id
    return [await asked(operator, account, limit) for limit in ("101", "102")]
