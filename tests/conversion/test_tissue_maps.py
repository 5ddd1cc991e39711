"""Tissue maps of phantoms: from file to record to drawn batches."""

import nibabel as nib
import numpy as np
import pytest

from liver_tf.conversion.build_record_set import convert
from liver_tf.conversion.roi_sets import cut_rois
from liver_tf.inference.roi_rule import RoiRule
from liver_tf.inspection.augmentation_sheet import caption, make_rows
from liver_tf.phantom.phantom_folder import write_phantom
from liver_tf.phantom.phantom_plan import PhantomPlan
from liver_tf.phantom.tissue_codes import labels_of_codes
from liver_tf.pipeline.augmentation.ranges import Ranges
from liver_tf.pipeline.batches import BatchSource
from liver_tf.pipeline.slices import Slices
from liver_tf.records.manifest import load_manifest
from liver_tf.records.shard_reader import read_case
from liver_tf.refusals import Refusal

PLAN = PhantomPlan(seed=2, lits_volumes=2, lits_slices=8, patients=0, matrix=64, tissues=True)


@pytest.fixture(scope="module")
def lits(tmp_path_factory):
    output = tmp_path_factory.mktemp("phantom") / "out"
    write_phantom(output, PLAN)
    return output / "lits"


@pytest.fixture(scope="module")
def record_set(lits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records") / "set"
    key = folder.with_name("key")
    key.write_text("a key for tests only, 32 characters")
    return folder, convert(source="lits", input=lits, output=folder, site_key_file=key).manifest


def source_of(record_set, ranges, cases=None, **more):
    folder, manifest = record_set
    cases = cases or tuple(entry.case for entry in manifest.cases)
    slices = Slices(folder, manifest, cases, 32, (0, 1, 1))
    return BatchSource(slices, batch_size=3, seed=1, ranges=ranges, **more)


def images_and_labels(source, epochs=1):
    """Images and labels of each epoch, from one pipeline."""
    return [
        tuple(np.concatenate(part) for part in zip(*((i, m) for i, m, _ in epoch), strict=True))
        for epoch in source.epochs(0, epochs, shuffled=False)
    ]


def test_records_hold_the_tissue_maps(record_set):
    folder, manifest = record_set
    records = [record for entry in manifest.cases for record in read_case(folder, entry)]
    assert len(records) == 16
    for record in records:
        assert record.tissues.shape == record.image.shape
        np.testing.assert_array_equal(labels_of_codes()[record.tissues], record.labels)


@pytest.mark.long
@pytest.mark.parametrize("cache_mb", [64, 0.02])
def test_batches_differ_between_epochs_and_are_reproducible(record_set, cache_mb):
    ranges = Ranges(0, 0, 0, 0, 0, 0, 0, drawn=1.0)
    (first, other), (again,) = (
        images_and_labels(source_of(record_set, ranges, cache_mb=cache_mb), epochs)
        for epochs in (2, 1)
    )
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert np.abs(other[0] - first[0]).mean() > 3
    np.testing.assert_array_equal(other[1], first[1])
    (plain,) = images_and_labels(source_of(record_set, None, cache_mb=cache_mb))
    assert set(np.unique(first[1])) == {0, 1}
    assert (first[1] == plain[1]).mean() > 0.97


def test_regions_of_interest_keep_their_tissue_maps(record_set, tmp_path):
    cut_rois(record_set[0], tmp_path / "rois", None, RoiRule(margin_mm=15.0, least_side_mm=120.0))
    manifest = load_manifest(tmp_path / "rois")
    rois = [roi for entry in manifest.cases for roi in read_case(tmp_path / "rois", entry)]
    assert rois
    for roi in rois:
        np.testing.assert_array_equal(labels_of_codes()[roi.tissues], roi.labels)
    source = source_of((tmp_path / "rois", manifest), Ranges(drawn=1.0))
    ((images, labels),) = images_and_labels(source)
    assert np.isfinite(images).all()
    assert labels.any((1, 2)).mean() > 0.9


@pytest.mark.long
def test_the_preview_shows_drawn_images(record_set):
    folder, manifest = record_set
    cases = tuple(entry.case for entry in manifest.cases)
    slices = Slices(folder, manifest, cases, 32, (0, 1, 2))
    ranges = Ranges(0, 0, 0, 0, 0, 0, 0, drawn=1.0)
    (row,) = make_rows(slices, ranges, seed=1, rows=1, epochs=2)
    assert np.abs(row.images[1] - row.images[0]).mean() > 3
    assert np.abs(row.images[2] - row.images[1]).mean() > 3
    assert "drawn" in caption(row.applied[0])


def test_cases_without_tissue_maps_cannot_be_drawn(record_set, lits, tmp_path):
    for name in ("volume-0.nii.gz", "segmentation-0.nii.gz"):
        (tmp_path / name).write_bytes((lits / name).read_bytes())
    key = tmp_path / "key"
    key.write_text("a key for tests only, 32 characters")
    folder = tmp_path / "records"
    manifest = convert(source="lits", input=tmp_path, output=folder, site_key_file=key).manifest
    assert next(read_case(folder, manifest.cases[0])).tissues is None
    with pytest.raises(Refusal, match="no-tissue-maps"):
        source_of((folder, manifest), Ranges(drawn=0.5))


def test_tissue_maps_that_contradict_the_labels_are_refused(lits, tmp_path):
    for name in ("volume-0.nii.gz", "segmentation-0.nii.gz"):
        (tmp_path / name).write_bytes((lits / name).read_bytes())
    maps = nib.load(lits / "tissues-0.nii.gz")
    codes = np.asarray(maps.dataobj).copy()
    codes[0, 0, 3] = 1
    nib.save(nib.Nifti1Image(codes, maps.affine), tmp_path / "tissues-0.nii.gz")
    key = tmp_path / "key"
    key.write_text("a key for tests only, 32 characters")
    outcome = convert(source="lits", input=tmp_path, output=tmp_path / "set", site_key_file=key)
    assert outcome.refusals[0].code == "mask-tissues"
    assert "slice 3 (from 0)" in outcome.refusals[0].text()
