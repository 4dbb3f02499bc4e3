"""The audit log as admins read it: what is recorded, of whom and from where, and what is not."""

from typing import Any
from uuid import uuid4

import psycopg
from google.protobuf.field_mask_pb2 import FieldMask

from balance_client import v1
from balance_service.domain import rations
from balance_service.domain.principals import Scope
from tests.audit import events
from tests.authenticators import ask_again, enrol
from tests.service import Person, Service, StartService, reason, somebody


async def only(admin: Person, **kept: Any) -> v1.AuditEvent:
    (event,) = await events(admin, **kept)
    return event


def rows(service: Service) -> int:
    with psycopg.connect(service.settings.database_url.get_secret_value()) as conn:
        return len(conn.execute("SELECT FROM audit_events").fetchall())


async def test_what_an_admin_does_to_a_user_is_recorded(service: Service) -> None:
    admin, boris = await service.admin(), await service.person()
    users, target = admin.client.users, f"user:{boris.user_id}"
    request = v1.UpdateUserRequest(
        id=boris.user_id,
        user=v1.User(first_name="Boris", role=v1.ROLE_MODERATOR),
        update_mask=FieldMask(paths=["first_name", "role"]),
        request_id=str(uuid4()),
    )
    await users.UpdateUser(request)
    # Neither a repeat nor a rehearsal is another act.
    await users.UpdateUser(request)
    await users.DisableUser(v1.DisableUserRequest(user=boris.user_id, validate_only=True))
    disabled = users.DisableUser(v1.DisableUserRequest(user=boris.user_id))
    await disabled
    call_id = dict(await disabled.trailing_metadata())["x-request-id"]
    await users.EnableUser(v1.EnableUserRequest(user=boris.user_id))
    await users.ResetSecondFactor(v1.ResetSecondFactorRequest(user=boris.user_id))

    found = await events(admin, target=target, actor=f"user:{admin.user_id}")
    assert [event.action for event in found] == [
        "user.updated",
        "user.role_changed",
        "user.disabled",
        "user.enabled",
        "second_factor.reset",
    ]
    updated, role, off, *_ = found
    assert dict(updated.after) == {"fields": "first_name"}
    assert (dict(role.before), dict(role.after)) == ({"role": "user"}, {"role": "moderator"})
    assert (dict(off.before), dict(off.after)) == ({"disabled": "no"}, {"disabled": "yes"})
    assert (off.outcome, off.refusal) == (v1.AUDIT_OUTCOME_DONE, "")
    assert (off.network, off.request_id) == ("127.0.0.1", call_id)
    session = await only(admin, action="session.started", target=f"user:{admin.user_id}")
    assert session.session == off.session


async def test_what_an_operator_does_to_an_account_is_recorded(service: Service) -> None:
    admin, boris = await service.admin(), await service.person()
    accounts = admin.client.accounts
    own = await admin.open()
    request = v1.CreateAccountRequest(user=boris.user_id)
    account = (await accounts.CreateAccount(request)).id
    await accounts.CreateAccount(request)
    why: dict[str, Any] = {"account": account, "reason": "Asked by phone"}
    await accounts.FreezeAccount(v1.FreezeAccountRequest(**why))
    await accounts.UnfreezeAccount(v1.UnfreezeAccountRequest(**why))
    await accounts.SetAccountLimits(
        v1.SetAccountLimitsRequest(**why, overdraft="5", debit_limit="2")
    )
    await accounts.CloseAccount(v1.CloseAccountRequest(**why))
    await accounts.ReopenAccount(v1.ReopenAccountRequest(**why))

    found = await events(admin, target=f"account:{account}")
    assert [event.action.removeprefix("account.") for event in found] == [
        "opened", "frozen", "unfrozen", "limits_set", "closed", "reopened"
    ]  # fmt: skip
    assert {event.reason for event in found[1:]} == {"Asked by phone"}
    limits = found[3]
    changes = await accounts.ListAccountChanges(v1.ListAccountChangesRequest(account=account))
    rules = {"status": "ACTIVE", "currency": "RUB", "daily_limit": ""}
    assert dict(limits.before) == {**rules, "overdraft": "0.00", "debit_limit": ""}
    assert dict(limits.after) == {
        **rules,
        "overdraft": "5.00",
        "debit_limit": "2.00",
        "change": changes.changes[2].id,
    }
    # What people do on their own accounts is theirs.
    assert not await events(admin, target=f"account:{own.id}")


async def test_only_privileged_movements_are_recorded(service: Service) -> None:
    admin, (anna, account) = await service.admin(), await somebody(service, "100")
    boris, _ = await somebody(service)
    boris_account = (await boris.client.accounts.ListAccounts(v1.ListAccountsRequest())).accounts[0]
    billing = await service.sibling(Scope.TRANSFERS_REVERSE)
    await reason(billing.users.GetMe(v1.GetMeRequest()))
    before = rows(service)
    send = v1.CreateTransferRequest(to_account=boris_account.id, amount="30")
    sent = await anna.client.transfers.CreateTransfer(send)
    hold = v1.CreateHoldRequest(to_account=boris_account.id, amount="10")
    held = [await anna.client.holds.CreateHold(hold) for _ in range(2)]
    await anna.client.holds.VoidHold(v1.VoidHoldRequest(hold=held[0].id))
    returned = v1.ReverseTransferRequest(transfer=sent.id, amount="1", reason="Too much")
    await boris.client.transfers.ReverseTransfer(returned)
    await billing.transfers.ReverseTransfer(returned)
    assert rows(service) == before

    forced = v1.ReverseTransferRequest(
        transfer=sent.id, amount="28", reason="Fraud", force=True, request_id="case 7"
    )
    reversal = await admin.client.transfers.ReverseTransfer(forced)
    await admin.client.transfers.ReverseTransfer(forced)
    await admin.client.holds.VoidHold(v1.VoidHoldRequest(hold=held[1].id, reason="Fraud, too"))
    event = await only(admin, target=f"movement:{reversal.id}")
    assert (event.action, event.reason) == ("movement.reversed", "Fraud")
    assert event.actor == f"user:{admin.user_id}"
    assert dict(event.after) == {
        "original": sent.id,
        "amount": "28.00",
        "currency": "RUB",
        "force": "yes",
    }
    voided = await only(admin, action="hold.voided")
    assert (dict(voided.after), voided.reason) == ({"original": held[1].id}, "Fraud, too")
    assert rows(service) == before + 2
    assert await anna.balance(account) == "100.00"


async def test_catalogue_changes_are_recorded(service: Service) -> None:
    admin = await service.admin()
    purchases = admin.client.purchases
    sold = await purchases.CreateService(
        v1.CreateServiceRequest(service=v1.Service(name="Tea", price="3"))
    )
    await purchases.UpdateService(
        v1.UpdateServiceRequest(
            id=sold.id, service=v1.Service(price="4"), update_mask=FieldMask(paths=["price"])
        )
    )
    await purchases.DeleteService(v1.DeleteServiceRequest(service=sold.id))
    created, updated, deleted = await events(admin, target=f"catalogue_service:{sold.id}")
    offer = {"name": "Tea", "price": "3.00", "currency": "RUB", "repeatable": "no"}
    assert (dict(created.before), dict(created.after)) == ({}, offer)
    assert (dict(updated.before), dict(updated.after)) == (offer, {**offer, "price": "4.00"})
    assert (deleted.action, dict(deleted.before)["price"]) == ("catalogue.service_deleted", "4.00")


async def test_sign_ins_and_what_becomes_of_them_are_recorded(service: Service) -> None:
    admin, anna = await service.admin(), await service.person()
    database_url, me = service.settings.database_url.get_secret_value(), f"user:{anna.user_id}"
    billing = await service.sibling(Scope.DEPOSITS_WRITE)
    await reason(billing.users.GetMe(v1.GetMeRequest()))
    again = await ask_again(service, anna.email, database_url)
    second = await service.client().auth.CreateToken(again)
    sessions = await anna.client.users.ListSessions(v1.ListSessionsRequest())
    other = next(session for session in sessions.sessions if not session.current)
    for _ in range(2):
        await anna.client.users.EndSession(v1.EndSessionRequest(session=other.id))
        await service.client().auth.RevokeToken(
            v1.RevokeTokenRequest(refresh_token=second.refresh_token)
        )
    authenticator = await enrol(anna)
    code = authenticator.recovery_codes[0]
    await anna.client.users.RemoveSecondFactor(v1.RemoveSecondFactorRequest(code=code))
    await anna.client.users.EndSessions(v1.EndSessionsRequest(include_current=True))

    found = await events(admin, target=me)
    assert [(event.action, event.actor) for event in found] == [
        ("session.started", me),
        ("session.started", me),
        ("session.ended", me),
        ("second_factor.enrolled", me),
        ("second_factor.removed", me),
        ("session.all_ended", me),
    ]
    assert dict(found[2].after) == {"session": other.id}
    assert found[1].session == other.id
    (service_sign_in,) = [
        event
        for event in await events(admin, action="session.started")
        if event.actor.startswith("service:")
    ]
    assert (service_sign_in.target, service_sign_in.session) == (service_sign_in.actor, "")


async def test_reuse_of_a_refresh_token_is_recorded(start_service: StartService) -> None:
    service = await start_service(refresh_grace_seconds=0)
    admin, anna = await service.admin(), await service.person()
    refresh = v1.RefreshTokenRequest(refresh_token=anna.token.refresh_token)
    await service.client().auth.RefreshToken(refresh)
    for _ in range(3):
        assert await reason(service.client().auth.RefreshToken(refresh)) == "REFRESH_TOKEN_INVALID"
    event = await only(admin, action="session.refresh_token_reused")
    assert (event.target, event.actor) == (f"user:{anna.user_id}", "")
    assert event.outcome == v1.AUDIT_OUTCOME_REFUSED
    assert event.refusal == "REFRESH_TOKEN_INVALID"


async def test_address_is_recorded_in_short(service: Service) -> None:
    admin, anna = await service.admin(), await service.person("anna@example.com")
    codes = [
        await ask_again(service, email, service.settings.database_url.get_secret_value())
        for email in ("anna@example.com", "zoe@example.org")
    ]
    await anna.client.users.ChangeEmail(
        v1.ChangeEmailRequest(
            verification_id=codes[0].verification_id,
            confirmation_code=codes[0].confirmation_code,
            new_verification_id=codes[1].verification_id,
            new_confirmation_code=codes[1].confirmation_code,
        )
    )
    event = await only(admin, action="user.email_changed")
    assert dict(event.before) == {"email": "a***@example.com"}
    assert dict(event.after) == {"email": "z***@example.org"}
    with psycopg.connect(service.settings.database_url.get_secret_value()) as conn:
        log = repr(conn.execute("SELECT * FROM audit_events").fetchall())
    secret = [code.confirmation_code for code in codes] + [code.verification_id for code in codes]
    for private in (*secret, anna.token.refresh_token, "anna@example.com", "zoe@example.org"):
        assert private not in log


async def test_refused_sign_ins_are_recorded_once_in_a_while(service: Service) -> None:
    admin, anna = await service.admin(), await service.person()
    auth = service.client().auth
    known = await ask_again(service, anna.email, service.settings.database_url.get_secret_value())
    wrong = v1.CreateTokenRequest(verification_id=known.verification_id, confirmation_code="0" * 8)
    for _ in range(3):
        assert await reason(auth.CreateToken(wrong)) == "CONFIRMATION_CODE_INVALID"
    event = await only(admin, action="session.refused")
    assert (event.target, event.actor) == (f"user:{anna.user_id}", "")
    assert (event.refusal, event.network) == ("CONFIRMATION_CODE_INVALID", "127.0.0.1")
    assert not event.after

    stolen = v1.CreateTokenRequest(client_id="billing", client_secret="guess")
    for n in range(30):
        stolen.client_id = f"billing-{n}"
        assert await reason(auth.CreateToken(stolen)) == "CLIENT_CREDENTIALS_INVALID"
    found = await events(admin, action="session.refused")
    assert len(found) == rations.NETWORK_MAX
    # Two repeats were left out before the first of these.
    assert (found[1].target, dict(found[1].after)) == ("service:billing-0", {"left_out": "2"})
