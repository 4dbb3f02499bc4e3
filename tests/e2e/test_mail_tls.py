"""Mail over TLS: nothing is sent in plain text where TLS is asked for, nor to a false server."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from balance_service.domain import errors
from balance_service.providers.mail import SmtpMailer
from tests.certificates import Authority, Pair
from tests.service import free_port

TO = "anna@example.com"


class Taken:
    """Keeps what a mail server was told."""

    def __init__(self) -> None:
        self.mails: list[bool] = []
        self.recipients = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.recipients += 1
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(session.ssl is not None)
        return "250 OK"


@contextmanager
def served(taken: Taken, folder: Path, pair: Pair | None) -> Iterator[int]:
    """The port of a mail server, which offers STARTTLS if it has a certificate."""
    context = None
    if pair:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*pair.write(folder))
    port = free_port()
    controller = Controller(taken, hostname="127.0.0.1", port=port, tls_context=context)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The authority that this machine trusts."""
    made = Authority("one")
    path = tmp_path / "trusted.pem"
    path.write_bytes(made.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return made


async def test_starttls_is_spoken_with_a_server_that_is_the_one(
    authority: Authority, tmp_path: Path
) -> None:
    taken = Taken()
    with served(taken, tmp_path, authority.pair("mail")) as port:
        await SmtpMailer(f"smtp+starttls://127.0.0.1:{port}", "a@b.cd").send(TO, "s", "text")
    assert taken.mails == [True]


@pytest.mark.parametrize("kind", ["none", "expired", "wrong CA", "wrong name"])
async def test_nothing_is_sent_to_a_server_without_a_good_certificate(
    authority: Authority, tmp_path: Path, kind: str
) -> None:
    pair = {
        "none": None,
        "expired": authority.pair("mail", days=-1),
        "wrong CA": Authority("two").pair("mail"),
        "wrong name": authority.pair("mail", host="mail.example.com"),
    }[kind]
    taken = Taken()
    with served(taken, tmp_path, pair) as port:
        mailer = SmtpMailer(f"smtp+starttls://127.0.0.1:{port}", "a@b.cd")
        with pytest.raises(errors.Unavailable):
            await mailer.send(TO, "s", "text")
        if pair:
            # A server that offers TLS has to be the one without being asked for it, too.
            with pytest.raises(errors.Unavailable):
                await SmtpMailer(f"smtp://127.0.0.1:{port}", "a@b.cd").send(TO, "s", "text")
    assert (taken.mails, taken.recipients) == ([], 0)
