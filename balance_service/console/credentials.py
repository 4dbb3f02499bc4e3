"""The page of what sibling services and tokens are known by: which commands keep them.

Principals and their secrets are kept at the command line alone; of signing keys, the contract tells
what is public.
"""

from starlette.responses import Response

from balance_service._generated.balance.v1 import auth_pb2
from balance_service.console.visits import Visit


async def show(visit: Visit) -> Response:
    """The published keys, and the commands."""
    jwks = await visit.ask(visit.service.auth.GetJwks, auth_pb2.GetJwksRequest())
    return visit.page("credentials.html", keys=jwks.keys)
