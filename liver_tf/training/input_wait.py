"""Input wait time: how long training waits for its next batch."""

from __future__ import annotations

import time
from collections.abc import Iterator


class TimedBatches:
    """The batches of the next epoch, and the seconds spent waiting for them.

    ``seconds`` counts the time to get the epoch and each of its batches, not the time in which they
    are used. Where a step returns before its device has finished, as on a GPU, this is an upper
    bound of the time lost.
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
