"""ROIs cut around the true liver: the same pixels, all of the liver, and air beyond the border."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from data_prep import make_rois
from liver_tf.conversion.roi_sets import cut_rois
from liver_tf.inference.roi_rule import RoiRule
from liver_tf.model.liver_rule import WHOLE_SLICE
from liver_tf.records.manifest import load_manifest
from liver_tf.refusals import Refusal
from tests.builders import full_disk
from tests.builders.phantom_sets import bytes_of, records_of

RULE = RoiRule(margin_mm=15.0, least_side_mm=120.0)


@pytest.fixture(scope="module")
def rois(lits_set, tmp_path_factory):
    output = tmp_path_factory.mktemp("rois") / "lits"
    cut_rois(lits_set, output, None, RULE)
    return output


def test_rois_have_the_pixels_of_the_slice(lits_set, rois):
    slices, cut = records_of(lits_set), records_of(rois)
    with_liver = {key for key, record in slices.items() if (record.labels >= 1).any()}
    assert set(cut) == with_liver
    assert with_liver < set(slices)
    for key, roi in cut.items():
        source, box = slices[key], roi.box
        assert roi.source_size == source.image.shape
        assert roi.image.shape == roi.labels.shape == (box.side, box.side)
        # A slice with a frame of air all around it, so that any box lies inside.
        far = box.side + 64
        air = np.pad(source.image, far, constant_values=-160)
        none = np.pad(source.labels, far, constant_values=0)
        rows = slice(box.row + far, box.row + far + box.side)
        columns = slice(box.column + far, box.column + far + box.side)
        np.testing.assert_array_equal(roi.image, air[rows, columns])
        np.testing.assert_array_equal(roi.labels, none[rows, columns])
        for label in (1, 2):
            assert (roi.labels == label).sum() == (source.labels == label).sum()


def test_boxes_respect_margin_and_smallest_side(lits_set, rois):
    slices = records_of(lits_set)
    for key, roi in records_of(rois).items():
        mm = np.mean(roi.spacing_mm)
        rows, columns = np.nonzero(slices[key].labels)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        expected = max(max(height, width) * mm + 2 * RULE.margin_mm, RULE.least_side_mm)
        assert expected - 1e-3 <= roi.box.side * mm < expected + mm
        assert rows.min() - roi.box.row >= RULE.margin_mm / mm - 1
        assert roi.box.row + roi.box.side - 1 - rows.max() >= RULE.margin_mm / mm - 1


def test_statistics_agree_with_the_rois(rois):
    records = records_of(rois)
    for entry in load_manifest(rois).cases:
        of_case = [record for (case, _), record in records.items() if case == entry.case]
        counts = np.sum(
            [np.bincount(roi.labels.reshape(-1), minlength=3) for roi in of_case], axis=0
        )
        assert list(entry.statistics.class_pixels) == counts.tolist()
        liver = np.concatenate([roi.image[roi.labels == 1] for roi in of_case]).astype(np.int64)
        assert entry.statistics.liver_sum == liver.sum()


def test_command(slices_set, tmp_path, command, capsys):
    output = tmp_path / "rois"
    assert command(make_rois, f"--input={slices_set}", f"--output={output}", "--true_liver") == 0
    assert "100.0% of all lesion pixels are inside the ROIs" in capsys.readouterr().out
    stored = json.loads((output / "manifest.json").read_text())
    assert stored["roi"]["liver"] == "labels"
    assert stored["roi"]["source_fingerprint"] == load_manifest(slices_set).fingerprint
    assert stored["records"] == 21
    assert len(records_of(output)) == 21


def test_cutting_again_gives_the_same_bytes_without_leftovers(lits_set, rois, tmp_path):
    folder = shutil.copytree(rois, tmp_path / "rois")
    (folder / "c-0123456789abcdef.tfrecord").write_text("of an earlier cut")
    cut_rois(lits_set, folder, None, RULE)
    assert bytes_of(folder) == bytes_of(rois)


def test_misuse_is_refused_and_changes_nothing(lits_set, rois, tmp_path):
    before = bytes_of(lits_set)
    with pytest.raises(Refusal, match=r"same-folder.*Choose another --output"):
        cut_rois(lits_set, lits_set, None, RULE)
    assert bytes_of(lits_set) == before
    with pytest.raises(Refusal, match=r"roi-of-roi"):
        cut_rois(rois, tmp_path / "again", None, RULE)


def test_full_disk(lits_set, tmp_path, monkeypatch):
    full_disk.fill_for(monkeypatch, load_manifest(lits_set).cases[0].shard)
    with pytest.raises(Refusal, match=r"disk-full"):
        cut_rois(lits_set, tmp_path, None, RULE)
    assert not (tmp_path / "manifest.json").exists()


def test_a_set_without_any_liver_is_refused(lits_set, tmp_path):
    class Blind:
        rule = WHOLE_SLICE

        class network:
            class description:
                data_fingerprint = "0" * 64

        @staticmethod
        def find(images):
            return np.zeros(images.shape, bool)

    with pytest.raises(Refusal, match=r"no-roi.*Train the liver network longer"):
        cut_rois(lits_set, tmp_path / "set", Blind(), RULE)
    assert not (tmp_path / "set/manifest.json").exists()
