"""Builds what signs callers in and verifies them."""

from datetime import timedelta
from typing import NamedTuple

from balance_service.auth.askers import Askers, CodeRates
from balance_service.auth.codes import ConfirmationCodes
from balance_service.auth.erasure import Erasure
from balance_service.auth.keys import KeySet
from balance_service.auth.sealing import Secrets
from balance_service.auth.second_factors import SecondFactors
from balance_service.auth.sessions import Sessions
from balance_service.auth.sign_in import SignIn
from balance_service.auth.tokens import TokenRules, Tokens
from balance_service.config import Settings
from balance_service.database.pool import Pool
from balance_service.messages.refused_sign_ins import RefusedSignIns
from balance_service.providers.mail import Mailer, SmtpMailer, TerminalMailer
from balance_service.servicers.user_sign_in import UserSignIn


class SignsIn(NamedTuple):
    """What signs callers in and verifies them."""

    keys: KeySet
    sessions: Sessions
    tokens: Tokens
    codes: ConfirmationCodes
    sign_in: SignIn
    of_users: UserSignIn
    erasure: Erasure
    refused: RefusedSignIns


def build(
    settings: Settings, connections: Pool, secrets: Secrets, mailer: Mailer | None
) -> SignsIn:
    """Builds it from settings.

    Args:
        settings: With all that callers sign in by.
        connections: Where sign-ins are kept.
        secrets: Seal and hash what is kept.
        mailer: Replaces the configured one.

    Raises:
        ValueError: No mail could be sent.
    """
    mailer = mailer or _mailer(settings)
    keys, rules = KeySet(connections, secrets), _token_rules(settings)
    sessions = Sessions(connections, rules.access_life_at_most)
    tokens = Tokens(connections, keys, secrets, rules, sessions)
    askers = Askers(secrets, CodeRates(settings.network_codes_per_hour, settings.codes_per_hour))
    codes = ConfirmationCodes(connections, mailer, secrets, askers)
    second_factors = SecondFactors(connections, secrets, askers, settings.token_issuer)
    sign_in = SignIn(connections, codes, second_factors, tokens)
    erasure = Erasure(
        connections, codes, second_factors, askers, sessions, settings.limits.calendar
    )
    refused = RefusedSignIns(connections, codes)
    of_users = UserSignIn(second_factors, sign_in, sessions, refused)
    return SignsIn(keys, sessions, tokens, codes, sign_in, of_users, erasure, refused)


def _token_rules(settings: Settings) -> TokenRules:
    return TokenRules(
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        access_life=timedelta(seconds=settings.access_token_seconds),
        refresh_life=timedelta(days=settings.refresh_token_days),
        refresh_grace=timedelta(seconds=settings.refresh_grace_seconds),
        second_factor_required=settings.second_factor_required,
    )


def _mailer(settings: Settings) -> Mailer:
    if url := settings.smtp_url.get_secret_value():
        return SmtpMailer(url, settings.mail_from)
    if not settings.development:
        raise ValueError("BALANCE_SMTP_URL is not set: nobody could sign in")
    return TerminalMailer(settings.mailbox)
