"""Sends mail: over SMTP, or to the terminal while developing."""

import asyncio
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from balance_service.domain import errors

TIMEOUT_SECONDS = 10

_log = structlog.get_logger()


class Mailer(Protocol):
    """Hands a mail over for delivery."""

    async def send(self, to: str, subject: str, text: str) -> None:
        """Sends a plain-text mail.

        Raises:
            Unavailable: It could not be handed over.
        """


class SmtpMailer:
    """Sends over SMTP (RFC 5321), with STARTTLS where the server offers it.

    Args:
        url: `smtp://user:password@host:port`; `smtps` for TLS from the start.
        sender: The address that mails come from.

    Raises:
        ValueError: The URL is not of this form.
    """

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("BALANCE_SMTP_URL must look like smtp://user:password@host:port")
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname
        self._port = parts.port or (465 if self._tls else 587)
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._sender = sender

    async def send(self, to: str, subject: str, text: str) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message.set_content(text)
        try:
            await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                username=self._username,
                password=self._password,
                use_tls=self._tls,
                tls_context=ssl.create_default_context(),
                timeout=TIMEOUT_SECONDS,
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            # The message names the server's complaint, which may quote the mail: only its type.
            _log.error("mail_failed", cause=type(error).__name__)
            raise errors.Unavailable from None


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
