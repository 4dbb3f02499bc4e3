"""Secrets in files, as Docker and Kubernetes mount them."""

from pathlib import Path

# Less than Linux allows a variable, in which workers are handed the secret.
BYTES_MAX = 1 << 16


def read(path: str) -> str:
    """What a file holds, without the newline at its end.

    Args:
        path: Absolute. Another is not repeated: it may be a secret in the wrong place.

    Raises:
        ValueError: Says what is wrong, with the path and without what the file holds.
    """
    if not path.startswith("/"):
        raise ValueError("must be an absolute path")
    try:
        with Path(path).open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if len(content) > BYTES_MAX:
        raise ValueError(f"{path}: is longer than {BYTES_MAX} bytes")
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        # The original error repeats the content.
        raise ValueError(f"{path}: is not UTF-8") from None
    if not text:
        raise ValueError(f"{path}: is empty")
    if "\0" in text:
        raise ValueError(f"{path}: is not text")
    return text
