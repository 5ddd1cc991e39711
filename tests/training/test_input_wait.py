"""Only what goes by until a batch is there counts as waiting."""

import time

import pytest

from liver_tf.training.cycle import TimedBatches


def epochs(until_epoch, until_batch):
    for _ in range(2):
        time.sleep(until_epoch)

        def batches():
            for number in range(3):
                time.sleep(until_batch)
                yield number

        yield batches()


def test_only_the_time_to_get_batches_counts_as_waiting():
    two = epochs(0.05, 0.02)
    for _ in range(2):
        waiting = TimedBatches(two)
        taken = []
        for batch in waiting:
            time.sleep(0.1)  # the step
            taken.append(batch)
        assert taken == [0, 1, 2]
        # On a busy machine a sleep may last longer, but the three steps take 0.3 s in any case.
        assert 0.11 <= waiting.seconds < 0.3


def test_an_error_of_the_input_is_raised_and_timed():
    def broken():
        time.sleep(0.02)
        raise OSError("gone")
        yield

    waiting = TimedBatches(iter([broken()]))
    with pytest.raises(OSError, match="gone"):
        list(waiting)
    assert waiting.seconds >= 0.02
