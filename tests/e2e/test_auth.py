"""AuthService: confirmation codes, sign-in of users and services, and what is kept secret."""

import asyncio
import re
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import grpc
import psycopg
import pytest
import structlog
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler

from balance_client import AsyncUserCredentials, BalanceError, v1
from balance_service.domain import errors
from balance_service.domain.principals import Scope
from balance_service.operations import administration, service_principals
from balance_service.providers.mail import SmtpMailer
from tests.authenticators import enrol
from tests.service import Service, StartService, free_port, refused

EMAIL = "anna@example.com"


async def ask(service: Service, email: str = EMAIL) -> v1.CreateTokenRequest:
    """Has a code sent; what it is exchanged for a token with."""
    request = v1.SendConfirmationCodeRequest(email=email)
    sent = await service.client().auth.SendConfirmationCode(request)
    return v1.CreateTokenRequest(
        verification_id=sent.verification_id,
        confirmation_code=service.mailbox.code(email.lower()),
    )


def exchange(service: Service, request: v1.CreateTokenRequest) -> Awaitable[v1.Token]:
    return service.client().auth.CreateToken(request)


def wrong(request: v1.CreateTokenRequest) -> v1.CreateTokenRequest:
    """The request with another code."""
    code = f"{(int(request.confirmation_code) + 1) % 10**8:08d}"
    return v1.CreateTokenRequest(verification_id=request.verification_id, confirmation_code=code)


def later(database_url: str, interval: str) -> None:
    """Lets time pass for the limits of codes."""
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE sign_in_quotas SET full_at = full_at - %s::interval", (interval,))


async def test_code_signs_in_once(service: Service) -> None:
    request = await ask(service)
    token = await exchange(service, request)
    assert (token.token_type, token.refresh_token != "") == ("Bearer", True)
    error = await refused(exchange(service, request))
    assert (error.code(), error.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "CONFIRMATION_CODE_INVALID",
    )


async def test_case_of_the_address_is_ignored(service: Service) -> None:
    code = (await ask(service, "Anna@Example.COM")).confirmation_code
    request = v1.CreateTokenRequest(email="aNNA@example.com", confirmation_code=code)
    assert (await exchange(service, request)).token


async def test_answer_is_the_same_for_a_known_address(service: Service) -> None:
    await administration.create_admin(service.settings, "known@example.com")
    client = service.client()
    for email in ("known@example.com", "unknown@example.com"):
        request = v1.SendConfirmationCodeRequest(email=email)
        answer = await client.auth.SendConfirmationCode(request)
        life = answer.expire_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
        assert timedelta(minutes=9) < life <= timedelta(minutes=10)
        names = [field.name for field, _ in answer.ListFields()]
        assert names == ["email", "expire_time", "verification_id"]
        assert len(answer.verification_id) == 32


async def test_user_exists_once_a_code_is_confirmed(service: Service, database_url: str) -> None:
    def count() -> int:
        with psycopg.connect(database_url) as conn:
            row = conn.execute("SELECT count(*) FROM users").fetchone()
        return int(row[0]) if row else -1

    request = await ask(service)
    await refused(exchange(service, wrong(request)))
    assert count() == 0
    await exchange(service, request)
    assert count() == 1


async def test_five_wrong_guesses_spend_the_code(service: Service) -> None:
    request = await ask(service)
    for _ in range(5):
        await refused(exchange(service, wrong(request)))
    error = await refused(exchange(service, request))
    assert error.reason == "CONFIRMATION_CODE_INVALID"


async def test_concurrent_guesses_are_no_more_than_five(
    start_service: StartService, database_url: str
) -> None:
    services = [await start_service(), await start_service()]
    request = await ask(services[0])
    guesses = [exchange(services[index % 2], wrong(request)) for index in range(20)]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert all(isinstance(result, BalanceError) for result in results)
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT guesses FROM verifications").fetchall() == [(5,)]
    assert (await refused(exchange(services[1], request))).reason == "CONFIRMATION_CODE_INVALID"


async def test_code_used_twice_at_once_signs_in_once(service: Service) -> None:
    for index in range(10):
        request = await ask(service, f"anna{index}@example.com")
        plain = v1.CreateTokenRequest(
            email=f"anna{index}@example.com", confirmation_code=request.confirmation_code
        )
        results = await asyncio.gather(
            *(exchange(service, form) for form in (request, plain) for _ in range(3)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, v1.Token) for result in results) == 1


async def test_expired_code_is_refused(service: Service, database_url: str) -> None:
    request = await ask(service)
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE verifications SET expires_at = now() - interval '1 second'")
    plain = v1.CreateTokenRequest(email=EMAIL, confirmation_code=request.confirmation_code)
    for form in (request, plain):
        assert (await refused(exchange(service, form))).reason == "CONFIRMATION_CODE_INVALID"


async def test_codes_and_ids_are_kept_only_as_keyed_hashes(
    service: Service, database_url: str
) -> None:
    request = await ask(service)
    with psycopg.connect(database_url) as conn:
        rows = conn.execute(
            "SELECT v::text FROM verifications AS v UNION ALL"
            " SELECT q::text FROM sign_in_quotas AS q"
        ).fetchall()
    kept = "".join(row[0] for row in rows).replace(EMAIL, "")
    for secret in (request.confirmation_code, request.verification_id, "127.0.0.1"):
        assert secret not in kept


async def test_codes_are_limited_by_asker(service: Service, database_url: str) -> None:
    await ask(service)
    error = await refused(ask(service))
    assert (error.code(), error.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "CONFIRMATION_CODE_LIMIT",
    )
    assert error.retry_after_seconds
    assert 0 < error.retry_after_seconds <= 30
    for _ in range(4):
        later(database_url, "30 seconds")
        await ask(service)
    later(database_url, "30 seconds")
    error = await refused(ask(service))
    assert error.retry_after_seconds
    assert 60 < error.retry_after_seconds <= 600
    await ask(service, "other@example.com")
    # One more after each ten minutes: nobody is shut out for as long as a code lives.
    later(database_url, "10 minutes")
    await ask(service)


async def test_client_renews_a_token_about_to_expire(start_service: StartService) -> None:
    service = await start_service(access_token_seconds=30)
    token = await exchange(service, await ask(service))
    assert token.expires_in_seconds == 30
    token.expire_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=5))
    kept: list[v1.Token] = []
    client = service.client(AsyncUserCredentials(token, kept.append))
    await client.users.GetMe(v1.GetMeRequest())
    await client.users.GetMe(v1.GetMeRequest())
    assert [new.refresh_token != token.refresh_token for new in kept] == [True]


async def test_sibling_service_signs_in_with_its_secret(service: Service) -> None:
    client = await service.sibling(Scope.ACCOUNTS_READ)
    error = await refused(client.users.GetMe(v1.GetMeRequest()))
    assert error.reason == "PERMISSION_MISSING"
    wrong = v1.CreateTokenRequest(client_id="billing", client_secret="wrong")
    error = await refused(service.client().auth.CreateToken(wrong))
    assert error.reason == "CLIENT_CREDENTIALS_INVALID"


async def test_revoked_sibling_service_cannot_sign_in(service: Service) -> None:
    secret = await administration.create_service_principal(
        service.settings, "billing", "", [Scope.DEPOSITS_WRITE]
    )
    request = v1.CreateTokenRequest(client_id="billing", client_secret=secret)
    assert (await service.client().auth.CreateToken(request)).refresh_token == ""
    await service_principals.revoke(service.settings, "billing")
    error = await refused(service.client().auth.CreateToken(request))
    assert error.reason == "CLIENT_CREDENTIALS_INVALID"


RUBBISH = (
    "\x00",
    "a\x00b",
    "\x7f",
    "\u202e",
    "\ud7ff",
    "\U0010ffff",
    "x" * 300_000,
    "'; --",
    "%s",
    " ",
)


@pytest.mark.usefixtures("within")
@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda text: ascii(text[:10]))
async def test_rubbish_in_any_field_is_a_refusal(service: Service, rubbish: str) -> None:
    auth = service.client().auth
    code = {"email": EMAIL, "confirmation_code": "12345678"}
    verified = {"verification_id": "x", "confirmation_code": "12345678"}
    secret = {"client_id": "billing", "client_secret": "secret"}
    calls: list[Awaitable[object]] = [
        auth.SendConfirmationCode(v1.SendConfirmationCodeRequest(email=rubbish)),
        auth.SendConfirmationCode(v1.SendConfirmationCodeRequest(email=f"a{rubbish}@example.com")),
        auth.SendConfirmationCode(v1.SendConfirmationCodeRequest(email=f"a@{rubbish}example.com")),
        auth.RefreshToken(v1.RefreshTokenRequest(refresh_token=rubbish)),
        *(
            auth.CreateToken(v1.CreateTokenRequest(**{**given, name: rubbish}))
            for given in (code, verified, secret)
            for name in given
        ),
    ]
    for call in calls:
        error = await refused(call)
        assert error.reason in {
            "INVALID_FIELD",
            "REFRESH_TOKEN_INVALID",
            "CONFIRMATION_CODE_INVALID",
            "CLIENT_CREDENTIALS_INVALID",
        }
        assert len(str(error)) < 1000
    assert service.mailbox.mails == []


async def test_neither_logs_nor_refusals_carry_what_is_secret(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await ask(service)
    token = await exchange(service, request)
    with structlog.testing.capture_logs() as logs:
        told: list[str] = []
        again = await refused(exchange(service, request))
        sent: list[str] = [request.confirmation_code, request.verification_id]

        async def fail(to: str, subject: str, text: str) -> None:
            sent.append(text.partition("code is ")[2][:8])
            raise RuntimeError("a fault")

        monkeypatch.setattr(service.mailbox, "send", fail)
        failed = await refused(ask(service, "other@example.com"))
        monkeypatch.undo()
        refresh = v1.RefreshTokenRequest(refresh_token=token.refresh_token)
        following = await service.client().auth.RefreshToken(refresh)
        following = await service.client().auth.RefreshToken(
            v1.RefreshTokenRequest(refresh_token=following.refresh_token)
        )
        sent.append(following.refresh_token)
        reused = await refused(service.client().auth.RefreshToken(refresh))
        person = await service.person("secret@example.com")
        authenticator = await enrol(person)
        remove = v1.RemoveSecondFactorRequest(code=authenticator.code())
        replayed = await refused(person.client.users.RemoveSecondFactor(remove))
        sent += [authenticator.secret, *authenticator.recovery_codes, authenticator.code()]
        told += [str(error) for error in (again, failed, reused, replayed)]
        told += [str(error.metadata) for error in (failed, reused, replayed)]
    written = "".join(
        str(structlog.processors.format_exc_info(None, "", dict(line))) for line in logs
    )
    assert "a fault" in written
    for text in (written, *told):
        for word in (*sent, token.token, token.refresh_token):
            assert not re.search(rf"(?<![0-9a-f]){re.escape(word)}(?![0-9a-f])", text)


async def test_code_arrives_by_smtp() -> None:
    received: list[str] = []

    class Handler(MessageHandler):
        def handle_message(self, message: object) -> None:
            received.append(str(message))

    port = free_port()
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{port}", "no-reply@example.com")
        await mailer.send("anna@example.com", "Your confirmation code", "It is 123456\n")
    finally:
        controller.stop()
    assert "To: anna@example.com" in received[0]
    assert "It is 123456" in received[0]


async def test_mail_server_that_is_away_is_said_to_be_unavailable() -> None:
    mailer = SmtpMailer("smtp://127.0.0.1:1", "no-reply@example.com")
    with pytest.raises(errors.Unavailable):
        await mailer.send("anna@example.com", "s", "t")
