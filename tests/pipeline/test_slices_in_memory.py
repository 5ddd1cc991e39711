"""``cache_mb`` limits the memory for slices; measured in a separate process."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.pipeline import slices_in_memory
from liver_tf.pipeline.slices_in_memory import SlicesInMemory

ROOT = Path(__file__).parents[2]

#: Slices of 16 x 16 pixels that take 80 KiB each at network size: 156 MiB in total.
PATIENTS, SLICES_EACH, SIDE = 10, 200, 128

WORK = """
import json, re, sys
from pathlib import Path
from liver_tf.pipeline.augmentation.ranges import Ranges
from liver_tf.pipeline.batches import BatchSource
from liver_tf.pipeline.sampling import Sampling
from liver_tf.pipeline.slices import Slices
from liver_tf.records.manifest import load_manifest


def mib(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def peak_of(folder, cache_mb, sampling):
    # Writing 5 sets the peak back to what is used now.
    Path("/proc/self/clear_refs").write_text("5")
    before = mib("VmRSS")
    manifest = load_manifest(folder)
    cases = tuple(entry.case for entry in manifest.cases)
    slices = Slices(Path(folder), manifest, cases, SIDE, (0, 1, 2, 3, 4))
    source = BatchSource(slices, batch_size=8, seed=0, ranges=Ranges(), cache_mb=cache_mb,
                         sampling=sampling)
    seen = sum(len(images) for images, _, _ in source.epoch(0))
    return [seen, source.held_mb, mib("VmHWM") - before]


folder, small = sys.argv[1:3]
peak_of(small, 16, Sampling())  # what TensorFlow needs at all
ways = [(32, Sampling()), (32, Sampling(resample=True)), (1024, Sampling())]
print(json.dumps([peak_of(folder, *way) for way in ways]))
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_slices_stay_within_their_memory(tmp_path):
    from tests.builders import tiny_records

    for name, patients in (("large", PATIENTS), ("small", 1)):
        tiny_records.write_set(
            tmp_path / name, patients=patients, slices=SLICES_EACH, rows=16, columns=16
        )
    done = subprocess.run(
        [sys.executable, "-c", f"SIDE = {SIDE}\n{WORK}", tmp_path / "large", tmp_path / "small"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    uncached, resampled, cached = json.loads(done.stdout)
    total = PATIENTS * SLICES_EACH
    assert [uncached[0], resampled[0], cached[0]] == [total] * 3
    assert [uncached[1], resampled[1]] == [0, 0]
    assert cached[1] == pytest.approx(total * SIDE**2 * 5 / 2**20)
    # In addition to the slices: prefetched batches, slices being decoded (about 10 MiB here), and
    # freed memory that is not yet reused. The size of each tensor is rounded up.
    assert uncached[2] < 40
    assert resampled[2] < 40
    assert 0.5 * cached[1] < cached[2] < 1.15 * cached[1] + 40


def test_elements_equal_those_of_the_data_set():
    numbers = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    positions = np.array([3, 1, 0, 2])
    elements = {"a": numbers[positions], "b": positions, "place": positions}
    in_memory = SlicesInMemory(tf.data.Dataset.from_tensor_slices(elements), 4)
    order = [2, 0, 0, 3]
    taken = tf.data.Dataset.from_tensor_slices(order).map(in_memory.take, 2).as_numpy_iterator()
    for position, element in zip(order, taken, strict=True):
        np.testing.assert_array_equal(element["a"], numbers[position])
        assert element["a"].dtype == np.float32
        assert element["b"] == position


@pytest.mark.parametrize("count", [3, 5])
def test_another_number_of_elements_is_an_error(count):
    dataset = tf.data.Dataset.range(4).map(lambda number: {"number": number, "place": number})
    with pytest.raises(slices_in_memory.WrongCount, match=f"expected {count} elements, got 4"):
        SlicesInMemory(dataset, count)
