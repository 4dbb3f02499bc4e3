"""What operators do at the command line is in the audit log, and no secret with it."""

from datetime import timedelta

from balance_service.config import Settings
from balance_service.database.pool import Pool
from balance_service.domain.principals import Scope
from balance_service.operations import (
    administration,
    secret_rotation,
    service_principals,
    signing_keys,
)

CERTIFICATE = "dns:billing.example"


async def test_every_act_on_keys_and_sibling_services_is_recorded(
    pool: Pool, service_settings: Settings
) -> None:
    secret = await administration.create_service_principal(
        service_settings, "billing", "", [Scope.DEPOSITS_WRITE]
    )
    new = await service_principals.rotate(service_settings, "billing")
    await service_principals.revoke_secret(service_settings, "billing", new.secret_id)
    bound = await service_principals.bind(service_settings, "billing", CERTIFICATE)
    await service_principals.unbind(service_settings, "billing", bound)
    await service_principals.revoke(service_settings, "billing")
    first = await signing_keys.rotate(service_settings)
    second = await signing_keys.rotate(service_settings, timedelta(days=1))
    await signing_keys.retire(service_settings, first)
    await signing_keys.revoke(service_settings, second)
    await secret_rotation.reseal(service_settings)

    async with pool.connection() as conn:
        rows = await (
            await conn.execute(
                "SELECT action, target, value_before, value_after, actor FROM audit_events"
                " ORDER BY created_at, event_id"
            )
        ).fetchall()
    service, secret_id = "service:billing", {"secret": str(new.secret_id)}
    certificate = {"certificate": str(bound)}
    told = [(action, target, before, after) for action, target, before, after, _ in rows]
    assert told[:6] == [
        ("principal.created", service, {}, {"scopes": "deposits:write"}),
        ("principal.secret_added", service, {}, secret_id),
        ("principal.secret_revoked", service, secret_id, {}),
        ("principal.certificate_bound", service, {}, certificate | {"name": CERTIFICATE}),
        ("principal.certificate_unbound", service, certificate, {}),
        ("principal.revoked", service, {}, {}),
    ]
    assert [row[:2] for row in told[6:10]] == [
        ("key.rotated", f"key:{first}"),
        ("key.rotated", f"key:{second}"),
        ("key.retired", f"key:{first}"),
        ("key.revoked", f"key:{second}"),
    ]
    assert told[10][0] == "secret.resealed"
    assert {actor.partition(":")[0] for *_, actor in rows} == {"operator"}
    assert secret not in repr(rows)
    assert new.secret not in repr(rows)
