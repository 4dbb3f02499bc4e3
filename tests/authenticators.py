"""An authenticator of a user under test: TOTP codes, and the recovery codes that were shown."""

from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pyotp

from balance_client import v1
from tests.service import Person, Service


@dataclass
class Authenticator:
    """What a user has besides their mailbox.

    Args:
        secret: As EnrolSecondFactor showed it.
        recovery_codes: As ConfirmSecondFactor did.
    """

    secret: str
    recovery_codes: list[str]

    def code(self, steps_later: int = 0) -> str:
        """What it shows now, or some steps of 30 seconds later."""
        return pyotp.TOTP(self.secret).at(datetime.now(UTC), counter_offset=steps_later)

    def unused(self, database_url: str) -> str:
        """What it shows now, as if no code had been used lately."""
        with psycopg.connect(database_url) as conn:
            conn.execute("UPDATE second_factors SET last_step = last_step - 10")
        return self.code()


async def enrol(person: Person) -> Authenticator:
    """Enrols and confirms a second factor of somebody."""
    users = person.client.users
    shown = await users.EnrolSecondFactor(v1.EnrolSecondFactorRequest())
    authenticator = Authenticator(shown.secret, [])
    confirm = v1.ConfirmSecondFactorRequest(code=authenticator.code())
    confirmed = await users.ConfirmSecondFactor(confirm)
    authenticator.recovery_codes = list(confirmed.recovery_codes)
    return authenticator


async def ask_again(service: Service, email: str, database_url: str) -> v1.CreateTokenRequest:
    """Has another code sent to somebody; what it is exchanged for a token with."""
    with psycopg.connect(database_url) as conn:
        # Lets time pass for the limits of codes, and for nothing else.
        conn.execute(
            "UPDATE sign_in_quotas SET full_at = now() WHERE full_at < now() + interval '1 hour'"
        )
    request = v1.SendConfirmationCodeRequest(email=email)
    sent = await service.client().auth.SendConfirmationCode(request)
    return v1.CreateTokenRequest(
        verification_id=sent.verification_id, confirmation_code=service.mailbox.code(email)
    )
