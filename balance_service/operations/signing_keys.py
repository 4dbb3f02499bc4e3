"""What operators do with signing keys; workers follow within seconds, without a restart."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from balance_service.auth import keys
from balance_service.auth.key_states import Life, State
from balance_service.auth.keys import ReadKey
from balance_service.auth.sealing import Secrets
from balance_service.auth.settings import read_secrets
from balance_service.config import Settings
from balance_service.database.pool import Connection, transaction
from balance_service.domain.audit import Action
from balance_service.operations.acts import act, connect, event
from balance_service.repositories import audit, signing_keys


class ListedKey(NamedTuple):
    """A key as operators see it.

    Args:
        life: None if the secret does not unseal it: then it is not used.
    """

    key_id: str
    created_at: datetime
    life: Life | None


async def list_keys(settings: Settings) -> list[ListedKey]:
    """The keys in use, newest first.

    Raises:
        WrongSecret: They were sealed with another secret than the settings'.
    """
    async with connect(settings) as connections, transaction(connections) as conn:
        await keys.prove(conn, read_secrets(settings))
        stored = await signing_keys.in_use(conn)
    read = {key.stored.key_id: key.life for key in keys.read(stored, read_secrets(settings))}
    return [ListedKey(key.key_id, key.created_at, read.get(key.key_id)) for key in stored]


async def rotate(settings: Settings, after: timedelta = timedelta(0)) -> str:
    """Makes a new key, which signs after some time; the others verify on.

    Args:
        settings: Name the database and have the secret.
        after: How long the key is only published before it signs.

    Returns:
        Its id.

    Raises:
        WrongSecret: The keys in use were sealed with another secret; nothing is stored.
    """
    secrets = read_secrets(settings)
    async with act(settings) as conn:
        await keys.prove(conn, secrets)
        key = keys.new_key(secrets, after)
        await signing_keys.insert(conn, key)
        await audit.record(conn, event(Action.KEY_ROTATED, f"key:{key.key_id}"))
    return key.key_id


async def retire(settings: Settings, key_id: str) -> None:
    """Has a key sign no more; it verifies until the last token that it signed has expired.

    If it is the one that signs, the one that was published after it does so at once.

    Raises:
        ValueError: It is not published or signing, or no other could sign.
        WrongSecret: The keys in use were sealed with another secret.
    """
    secrets = read_secrets(settings)
    async with act(settings) as conn:
        in_use = await _lock(conn, secrets)
        key = _find(in_use, key_id)
        if key.life.state not in (State.PUBLISHED, State.SIGNING):
            raise ValueError(f"key {key_id} is {key.life.state}, and signs nothing")
        successor = _next_published(in_use, key_id)
        if key.life.state is State.SIGNING:
            if successor is None:
                raise ValueError("no other key could sign: rotate first")
            await signing_keys.begin(conn, successor.stored.key_id)
        await signing_keys.stop(conn, key_id)
        await audit.record(conn, event(Action.KEY_RETIRED, f"key:{key_id}"))


async def revoke(settings: Settings, key_id: str) -> str:
    """Takes a key out of use at once: every token that it signed is refused.

    Returns:
        The id of the key that signs from now on: if it was this one, one that was published, or
        else a new one.

    Raises:
        ValueError: There is no such key in use.
        WrongSecret: The keys in use were sealed with another secret.
    """
    secrets = read_secrets(settings)
    async with act(settings) as conn:
        in_use = await _lock(conn, secrets)
        signing_id = next(k.stored.key_id for k in in_use if k.life.state is State.SIGNING)
        if signing_id == key_id:
            signing_id = await _replace(conn, secrets, _next_published(in_use, key_id))
        if not await signing_keys.remove(conn, [key_id]):
            raise ValueError(f"there is no key {key_id} in use")
        await _remove_older_strays(conn, secrets)
        after = {"signing": signing_id}
        await audit.record(conn, event(Action.KEY_REVOKED, f"key:{key_id}", after=after))
    return signing_id


async def _replace(conn: Connection, secrets: Secrets, successor: ReadKey | None) -> str:
    """Has another key sign at once: one that was published, or else a new one."""
    if successor:
        await signing_keys.begin(conn, successor.stored.key_id)
        return successor.stored.key_id
    made = keys.new_key(secrets, timedelta(0))
    await signing_keys.insert(conn, made)
    return made.key_id


async def _remove_older_strays(conn: Connection, secrets: Secrets) -> None:
    """Removes what the secret does not unseal, but would be the oldest, by which `prove` goes."""
    stored = await signing_keys.in_use(conn)
    oldest = keys.read(stored, secrets)[-1].stored
    await signing_keys.remove(conn, [key.key_id for key in stored[stored.index(oldest) + 1 :]])


async def _lock(conn: Connection, secrets: Secrets) -> Sequence[ReadKey]:
    await keys.prove(conn, secrets)
    return keys.read(await signing_keys.in_use(conn), secrets)


def _find(in_use: Sequence[ReadKey], key_id: str) -> ReadKey:
    for key in in_use:
        if key.stored.key_id == key_id and key.life.state is not State.REMOVED:
            return key
    raise ValueError(f"there is no key {key_id} in use")


def _next_published(in_use: Sequence[ReadKey], key_id: str) -> ReadKey | None:
    """The next key to sign, but for one."""
    published = [
        key for key in in_use if key.life.state is State.PUBLISHED and key.stored.key_id != key_id
    ]
    return min(published, key=lambda key: key.stored.signs_at, default=None)
