"""Input wait time: only the time until a batch is available counts."""

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
    both_epochs = epochs(0.05, 0.02)
    for _ in range(2):
        timed = TimedBatches(both_epochs)
        received = []
        for batch in timed:
            time.sleep(0.1)  # the step
            received.append(batch)
        assert received == [0, 1, 2]
        # Sleeps may take longer on a busy machine, but the three steps take at least 0.3 s.
        assert 0.11 <= timed.seconds < 0.3


def test_an_error_of_the_input_is_raised_and_timed():
    def broken():
        time.sleep(0.02)
        raise OSError("gone")
        yield

    timed = TimedBatches(iter([broken()]))
    with pytest.raises(OSError, match="gone"):
        list(timed)
    assert timed.seconds >= 0.02
