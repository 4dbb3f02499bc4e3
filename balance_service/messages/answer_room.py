"""Bounds answers about many movements: most gRPC clients take 4 MiB."""

from typing import TypeVar

from google.protobuf.message import Message

BYTES_MAX = 1 << 21

Answer = TypeVar("Answer", bound=Message)


class AnswerRoom:
    """What room there is in one answer for the metadata of its movements.

    They may be larger than the request by far: of movements made before, or once for each part.
    """

    def __init__(self) -> None:
        self._left = BYTES_MAX

    def fit(self, movement: Answer) -> Answer:
        """A movement of the answer; once that is large, without its metadata."""
        if self._left < 0:
            movement.ClearField("metadata")
        self._left -= movement.ByteSize()
        return movement
