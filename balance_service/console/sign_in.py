"""Signing in by a code and a second factor, staying signed in, and signing out."""

from collections.abc import Callable

import grpc
from starlette.responses import Response

from balance_service._generated.balance.v1 import account_pb2, auth_pb2, user_pb2
from balance_service.console.calls import Refused
from balance_service.console.sessions import RENEW_BEFORE_SECONDS, Operator, Session, SignIn
from balance_service.console.visits import STATUSES, Visit

PATH = "/sign-in"
PATH_LENGTH_MAX = 500
_OPERATORS = {user_pb2.ROLE_MODERATOR, user_pb2.ROLE_ADMIN}


class SignInPages:
    """The pages of signing in and out.

    Args:
        now: The time, in seconds of the epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    async def show(self, visit: Visit) -> Response:
        """Asks for the address, the code or the second factor: whichever comes next."""
        if visit.session.operator:
            return visit.redirect("/")
        return _step(visit)

    async def go_on(self, visit: Visit) -> Response:
        """Takes the next step; what the service refuses is said beside the field."""
        try:
            if visit.session.operator:
                return visit.redirect("/")
            if "restart" in visit.form:
                visit.session.sign_in = None
                return visit.redirect(PATH)
            if "email" in visit.form:
                return await self._send_code(visit)
            return await self._prove(visit)
        except Refused as refused:
            return _step(visit, refused)

    async def leave(self, visit: Visit) -> Response:
        """Signs out: the service revokes the sign-in with all its tokens."""
        await end(visit, self._now())
        return visit.redirect(PATH, "notice.signed_out")

    async def _send_code(self, visit: Visit) -> Response:
        email = visit.form["email"]
        request = auth_pb2.SendConfirmationCodeRequest(email=email)
        sent = await visit.ask_as_anybody(visit.service.auth.SendConfirmationCode, request)
        visit.session.sign_in = SignIn(sent.email, sent.verification_id)
        return visit.redirect(PATH)

    async def _prove(self, visit: Visit) -> Response:
        under_way = visit.session.sign_in
        if under_way is None:
            return visit.redirect(PATH)
        code = visit.form.get("code", "") or under_way.code
        request = auth_pb2.CreateTokenRequest(
            verification_id=under_way.verification,
            confirmation_code=code,
            second_factor_code=visit.form.get("second_factor", ""),
        )
        try:
            token = await visit.ask_as_anybody(visit.service.auth.CreateToken, request)
        except Refused as refused:
            if refused.reason != "SECOND_FACTOR_REQUIRED":
                raise
            # The code of the mail stays good, and is sent again with the second factor.
            visit.session.sign_in = SignIn(under_way.email, under_way.verification, code)
            return visit.redirect(PATH)
        return await self._let_in(visit, token)

    async def _let_in(self, visit: Visit, token: auth_pb2.Token) -> Response:
        """Lets an operator in, in a new session; others are signed out again."""
        old, now = visit.session, self._now()
        visit.session = Session(now, now, language=old.language, secure=old.secure)
        visit.session.operator = _operator(user_pb2.User(), token, now)
        try:
            me = await visit.ask(visit.service.users.GetMe, user_pb2.GetMeRequest())
            has_role = me.role in _OPERATORS and await _has_role(visit)
        except Refused:
            await end(visit, now)
            raise
        if not has_role:
            await end(visit, now)
            lacks = "second_factor_needed" if me.role in _OPERATORS else "not_operator"
            return visit.problem(f"problem.{lacks}", 403)
        visit.session.operator = _operator(me, token, now)
        return visit.redirect(old.next_path or "/")


def ask(visit: Visit, notice: str = "") -> Response:
    """Asks whoever is not signed in to do so, and goes on afterwards where they wanted to go."""
    if "hx-request" in visit.request.headers:
        # The open page goes, not the part of it that asked.
        visit.session.notice = notice
        return Response(None, 204, {"hx-redirect": visit.link(PATH), "cache-control": "no-store"})
    if visit.request.method == "GET":
        # A cookie has room for 4 KiB in all.
        visit.session.next_path = visit.here if len(visit.here) <= PATH_LENGTH_MAX else "/"
    return visit.redirect(PATH, notice)


async def renew(visit: Visit, now: float) -> None:
    """Gets the next access token if this one soon expires.

    Raises:
        Refused: The sign-in has ended, or the service cannot be asked while the token is over.
    """
    operator = visit.operator
    if now < operator.renew_at:
        return
    request = auth_pb2.RefreshTokenRequest(refresh_token=operator.refresh_token)
    try:
        token = await visit.ask_as_anybody(visit.service.auth.RefreshToken, request)
    except Refused as refused:
        if refused.is_lost_token or now >= operator.expires_at:
            raise
        return
    me = user_pb2.User(id=operator.user, email=operator.name)
    visit.session.operator = _operator(me, token, now, is_admin=operator.is_admin)


async def end(visit: Visit, now: float) -> None:
    """Ends the session here, and the sign-in at the service as far as that can be asked."""
    old = visit.session
    visit.session = Session(now, now, language=old.language, secure=old.secure)
    if old.operator is None:
        return
    request = auth_pb2.RevokeTokenRequest(refresh_token=old.operator.refresh_token)
    try:
        await visit.ask_as_anybody(visit.service.auth.RevokeToken, request)
    except Refused:
        # The cookie is gone in any case, and with it the only copy of the tokens.
        return


def _step(visit: Visit, refused: Refused | None = None) -> Response:
    status = STATUSES.get(refused.code, 500) if refused else 200
    return visit.page("sign_in.html", status, sign_in=visit.session.sign_in, refused=refused)


async def _has_role(visit: Visit) -> bool:
    """Whether the token has the role: without a second factor, the service may withhold it."""
    request = account_pb2.SearchAccountsRequest(page_size=1)
    try:
        await visit.ask(visit.service.accounts.SearchAccounts, request)
    except Refused as refused:
        if refused.code is grpc.StatusCode.PERMISSION_DENIED:
            return False
        raise
    return True


def _operator(
    me: user_pb2.User, token: auth_pb2.Token, now: float, *, is_admin: bool | None = None
) -> Operator:
    life = token.expires_in_seconds
    return Operator(
        user=me.id,
        name=me.email,
        is_admin=me.role == user_pb2.ROLE_ADMIN if is_admin is None else is_admin,
        access_token=token.token,
        renew_at=now + life - min(RENEW_BEFORE_SECONDS, life / 4),
        expires_at=now + life,
        refresh_token=token.refresh_token,
    )
