"""The benchmark of growth: exponents by hand-worked numbers, repeated slices, a tiny chain."""

import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from benchmarks import scale


def test_the_exponent_of_costs():
    sizes = [1, 4, 16]
    assert scale.exponent(sizes, [3, 12, 48]) == pytest.approx(1)
    assert scale.exponent(sizes, [2, 32, 512]) == pytest.approx(2)
    assert scale.exponent(sizes, [7, 7, 7]) == pytest.approx(0)
    assert np.isnan(scale.exponent([4], [2]))


def test_the_table_compares_the_sizes_of_a_step():
    def figure(step, size, seconds, memory):
        return {
            **{"step": step, "size": size, "unit": "slices", "seconds": seconds},
            **{"processor_s": 2 * seconds, "memory_mib": memory, "disk_mib": 1.5},
        }

    figures = [figure("verify", 400, 40, 110), figure("verify", 100, 10, 100)]
    rows = scale.table([*figures, figure("convert", 100, 5, 80)])[2:]
    assert rows == [
        "| verify | 100 slices | 10.0 | 20.0 | 100 | 1.5 |  |  |",
        "| verify | 400 slices | 40.0 | 80.0 | 110 | 1.5 | 1.00, 1.00 | 1.10 |",
        "| convert | 100 slices | 5.0 | 10.0 | 80 | 1.5 |  |  |",
    ]


def test_repeated_slices_fill_the_same_length(tmp_path):
    drawn = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Image(drawn, np.diag([1, 1, 6, 1])), tmp_path / "volume-0.nii.gz")
    scale.repeat_slices(tmp_path / "volume-0.nii.gz", tmp_path / "long.nii.gz", 12)
    image = nibabel.load(tmp_path / "long.nii.gz")
    assert image.header.get_zooms() == (1, 1, 2)
    assert image.get_data_dtype() == np.int16
    np.testing.assert_array_equal(np.asarray(image.dataobj), np.repeat(drawn, 3, axis=2))


def run(work, *options):
    size = ("--volumes=8", "--slices=16", "--repeat=2", "--matrix=64", "--workers=1")
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", f"--work={work}", *size, *options],
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.long
def test_a_tiny_chain_resumes_with_what_is_measured(tmp_path):
    first = run(tmp_path, "--only=convert_1", "--sizes=1/2")
    assert first.returncode == 0, first.stderr
    both = run(tmp_path, "--only=convert_1", "--sizes=1/2,1")
    assert both.returncode == 0, both.stderr
    # The smaller size is not measured again.
    assert both.stderr.count("$ python -m data_prep.build_tfrecords") == 1
    rows = both.stdout.splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows] == ["64 slices", "128 slices"]
    assert first.stdout.splitlines()[2].split(" | ")[:6] == rows[0].split(" | ")[:6]
    figures = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    # Only the file of measures and finished data are kept between starts; 64 slices of 64 x 64.
    assert [figure["size"] for figure in figures] == [64, 128]
    assert all(figure["memory_mib"] > 20 and figure["disk_mib"] > 0 for figure in figures)


def test_a_step_that_fails_is_named(tmp_path):
    (tmp_path / "volumes4").mkdir(parents=True)
    (tmp_path / "volumes4" / "done").touch()  # but there are no volumes
    failed = run(tmp_path, "--only=verify", "--sizes=1/2")
    assert failed.returncode == 1
    assert "verify 64 slices: failed with status 1" in failed.stderr
    assert not (tmp_path / "figures.jsonl").exists()
