"""How long training stands still because its next batch is not there."""

from __future__ import annotations

import time
from collections.abc import Iterator


class Waiting:
    """The batches of the next of several epochs, and the seconds that went by until they came.

    ``seconds`` holds what it took to get at the epoch and at each of its batches, and nothing of
    what is done with them. Where a step returns before its device is done, as on a GPU, that is
    the most by which data can have held it up.
    """

    def __init__(self, epochs: Iterator[Iterator]) -> None:
        self._epochs = epochs
        self.seconds = 0.0

    def __iter__(self) -> Iterator:
        batches = self._timed(self._epochs)
        while (batch := self._timed(batches)) is not None:
            yield batch

    def _timed(self, iterator: Iterator):
        started = time.perf_counter()
        try:
            return next(iterator, None)
        finally:
            self.seconds += time.perf_counter() - started
