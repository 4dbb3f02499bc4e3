"""Checkpoints in files, kept where nobody can change them together with the ledger."""

import hashlib
import json
import os
from pathlib import Path

from balance_service.auth import keys
from balance_service.config import Settings
from balance_service.domain import errors
from balance_service.domain.checkpoints import Checkpoint
from balance_service.operations.acts import connect
from balance_service.repositories import checkpoints, signing_keys

# Of a file that is read: a checkpoint takes less than a thousand.
FILE_BYTES_MAX = 65_536


async def export(settings: Settings, path: Path, number: int | None) -> None:
    """Writes a checkpoint to a file, whole or not at all, as GetCheckpoint answers it in JSON.

    Args:
        settings: Name the database.
        path: The file; what it held is replaced.
        number: Which one; None for the latest.

    Raises:
        CheckpointNotFound: There is none.
        DatabaseUnavailable: Postgres is away.
        OSError: The file cannot be written.
    """
    async with connect(settings) as connections, connections.connection() as conn:
        signed = await checkpoints.find(conn, number)
        if signed is None:
            raise errors.CheckpointNotFound(str(number or "latest"))
        public_key = await signing_keys.public_key(conn, signed.key_id)
    answer = {
        "text": signed.checkpoint.text(),
        "signature": signed.signature.hex(),
        "key_id": signed.key_id,
        "public_key": keys.shown(public_key),
    }
    beside = path.with_name(f"{path.name}.part")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(answer, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_kept(path: Path) -> tuple[int, str]:
    """The number of a checkpoint that was kept in a file, and its hash in hexadecimal digits.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds no checkpoint.
    """
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX)
    try:
        text = json.loads(data)["text"]
        return Checkpoint.number_in(text), hashlib.sha256(text.encode()).hexdigest()
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{path} holds no checkpoint") from None
