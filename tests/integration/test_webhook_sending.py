"""Requests to where somebody else chose: what is connected to, and what an answer may cost."""

import asyncio
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from balance_service.domain.networks import parse_networks
from balance_service.domain.webhook_urls import Address, Rules
from balance_service.domain.webhooks import Answer
from balance_service.webhooks import sending
from balance_service.webhooks.sending import Sender
from tests import certificates
from tests.webhooks import OK, Got, Receiver, receiver, status

LOCAL = Rules(plain_http=True, networks=parse_networks("127.0.0.0/8"))
BODY = b'{"id":"e1"}'


class Names:
    """Answers look-ups, another time otherwise."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked += 1
        return [ip_address(text) for text in self._answers[min(self.asked, len(self._answers)) - 1]]


def named(there: Receiver, scheme: str = "http") -> str:
    """A receiver's URL by a name."""
    port = there.url.split(":")[2].split("/")[0]
    return f"{scheme}://hooks.example.com:{port}/x"


async def test_request_is_what_was_asked_for() -> None:
    async with receiver() as there:
        answer = await Sender(LOCAL).send(there.url, {"webhook-id": "e1"}, BODY)
        assert answer == Answer(200)
        (got,) = there.got
        assert (got.path, got.body) == ("/hooks?key=k", BODY)
        assert got.headers["webhook-id"] == "e1"


async def test_connection_is_made_to_the_address_that_was_checked() -> None:
    """A name that leads elsewhere right after it was looked up leads nowhere else."""
    async with receiver() as there:
        names = Names(["127.0.0.1"], ["10.0.0.1"])
        sender = Sender(LOCAL, names)
        assert await sender.send(named(there), {}, BODY) == Answer(200)
        assert names.asked == 1
        assert there.got[0].headers["host"].startswith("hooks.example.com:")
        refused = await sender.send(named(there), {}, BODY)
        assert refused.error == "the host has an address that is not public"
        assert len(there.got) == 1


@pytest.mark.parametrize("addresses", [["127.0.0.1", "10.0.0.1"], ["127.0.0.1", "::1"]])
async def test_one_address_within_is_enough_to_refuse(addresses: list[str]) -> None:
    async with receiver() as there:
        sender = Sender(LOCAL, Names(addresses))
        assert (await sender.send(named(there), {}, BODY)).error.startswith("the host has")
        assert await sender.leads_inside(named(there))
        assert not there.got


async def test_other_address_is_tried_where_one_does_not_answer() -> None:
    async with receiver() as there:
        sender = Sender(LOCAL, Names(["127.0.0.2", "127.0.0.1"]))
        assert await sender.send(named(there), {}, BODY) == Answer(200)


async def test_certificate_must_be_that_of_the_name(tmp_path: Path) -> None:
    authority = certificates.Authority("Trusted")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = authority.pair("hooks", host="hooks.example.com")
    served.load_cert_chain(*pair.write(tmp_path))
    trusting = ssl.create_default_context(cadata=authority.pem.decode())
    async with receiver(context=served) as there:
        names = Names(["127.0.0.1"])
        url = named(there, "https")
        assert await Sender(LOCAL, names, trusting).send(url, {}, BODY) == Answer(200)
        for sender, asked in (
            (Sender(LOCAL, names), url),
            (Sender(LOCAL, names, trusting), url.replace("hooks.", "other.")),
            (Sender(LOCAL, names, trusting), there.url),
        ):
            answer = await sender.send(asked, {}, BODY)
            assert answer.error == "the certificate is not valid"
        assert len(there.got) == 1


async def test_plain_http_and_addresses_within_need_a_setting() -> None:
    async with receiver() as there:
        assert (await Sender(Rules()).send(there.url, {}, BODY)).error == "the URL is not allowed"
        plain = Sender(Rules(plain_http=True))
        assert (await plain.send(there.url, {}, BODY)).error == "the URL is not allowed"
        by_name = await plain.send(there.url.replace("127.0.0.1", "localhost"), {}, BODY)
        assert by_name.error == "the host has an address that is not public"
        assert not there.got


async def test_slow_answer_is_given_up_however_it_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "ATTEMPT_SECONDS_MAX", 0.5)
    ended = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            writer.close()
            ended.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await Sender(LOCAL).send(f"http://127.0.0.1:{port}/", {}, BODY)
        assert answer.http_status == 0
        assert answer.error.startswith("no answer within")
        async with asyncio.timeout(60):
            await ended.wait()


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + OK, Answer(200)),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000_000, Answer(200)),
        (OK + b"and more", Answer(200)),
        (status(301, "location: http://127.0.0.1:1/"), Answer(301, "HTTP 301")),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Answer(200)),
        (b"", Answer(0, "the connection was closed without an answer")),
        (b"SSH-2.0-OpenSSH_9.9\r\n", Answer(0, "the answer is no HTTP")),
        (status(101, "upgrade: h2c", "connection: upgrade"), Answer(0, "the answer is no HTTP")),
        (
            b"HTTP/1.1 200 OK\r\nx: " + b"y" * (1 << 20),
            Answer(0, "the connection was closed without an answer"),
        ),
    ],
)
async def test_answers_of_every_sort(said: bytes, answer: Answer) -> None:
    async with receiver(lambda _: said) as there:
        assert await Sender(LOCAL).send(there.url, {}, BODY) == answer


async def test_where_nobody_listens() -> None:
    async with receiver() as there:
        url = there.url
    assert (await Sender(LOCAL).send(url, {}, BODY)).error == "the connection was refused"

    async def unknown(host: str, port: int) -> Sequence[Address]:
        raise OSError("of the resolver")

    assert (await Sender(LOCAL, unknown).send("http://a.example/", {}, BODY)).error
    assert not await Sender(LOCAL, unknown).leads_inside("http://a.example/")


async def test_receiver_says_when_to_come_back() -> None:
    def busy(_: Got) -> bytes:
        return status(429, "retry-after: 120")

    async with receiver(busy) as there:
        answer = await Sender(LOCAL).send(there.url, {}, BODY)
        assert answer.retry_after is not None
        assert answer.retry_after.total_seconds() == 120
