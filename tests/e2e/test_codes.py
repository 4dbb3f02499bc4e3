"""Confirmation codes: what is counted, what is mailed, and what a failing mail server leaves."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import grpc
import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from balance_client import BalanceError, v1
from balance_service.auth import codes
from balance_service.domain import errors
from balance_service.providers import mail
from balance_service.providers.mail import DeliveryUnknown, SmtpMailer
from tests.service import Service, StartService, free_port, refused

EMAIL = "anna@example.com"

Send = Callable[[str, str, str], Awaitable[None]]


def send(service: Service, email: str = EMAIL) -> Awaitable[v1.SendConfirmationCodeResponse]:
    request = v1.SendConfirmationCodeRequest(email=email)
    return service.client().auth.SendConfirmationCode(request)


def exchange(service: Service, code: str, email: str = EMAIL) -> Awaitable[v1.Token]:
    request = v1.CreateTokenRequest(email=email, confirmation_code=code)
    return service.client().auth.CreateToken(request)


def later(database_url: str, interval: str = "1 minute") -> None:
    """Lets time pass for the limits of codes."""
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE sign_in_quotas SET full_at = full_at - %s::interval", (interval,))


def failing(service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def fail(to: str, subject: str, text: str) -> None:
        raise error

    monkeypatch.setattr(service.mailbox, "send", fail)


def slow(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once: Send = service.mailbox.send

    async def slowly(to: str, subject: str, text: str) -> None:
        await asyncio.sleep(0.2)
        await at_once(to, subject, text)

    monkeypatch.setattr(service.mailbox, "send", slowly)


async def test_many_requests_at_once_send_one_mail(
    start_service: StartService, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = [await start_service(), await start_service()]
    for service in services:
        slow(service, monkeypatch)
    for _ in range(3):
        calls = [send(services[index % 2]) for index in range(20)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        refusals = [result for result in results if isinstance(result, BalanceError)]
        assert len(refusals) == 19
        assert {error.reason for error in refusals} == {"CONFIRMATION_CODE_LIMIT"}
        assert all(0 < (error.retry_after_seconds or 0) <= 30 for error in refusals)
        (sent,) = [mail for service in services for mail in service.mailbox.mails]
        code = sent[2].partition("code is ")[2][:8]
        assert (await exchange(services[0], code)).token
        for service in services:
            service.mailbox.mails.clear()
        later(database_url)


async def test_mail_that_was_not_handed_over_is_not_counted(
    service: Service, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(service)
    code = service.mailbox.code(EMAIL)
    later(database_url)
    with monkeypatch.context() as patch:
        failing(service, patch, errors.Unavailable(5.0))
        for _ in range(10):
            error = await refused(send(service))
            assert (error.code(), error.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
            assert error.retry_after_seconds == 5.0
    # The earlier code is as good as before, and the next may be sent at once.
    assert (await exchange(service, code)).token
    await send(service)
    for _ in range(3):
        later(database_url)
        await send(service)
    later(database_url)
    error = await refused(send(service))
    assert error.reason == "CONFIRMATION_CODE_LIMIT"


async def test_failed_first_mail_creates_nobody(
    service: Service, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        failing(service, patch, RuntimeError("not expected"))
        assert (await refused(send(service))).reason == "INTERNAL"
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT count(*) FROM users").fetchone() == (0,)
    assert (await refused(exchange(service, "00000000"))).reason == "CONFIRMATION_CODE_INVALID"
    await send(service)
    assert (await exchange(service, service.mailbox.code(EMAIL))).token


async def test_mail_that_may_have_arrived_is_counted_and_its_code_works(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending: Send = service.mailbox.send

    async def deliver_and_fall_silent(to: str, subject: str, text: str) -> None:
        await sending(to, subject, text)
        raise DeliveryUnknown

    with monkeypatch.context() as patch:
        patch.setattr(service.mailbox, "send", deliver_and_fall_silent)
        error = await refused(send(service))
    assert error.reason == "UNAVAILABLE"
    assert error.retry_after_seconds == 30
    assert (await refused(send(service))).reason == "CONFIRMATION_CODE_LIMIT"
    assert (await exchange(service, service.mailbox.code(EMAIL))).token


async def test_caller_who_hangs_up_gets_a_code_that_works(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(service, monkeypatch)
    request = v1.SendConfirmationCodeRequest(email=EMAIL)
    with pytest.raises(BalanceError):
        await service.client().auth.SendConfirmationCode(request, timeout=0.1)
    async with asyncio.timeout(30):
        while not service.mailbox.mails:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert (await exchange(service, service.mailbox.code(EMAIL))).token


async def test_mail_server_that_hangs_does_not_use_up_the_calls(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = asyncio.Event()

    async def hang(to: str, subject: str, text: str) -> None:
        await released.wait()

    monkeypatch.setattr(service.mailbox, "send", hang)
    monkeypatch.setattr(codes, "SENDING_MAX", 5)
    waiting = [asyncio.ensure_future(send(service, f"a{index}@example.com")) for index in range(5)]
    async with asyncio.timeout(30):
        while service.app.calls._under_way < 5:
            await asyncio.sleep(0.01)
    error = await refused(send(service, "b@example.com"))
    assert (error.code(), error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    released.set()
    await asyncio.gather(*waiting)


@pytest.mark.usefixtures("within")
@pytest.mark.parametrize(
    "email",
    [
        "=?utf-8?q?=61nna?=@example.com",
        "anna(x)@example.com",
        "anna\r\nBcc: b@example.com",
        "я@x.ru",
    ],
)
async def test_address_that_is_not_what_is_mailed_is_refused(service: Service, email: str) -> None:
    request = v1.CreateTokenRequest(email=email, confirmation_code="00000000")
    for call in (send(service, email), service.client().auth.CreateToken(request)):
        error = await refused(call)
        assert (error.reason, [violation.field for violation in error.violations]) == (
            "INVALID_FIELD",
            ["email"],
        )
    assert service.mailbox.mails == []


async def test_international_domain_is_one_address_in_both_forms(service: Service) -> None:
    answer = await send(service, "Anna@Пример.рф")
    assert answer.email == "anna@xn--e1afmkfd.xn--p1ai"
    code = service.mailbox.code(answer.email)
    assert (await exchange(service, code, "anna@пример.рф")).token


class MailServer:
    """An SMTP server that replies as it is told, and keeps what it takes."""

    def __init__(self, rcpt: str = "250 OK", data: str = "250 OK") -> None:
        self.rcpt = rcpt
        self.data = data
        self.taken: list[tuple[str | None, list[str], str]] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, content.decode()))
        if self.data == "silence":
            await asyncio.sleep(3600)
        return self.data


@contextmanager
def served(
    handler: MailServer, sender: str = "Bank <no-reply@bank.example>"
) -> Iterator[SmtpMailer]:
    port = free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield SmtpMailer(f"smtp://127.0.0.1:{port}", sender)
    finally:
        controller.stop()


async def test_envelope_names_the_address_itself() -> None:
    handler = MailServer()
    with served(handler) as mailer:
        await mailer.send(EMAIL, "s", "text")
    ((sender, recipients, content),) = handler.taken
    assert (sender, recipients) == ("no-reply@bank.example", [EMAIL])
    assert f"To: {EMAIL}\r\n" in content
    assert "From: Bank <no-reply@bank.example>\r\n" in content


@pytest.mark.parametrize(
    ("rcpt", "data"),
    [
        ("550 5.1.1 No such user", "250 OK"),
        ("551 User not local", "250 OK"),
        ("553 Mailbox name not allowed", "250 OK"),
        ("554 5.7.1 No", "250 OK"),
        ("250 OK", "550 5.1.1 No such user"),
    ],
)
async def test_address_that_its_server_refuses_for_good_is_an_invalid_field(
    service: Service, database_url: str, monkeypatch: pytest.MonkeyPatch, rcpt: str, data: str
) -> None:
    with served(MailServer(rcpt, data)) as mailer, monkeypatch.context() as patch:
        patch.setattr(service.mailbox, "send", mailer.send)
        for _ in range(2):
            error = await refused(send(service))
            assert (error.code(), error.reason) == (
                grpc.StatusCode.INVALID_ARGUMENT,
                "INVALID_FIELD",
            )
            assert [violation.field for violation in error.violations] == ["email"]
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT count(*) FROM users").fetchone() == (0,)
    await send(service)


@pytest.mark.parametrize(
    ("rcpt", "data"),
    [
        ("450 Try later", "250 OK"),
        ("421 Going down", "250 OK"),
        ("452 Too many recipients", "250 OK"),
        ("250 OK", "451 Local error"),
        ("250 OK", "554 Transaction failed"),
    ],
)
async def test_refusal_that_passes_is_unavailable_and_not_counted(
    service: Service, monkeypatch: pytest.MonkeyPatch, rcpt: str, data: str
) -> None:
    with served(MailServer(rcpt, data)) as mailer, monkeypatch.context() as patch:
        patch.setattr(service.mailbox, "send", mailer.send)
        for _ in range(2):
            error = await refused(send(service))
            assert error.reason == "UNAVAILABLE"
            assert error.retry_after_seconds
    await send(service)


async def test_mail_server_that_falls_silent_with_the_mail_may_have_delivered_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail, "REPLY_TIMEOUT_SECONDS", 0.3)
    handler = MailServer(data="silence")
    with served(handler) as mailer, pytest.raises(DeliveryUnknown):
        await mailer.send(EMAIL, "s", "text")
    assert len(handler.taken) == 1


async def test_mail_server_that_falls_silent_before_the_mail_has_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail, "ENVELOPE_TIMEOUT_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(errors.Unavailable):
            await SmtpMailer(f"smtp://127.0.0.1:{port}", "a@b.cd").send(EMAIL, "s", "text")


@pytest.mark.parametrize(
    "sender", ["", "nobody", "a@b.cd, c@d.ef", "a@b.cd\r\nBcc: c@d.ef", '"', "=?utf-8?q??=@b.cd"]
)
def test_sender_that_is_no_address_is_refused_at_the_start(sender: str) -> None:
    with pytest.raises(ValueError, match="BALANCE_MAIL_FROM"):
        SmtpMailer("smtp://127.0.0.1:1", sender)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail",
        "http://mail",
        "smtp://",
        "starttls://mail",
        "smtp://me:hunter2/x@mail:25",
        "smtp://hunter2＠[x",
    ],
)
def test_malformed_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="BALANCE_SMTP_URL must look like") as error:
        SmtpMailer(url, "a@b.cd")
    assert "hunter2" not in str(error.value)
