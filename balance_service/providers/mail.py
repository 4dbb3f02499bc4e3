"""Sends mail: over SMTP, or to the terminal while developing."""

import asyncio
import contextlib
import ssl
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from balance_service.domain import errors, retry_after
from balance_service.domain.addresses import parse_email

# For everything up to the mail itself, for each of its two replies, and for the farewell: together
# less than the time between two codes to an address.
ENVELOPE_TIMEOUT_SECONDS = 10
REPLY_TIMEOUT_SECONDS = 8
QUIT_TIMEOUT_SECONDS = 1
# Replies that tell of the mailbox (RFC 5321, 4.2.3), where a mail was refused as a whole.
_NO_SUCH_MAILBOX = {550, 551, 553}
_SCHEMES = {"smtp", "smtp+starttls", "smtps"}

_log = structlog.get_logger()


class DeliveryUnknown(Exception):  # noqa: N818 - it is what it says
    """The mail server had the whole mail and did not answer: it may yet deliver it."""


class Mailer(Protocol):
    """Hands a mail over for delivery."""

    async def send(self, to: str, subject: str, text: str) -> None:
        """Sends a plain-text mail.

        Args:
            to: An address as `parse_email` reads it.
            subject: A single line.
            text: The body; may have several lines.

        Raises:
            InvalidFields: The mail server refuses the address for good; nothing was sent.
            Unavailable: It could not be handed over; nothing was sent.
            DeliveryUnknown: It may have been.
        """


class SmtpMailer:
    """Sends over SMTP (RFC 5321); where TLS is spoken, the server's certificate is verified.

    Args:
        url: `smtp://user:password@host:port`, with STARTTLS where the server offers it;
            `smtp+starttls` for nothing without it; `smtps` for TLS from the start.
        sender: The address that mails come from; a name may stand before it, as in `Bank <a@b.c>`.

    Raises:
        ValueError: The URL or the sender is not of this form.
    """

    def __init__(self, url: str, sender: str) -> None:
        try:
            parts = urlsplit(url)
            if parts.scheme not in _SCHEMES or not parts.hostname:
                raise ValueError(url)
            self._tls = parts.scheme == "smtps"
            # None upgrades where it can: whoever can change what is on its way takes the offer out.
            self._start_tls = True if parts.scheme == "smtp+starttls" else None
            self._host = parts.hostname
            self._port = parts.port or (465 if self._tls else 587)
        except ValueError:
            # The library's message may quote the password.
            form = "BALANCE_SMTP_URL must look like smtp://user:password@host:port"
            raise ValueError(form) from None
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._sender = _sender(sender)

    async def send(self, to: str, subject: str, text: str) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message.set_content(text)
        client = self._client()
        try:
            await self._hand_over(client, to, message.as_bytes(policy=policy.SMTP))
        except (aiosmtplib.SMTPException, OSError) as error:
            # The message names the server's complaint, which may quote the mail: only its type.
            _log.error("mail_failed", cause=type(error).__name__)
            raise errors.Unavailable(retry_after.MAIL_SERVER_FAILED_SECONDS) from None
        finally:
            client.close()

    async def try_once(self) -> None:
        """Signs in to the mail server and leaves again.

        Raises:
            ConnectionError: It does not answer as it should, or refuses the sign-in.
        """
        client = self._client()
        try:
            async with asyncio.timeout(ENVELOPE_TIMEOUT_SECONDS):
                await client.connect()
                await client.quit()
        except (aiosmtplib.SMTPException, OSError) as error:
            # As in `send`: the message may quote what was sent.
            cause = f"{self._host}:{self._port} cannot be used: {type(error).__name__}"
            raise ConnectionError(cause) from None
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._username,
            password=self._password,
            use_tls=self._tls,
            start_tls=self._start_tls,
            tls_context=ssl.create_default_context(),
            timeout=ENVELOPE_TIMEOUT_SECONDS,
        )

    async def _hand_over(self, client: aiosmtplib.SMTP, to: str, mail: bytes) -> None:
        try:
            async with asyncio.timeout(ENVELOPE_TIMEOUT_SECONDS):
                await client.connect()
                await client.mail(self._sender.addr_spec)
                await client.rcpt(to)
        except aiosmtplib.SMTPRecipientRefused as error:
            _check_recipient(error.code, refused=error.code >= 500)
            raise
        try:
            await client.data(mail, timeout=REPLY_TIMEOUT_SECONDS)
        except aiosmtplib.SMTPDataError as error:
            _check_recipient(error.code, refused=error.code in _NO_SUCH_MAILBOX)
            raise
        except (aiosmtplib.SMTPException, OSError) as error:
            _log.error("mail_outcome_unknown", cause=type(error).__name__)
            raise DeliveryUnknown from None
        # The mail is handed over already, whatever the server answers to QUIT.
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await client.quit(timeout=QUIT_TIMEOUT_SECONDS)


def _check_recipient(code: int, *, refused: bool) -> None:
    if refused:
        _log.warning("mail_address_refused", code=code)
        raise errors.invalid("email", "cannot be mailed: the mail server refuses it")


def _sender(text: str) -> Address:
    """The configured sender, of which the envelope takes the address alone."""
    message = EmailMessage()
    try:
        message["From"] = text
        (address,) = message["From"].addresses
        return Address(address.display_name, addr_spec=parse_email(address.addr_spec))
    except (ValueError, LookupError, AttributeError, errors.InvalidFields):
        # On some texts that are no address, the library's parser itself fails.
        raise ValueError("BALANCE_MAIL_FROM must be an e-mail address") from None


class TerminalMailer:
    """Prints mails and keeps them in a file, for development.

    Args:
        path: The file that mails are added to; readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, to: str, subject: str, text: str) -> None:
        await asyncio.to_thread(self._write, f"To: {to}\nSubject: {subject}\n\n{text}\n")

    def _write(self, mail: str) -> None:
        self._path.touch(mode=0o600)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(mail)
        print(f"\n--- mail ---\n{mail}------------\n", flush=True)  # noqa: T201 - its purpose
