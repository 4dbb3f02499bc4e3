"""A console under test, and those who visit it without a browser: they fill in forms."""

import contextlib
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import aiohttp
import grpc
import psycopg
from starlette.applications import Starlette
from starlette.routing import Mount

from balance_client import v1
from balance_service.console import application
from balance_service.operations import administration
from balance_service.server.http_server import HttpServer
from tests.service import Person, Service

SECRET = "only-for-tests-and-long-enough-0123456789"


@dataclass
class Form:
    """A form of a page.

    Args:
        action: Where it is sent; empty for the page's own address.
        fields: What it sends, but for its buttons.
        buttons: The names and values of its buttons.
    """

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "form":
            self.found.append(Form(given.get("action", "")))
        elif tag == "button":
            self.found[-1].buttons.append((name, value))
        elif tag == "textarea" or (tag == "input" and given.get("type") != "checkbox"):
            self.found[-1].fields[name] = value
        elif tag == "input":
            self.found[-1].fields[name] = value if "checked" in given else ""
        elif tag == "select":
            self._select = name
            self.found[-1].fields[name] = ""
        elif tag == "option" and ("selected" in given or not self.found[-1].fields[self._select]):
            self.found[-1].fields[self._select] = value


@dataclass(frozen=True)
class Shown:
    """A page as a visitor sees it.

    Args:
        path: Its address within the console, after redirects.
        status: Its status.
        headers: Its headers.
        html: Its source.
    """

    path: str
    status: int
    headers: Mapping[str, str]
    html: str

    @property
    def text(self) -> str:
        """What is to be read on it, spaces made one."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.html)).split())

    @property
    def links(self) -> list[str]:
        """Where its links lead."""
        return [unescape(link) for link in re.findall(r'<a [^>]*href="([^"]*)"', self.html)]

    def form(self, names: set[str], button: tuple[str, str] | None = None) -> Form:
        """The form that has fields, and perhaps a button."""
        reader = _Forms()
        reader.feed(self.html)
        for form in reader.found:
            if names <= set(form.fields) and (button is None or button in form.buttons):
                return form
        raise AssertionError(f"no form with {names} {button}: {self.text}")


class Visitor:
    """Somebody with cookies of their own.

    Args:
        url: The console's.
        language: What they read.
    """

    def __init__(self, url: str, language: str = "en") -> None:
        self.url = url
        self.visited: list[str] = []
        self._headers = {"accept-language": language}
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    @property
    def cookie(self) -> str:
        """The console's cookie."""
        return next(each.value for each in self.http.cookie_jar)

    async def get(self, path: str = "/", **headers: str) -> Shown:
        """Opens a page."""
        return await self._send("GET", path, None, headers)

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Shown:
        """Sends a form, from the console's own origin unless the headers say another."""
        return await self._send("POST", path, fields, {"origin": self.url, **headers})

    async def submit(
        self, shown: Shown, button: tuple[str, str] | None = None, **fields: str
    ) -> Shown:
        """Fills in the form of a page that has these fields, and sends it by a button."""
        form = shown.form(set(fields), button)
        sent = {**form.fields, **fields, **dict([button] if button else [])}
        return await self.post(form.action or shown.path, sent)

    async def act(self, act: str, target: str, **fields: str) -> Shown:
        """Goes through the pages of an act: the form, what will happen, and the end."""
        confirmed = await self.check(act, target, **fields)
        return await self.submit(confirmed, ("step", "do"))

    async def check(self, act: str, target: str, **fields: str) -> Shown:
        """Goes to the page of an act that says what will happen."""
        shown = await self.get(f"/acts/{act}/{target}")
        assert shown.status == 200, shown.text
        return await self.submit(shown, ("step", "check"), **fields)

    async def _send(
        self, verb: str, path: str, fields: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> Shown:
        sent = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.request(verb, self.url + path, data=fields, headers=sent) as answer:
            self.visited += [str(step.url) for step in (*answer.history, answer)]
            address = urlsplit(str(answer.url))
            path = f"{address.path}?{address.query}" if address.query else address.path
            return Shown(path, answer.status, answer.headers, await answer.text())


@dataclass
class Console:
    """A console in front of a service of the test.

    Args:
        service: The service.
        server: Where it listens.
        late: How much later its clock shows, in seconds.
    """

    service: Service
    server: HttpServer
    late: list[float]
    visitors: list[Visitor] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def visitor(self, language: str = "en") -> Visitor:
        """Somebody new, whose session is closed with the test."""
        self.visitors.append(Visitor(self.url, language))
        return self.visitors[-1]

    def let_codes_be_asked_for(self) -> None:
        """Lets time pass for the limits of codes, and for nothing else."""
        url = self.service.settings.database_url.get_secret_value()
        with psycopg.connect(url) as conn:
            conn.execute(
                "UPDATE sign_in_quotas SET full_at = now() "
                "WHERE full_at < now() + interval '1 hour'"
            )

    async def sign_in(self, email: str, language: str = "en") -> tuple[Visitor, Shown]:
        """Somebody who signs in by the pages, and what they then see."""
        self.let_codes_be_asked_for()
        visitor = self.visitor(language)
        shown = await visitor.submit(await visitor.get("/sign-in"), email=email)
        shown = await visitor.submit(shown, code=self.service.mailbox.code(email))
        return visitor, shown

    async def admin(self, name: str = "root", language: str = "en") -> Visitor:
        """An admin, signed in by the pages."""
        email = f"{name}@admin.example.com"
        await administration.create_admin(self.service.settings, email)
        visitor, shown = await self.sign_in(email, language)
        assert (shown.status, shown.path) == (200, "/"), shown.text
        return visitor

    async def moderator(self) -> Visitor:
        """A moderator, signed in by the pages."""
        person = await self.service.person()
        await promote(await self.service.admin(), person, v1.ROLE_MODERATOR)
        visitor, shown = await self.sign_in(person.email)
        assert shown.path == "/", shown.text
        return visitor


@contextlib.asynccontextmanager
async def serve(service: Service, root: str = "") -> AsyncIterator[Console]:
    """A console in front of a service, listening, perhaps mounted below a path."""
    late = [0.0]
    built = application.build(
        lambda: grpc.aio.insecure_channel(service.target), SECRET, now=lambda: time.time() + late[0]
    )
    async with built.router.lifespan_context(built):
        mounted = Starlette(routes=[Mount(root, built)]) if root else built
        server = HttpServer(mounted, "127.0.0.1", 0, drain_seconds=5)
        await server.start()
        console = Console(service, server, late)
        try:
            yield console
        finally:
            for visitor in console.visitors:
                await visitor.http.close()
            await server.stop()


async def promote(admin: Person, person: Person, role: v1.Role.ValueType) -> None:
    """Has an admin give somebody a role."""
    request = v1.UpdateUserRequest(id=person.user_id, user=v1.User(role=role))
    request.update_mask.paths.append("role")
    await admin.client.users.UpdateUser(request)
