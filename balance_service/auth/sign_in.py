"""Signs a user in: a code of their address, their second factor if they have one, and tokens."""

from balance_service.auth.codes import ConfirmationCodes, RightGuess
from balance_service.auth.second_factors import SecondFactors
from balance_service.auth.tokens import IssuedToken, Tokens
from balance_service.database.pool import Pool
from balance_service.repositories import users


class SignIn:
    """Turns a code that was guessed right into tokens.

    Args:
        pool: Where users are kept.
        codes: Confirms the code.
        second_factors: Has the second factor proved.
        tokens: Issues the tokens.
    """

    def __init__(
        self, pool: Pool, codes: ConfirmationCodes, second_factors: SecondFactors, tokens: Tokens
    ) -> None:
        self._pool = pool
        self._codes = codes
        self._second_factors = second_factors
        self._tokens = tokens

    async def finish(self, right: RightGuess, second_factor_code: str) -> IssuedToken:
        """Spends the code, and signs its user in.

        Raises:
            SecondFactorRequired, SecondFactorInvalid, SecondFactorLimit: The second factor is not
                proved; the code of the address stays as good as it was.
            ConfirmationCodeInvalid: Somebody else spent the code.
        """
        async with self._pool.connection() as conn:
            user = await users.find_by_email(conn, right.email)
        proves = user is not None and user.second_factor
        if user is not None and proves:
            right = await self._codes.give_back(right)
            await self._second_factors.prove(user, right.asker, second_factor_code)
        user_id = await self._codes.confirm(right)
        return await self._tokens.sign_in(user_id, second_factor=proves)
