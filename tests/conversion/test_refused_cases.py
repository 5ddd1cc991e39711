"""Bad cases are refused by code and the remaining cases are converted."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from liver_tf.conversion.sources import find_lits
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.refusals import Refusal
from tests.builders.phantom_sets import (
    KEY,
    bytes_of,
    convert_lits,
    convert_slices,
    first_row,
    read_table,
    run_command,
    write_table,
)


def codes(refusals) -> list[str]:
    return [refusal.code for refusal in refusals]


def test_bad_slices_are_listed_and_the_remaining_ones_converted(sheba, slices_set, tmp_path):
    rows = read_table(sheba / "slices.csv")
    several = [row for row in rows if row["slice_id"].endswith("_s1")]
    cut, unmapped, unknown, missing = several[0], several[1], several[2], several[3]
    data = (sheba / cut["image"]).read_bytes()
    (sheba / cut["image"]).write_bytes(data[:-1000])
    mask = np.array(Image.open(sheba / unmapped["mask"]))
    mask[0, 0] = 7
    Image.fromarray(mask).save(sheba / unmapped["mask"])
    unknown["diagnosis"] = "abscess"
    (sheba / missing["mask"]).unlink()
    write_table(sheba / "slices.csv", rows)
    output = tmp_path / "set"
    done = run_command(
        "build_tfrecords",
        "--source=slices",
        f"--input={sheba / 'slices.csv'}",
        f"--output={output}",
        "--workers=1",
    )
    assert done.returncode == 1
    expected_codes = {"dicom-truncated", "mask-unmapped", "csv-diagnosis", "csv-no-file"}
    assert "4 refused" in done.stderr
    for code in expected_codes:
        assert f"[{code}]" in done.stderr
    assert str(sheba / cut["image"]) in done.stderr
    stored = json.loads((output / "manifest.json").read_text())
    assert {refusal["code"] for refusal in stored["refusals"]} == expected_codes
    assert stored["records"] == len(rows) - 4
    assert (output / "folds.json").is_file()
    # Patients without a bad slice are unaffected.
    bad = {pseudonym(KEY, "case", row["patient_id"]) for row in several[:4]}
    expected = bytes_of(slices_set, "*.tfrecord")
    written = bytes_of(output, "*.tfrecord")
    good = {name for name in expected if name.removesuffix(".tfrecord") not in bad}
    assert good
    assert all(written[name] == expected[name] for name in good)


def test_bad_volumes_are_refused_and_the_remaining_ones_converted(tiny_phantom, lits_set, tmp_path):
    source = shutil.copytree(tiny_phantom / "lits", tmp_path / "lits")
    data = (source / "segmentation-1.nii.gz").read_bytes()
    (source / "segmentation-1.nii.gz").write_bytes(data[:-100])
    shutil.copy(source / "volume-0.nii.gz", source / "volume-7.nii.gz")
    manifest, refusals = convert_lits(source, tmp_path / "set")
    assert codes(refusals) == ["pair-no-segmentation", "nifti-truncated"]
    assert [case.case for case in manifest.cases] == [pseudonym(KEY, "case", "lits-0")]
    shard = manifest.cases[0].shard
    assert (tmp_path / "set" / shard).read_bytes() == (lits_set / shard).read_bytes()


def test_corrected_slices_are_converted_by_the_next_run(sheba, slices_set, tmp_path):
    row = first_row(sheba)
    image = sheba / row["image"]
    data = image.read_bytes()
    image.write_bytes(data[:-10])
    _, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
    assert codes(refusals) == ["dicom-truncated"]
    image.write_bytes(data)
    _, refusals = convert_slices(sheba / "slices.csv", tmp_path / "set")
    assert not refusals
    assert bytes_of(tmp_path / "set", "*.tfrecord") == bytes_of(slices_set, "*.tfrecord")


def test_an_input_without_any_readable_case_is_refused(tmp_path):
    source = tmp_path / "lits"
    source.mkdir()
    for name in ("volume-0.nii", "segmentation-0.nii"):
        (source / name).write_text("not a NIfTI file")
    manifest, refusals = convert_lits(source, tmp_path / "set")
    assert manifest is None
    assert codes(refusals) == ["nifti-header", "nothing-converted"]
    assert not (tmp_path / "set/manifest.json").exists()


def test_a_window_outside_the_pixel_range_is_refused(tiny_phantom, tmp_path):
    from liver_tf.conversion.convert_cases import Target, convert_case

    tasks, _ = find_lits(tiny_phantom / "lits", KEY)
    outcome = convert_case((tasks[0], Target(tmp_path, (-40000, 240))))
    assert outcome.entry is None
    assert codes(outcome.refusals) == ["unexpected-error"]
    assert not list(tmp_path.glob("*.tfrecord"))


def test_a_record_set_of_another_source_is_not_overwritten(tiny_phantom, lits_set, tmp_path):
    folder = shutil.copytree(lits_set, tmp_path / "set")
    before = bytes_of(folder)
    with pytest.raises(Refusal, match=r"\[output-other-set\].*made with another source"):
        convert_slices(tiny_phantom / "sheba/slices.csv", folder)
    assert bytes_of(folder) == before


def test_other_mask_values_convert_everything_again(sheba, tmp_path):
    """A memo written with other mask values is not valid."""
    convert_slices(sheba / "slices.csv", tmp_path / "set")
    before = bytes_of(tmp_path / "set", "*.tfrecord")
    meanings = ((0, "background"), (1, "background"), (2, "lesion"))
    manifest, _ = convert_slices(sheba / "slices.csv", tmp_path / "set", meanings)
    assert sum(case.statistics.class_pixels[1] for case in manifest.cases) == 0
    assert not before.items() & bytes_of(tmp_path / "set", "*.tfrecord").items()


def test_a_single_patient_is_converted_without_folds(tiny_phantom, tmp_path):
    lines = (tiny_phantom / "sheba" / "slices.csv").read_text().splitlines()
    first = lines[1].split(",")[1]
    table = tiny_phantom / "sheba" / "one.csv"
    table.write_text("\n".join([lines[0], *(x for x in lines if f",{first}," in x)]) + "\n")
    arguments = ("build_tfrecords", "--source=slices", f"--input={table}", "--workers=1")
    refused = run_command(*arguments, f"--output={tmp_path / 'folds'}")
    assert refused.returncode == 1
    assert "[too-few-patients]" in refused.stderr
    assert "--folds (1 writes no folds)" in refused.stderr
    done = run_command(*arguments, "--folds=1", f"--output={tmp_path / 'none'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "none" / "manifest.json").exists()
    assert not (tmp_path / "none" / "folds.json").exists()
