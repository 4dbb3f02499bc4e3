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
from balance_service.operations import administration
from balance_service.providers.mail import SmtpMailer
from tests.service import Service, StartService, free_port, refused

EMAIL = "anna@example.com"


async def send(service: Service, email: str = EMAIL) -> str:
    await service.client().auth.SendConfirmationCode(v1.SendConfirmationCodeRequest(email=email))
    return service.mailbox.code(email.lower())


async def exchange(service: Service, code: str, email: str = EMAIL) -> v1.Token:
    request = v1.CreateTokenRequest(email=email, confirmation_code=code)
    return await service.client().auth.CreateToken(request)


def other(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def test_code_signs_in_once(service: Service) -> None:
    code = await send(service)
    token = await exchange(service, code)
    assert (token.token_type, token.refresh_token != "") == ("Bearer", True)
    error = await refused(exchange(service, code))
    assert (error.code(), error.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "CONFIRMATION_CODE_INVALID",
    )


async def test_case_of_the_address_is_ignored(service: Service) -> None:
    code = await send(service, "Anna@Example.COM")
    assert (await exchange(service, code, "aNNA@example.com")).token


async def test_first_code_creates_the_user_and_the_answer_is_the_same(service: Service) -> None:
    await administration.create_admin(service.settings, "known@example.com")
    client = service.client()
    for email in ("known@example.com", "unknown@example.com"):
        request = v1.SendConfirmationCodeRequest(email=email)
        answer = await client.auth.SendConfirmationCode(request)
        life = answer.expire_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
        assert timedelta(minutes=9) < life <= timedelta(minutes=10)
        assert [field.name for field, _ in answer.ListFields()] == ["email", "expire_time"]
    assert (await exchange(service, service.mailbox.code("unknown@example.com"), email)).token


async def test_five_wrong_attempts_spend_the_code(service: Service) -> None:
    code = await send(service)
    for _ in range(5):
        await refused(exchange(service, other(code)))
    error = await refused(exchange(service, code))
    assert error.reason == "CONFIRMATION_CODE_INVALID"


async def test_concurrent_guesses_get_no_more_attempts_than_five(
    service: Service, database_url: str
) -> None:
    code = await send(service)
    guesses = [exchange(service, other(code)) for _ in range(20)]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert all(isinstance(result, BalanceError) for result in results)
    with psycopg.connect(database_url) as conn:
        row = conn.execute("SELECT attempts FROM confirmation_codes").fetchone()
    assert row == (5,)


async def test_code_used_twice_at_once_signs_in_once(service: Service) -> None:
    for index in range(10):
        email = f"anna{index}@example.com"
        code = await send(service, email)
        results = await asyncio.gather(
            *(exchange(service, code, email) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(result, v1.Token) for result in results) == 1


async def test_expired_code_is_refused(service: Service, database_url: str) -> None:
    code = await send(service)
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE confirmation_codes SET expires_at = now() - interval '1 second'")
    assert (await refused(exchange(service, code))).reason == "CONFIRMATION_CODE_INVALID"


async def test_code_is_kept_only_as_a_keyed_hash(service: Service, database_url: str) -> None:
    code = await send(service)
    with psycopg.connect(database_url) as conn:
        rows = conn.execute("SELECT c::text FROM confirmation_codes AS c").fetchall()
    assert code not in rows[0][0].replace(EMAIL, "")


async def test_codes_are_limited_by_address(service: Service, database_url: str) -> None:
    await send(service)
    error = await refused(send(service))
    assert (error.code(), error.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "CONFIRMATION_CODE_LIMIT",
    )
    assert error.retry_after_seconds
    assert 0 < error.retry_after_seconds <= 30
    for _ in range(4):
        with psycopg.connect(database_url) as conn:
            conn.execute("UPDATE confirmation_codes SET sent_at = sent_at - interval '1 minute'")
        await send(service)
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE confirmation_codes SET sent_at = sent_at - interval '1 minute'")
    error = await refused(send(service))
    assert error.retry_after_seconds
    assert error.retry_after_seconds > 3000
    assert await send(service, "other@example.com")


async def test_client_renews_a_token_about_to_expire(start_service: StartService) -> None:
    service = await start_service(access_token_seconds=30)
    token = await exchange(service, await send(service))
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
    assert await administration.revoke_service_principal(service.settings, "billing")
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
    code = {"email": EMAIL, "confirmation_code": "123456"}
    secret = {"client_id": "billing", "client_secret": "secret"}
    calls: list[Awaitable[object]] = [
        auth.SendConfirmationCode(v1.SendConfirmationCodeRequest(email=rubbish)),
        auth.SendConfirmationCode(v1.SendConfirmationCodeRequest(email=f"a{rubbish}@example.com")),
        auth.SendConfirmationCode(v1.SendConfirmationCodeRequest(email=f"a@{rubbish}example.com")),
        auth.RefreshToken(v1.RefreshTokenRequest(refresh_token=rubbish)),
        *(
            auth.CreateToken(v1.CreateTokenRequest(**{**given, name: rubbish}))
            for given in (code, secret)
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
    code = await send(service)
    token = await exchange(service, code)
    with structlog.testing.capture_logs() as logs:
        told: list[str] = []
        again = await refused(exchange(service, code))
        sent: list[str] = [code]

        async def fail(to: str, subject: str, text: str) -> None:
            sent.append(text.partition("code is ")[2][:6])
            raise RuntimeError("a fault")

        monkeypatch.setattr(service.mailbox, "send", fail)
        failed = await refused(send(service, "other@example.com"))
        refresh = v1.RefreshTokenRequest(refresh_token=token.refresh_token)
        await service.client().auth.RefreshToken(refresh)
        reused = await refused(service.client().auth.RefreshToken(refresh))
        told += [str(again), str(failed), str(reused), str(failed.metadata), str(reused.metadata)]
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
