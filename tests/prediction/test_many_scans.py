"""Predict lists of good and bad scans."""

import csv
import errno
import json

import nibabel
import numpy as np
import pytest

from liver_tf import atomic_files
from liver_tf.export.scan_results import ScanResults
from liver_tf.folder_lock import locked_folder
from liver_tf.inference import postprocessing
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.options import OptionError
from liver_tf.prediction import many_scans
from liver_tf.prediction import named_scans as scan_lists
from liver_tf.prediction.inputs_csv import InputsCsv
from liver_tf.prediction.named_scans import NamedScan, named_scans, refuse_input_as_output
from liver_tf.prediction.one_scan import read_scan
from liver_tf.refusals import Refusal
from tests.builders import ct_files
from trainers import predict


@pytest.fixture(scope="module")
def runs(save_runs, tmp_path_factory):
    """Untrained networks as finished runs: they see lesions of all types in a liver."""
    return save_runs(tmp_path_factory.mktemp("runs"))


def arguments(runs, output, *inputs, models=("one",), **flags):
    return (
        *(f"--model={runs / name}" for name in models),
        f"--liver_run={runs / 'liver'}",
        f"--output={output}",
        "--pictures=0",
        "--precision=float32",
        *(f"--input={path}" for path in inputs),
        *(f"--{name}={value}" for name, value in flags.items()),
    )


def write_volume(path, array):
    nibabel.save(nibabel.Nifti1Image(array, np.diag([-0.8, -0.7, 2.5, 1.0])), path)
    return path


def test_bad_scans_do_not_stop_the_others(runs, tmp_path, command, capsys):
    """A volume, a series, a slice; a missing file, two series in one folder, NaN, 2-D, no HU."""
    hu = ct_files.phantom_hu()
    volume = ct_files.write_nifti(tmp_path / "volume.nii.gz", *ct_files.as_lps_file(hu))
    ct_files.write_series(tmp_path / "series")
    single = ct_files.write_dicom(tmp_path / "slice.dcm", hu[2])
    ct_files.write_series(tmp_path / "two")
    for index, path in enumerate(ct_files.write_series(tmp_path / "other")):
        dataset = ct_files.pydicom.dcmread(path)
        dataset.SeriesInstanceUID = "1.2.3.4"
        dataset.save_as(tmp_path / "two" / f"other{index}.dcm")
    flat = write_volume(tmp_path / "flat.nii", np.zeros((8, 8), np.int16))
    broken = hu.astype(np.float32).transpose(2, 1, 0)
    broken[3, 3, 3] = np.nan
    nan = write_volume(tmp_path / "nan.nii", broken)
    unscaled = write_volume(tmp_path / "unscaled.nii", (hu + 1024).transpose(2, 1, 0))
    listed = tmp_path / "scans.txt"
    listed.write_text(
        f"# what was named before\n{flat}\n\n{single}\n{nan}\n{unscaled}\n{tmp_path / 'empty'}\n"
    )
    (tmp_path / "empty").mkdir()
    named = (volume, tmp_path / "nowhere.nii", tmp_path / "two", tmp_path / "series")
    long_name = "x" * 5000
    line = arguments(
        runs,
        tmp_path / "out",
        *(*named, long_name),
        models=("one", "two"),
        input_list=listed,
        flips=True,
        type_threshold=0.9,
    )
    assert command(predict, *line) == 1
    captured = capsys.readouterr()
    assert "post-processing: none" in captured.out
    assert "precision: float32 (as requested)" in captured.out
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written[:3] == ["index.html", "inputs.csv", "results.csv"]
    del written[:3]
    assert written == ["scan-001", "scan-004", "scan-007"]
    codes = {
        2: "file-missing",
        3: "series-mixed",
        5: "file-missing",
        6: "nifti-",
        8: "hu-not-finite",
        9: "hu-unscaled",
        10: "series-empty",
    }
    lines = [one for one in captured.err.splitlines() if "[" in one and one.startswith("scan-")]
    cautions = (": [liver-", ": [lesion-")
    lines = [one for one in lines if not any(each in one for each in cautions)]
    assert len(lines) == len(codes)
    for one, (number, code) in zip(lines, codes.items(), strict=True):
        assert one.startswith(f"scan-{number:03d}: ")
        assert f"[{code}" in one
    check_table(tmp_path / "out" / "inputs.csv", codes)
    files = [tmp_path / "out" / name / "lesions.json" for name in written]
    reported = [json.loads(file.read_text()) for file in files]
    assert [scan["slices"] for scan in reported] == [5, 5, 1]
    assert reported[0]["method"] == {
        "lesion_networks": 2,
        "flips": True,
        "precision": "float32",
        "in_liver_only": True,
        "decision": "argmax",
        "postprocessing": {
            "lesion_probability": None,
            "fill_holes": False,
            "least_area_mm2": 0.0,
            "corrected": False,
            "rim_pixels": 1,
            "least_height": 0.0,
        },
        "type_threshold": 0.9,
        "label_map": "lesions",
    }
    lesions = [lesion for scan in reported for lesion in scan["lesions"]]
    assert lesions
    for lesion in lesions:
        sure = lesion["type_probabilities"][lesion["most_likely_type"]] >= 0.9
        assert lesion["type"] == (lesion["most_likely_type"] if sure else "indeterminate")
        assert lesion["disagreeing_models"] in (0.0, 0.5, 1.0)
        assert set(lesion["type_probability_sd"]) == {"cyst", "hemangioma", "metastasis"}
        assert lesion["longest_diameter_mm"] > 0
    # The same voxels as a volume and as a series, each in the space that its own viewers show.
    of_volume, of_series = reported[0]["lesions"], reported[1]["lesions"]
    for volume_lesion, series_lesion in zip(of_volume, of_series, strict=True):
        spaces, places, _ = (
            [one.pop(name) for one in (volume_lesion, series_lesion)]
            for name in ("centroid_space", "centroid_mm", "centroid_voxel")
        )
        assert spaces == ["RAS+", "LPS+"]
        mirrored = {axis: mm * (1 if axis == "z" else -1) for axis, mm in places[1].items()}
        assert places[0] == pytest.approx(mirrored, abs=0.011)
        assert volume_lesion == series_lesion


def check_table(path, codes):
    """Every input, where it was named, what became of it; and no path."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["scan"] for row in rows] == [f"scan-{number:03d}" for number in range(1, 11)]
    named = [f"input {number}" for number in range(1, 6)]
    assert [row["named_by"] for row in rows] == named + [
        f"input_list line {line}" for line in (2, 4, 5, 6, 7)
    ]
    for number, row in enumerate(rows, 1):
        if number in codes:
            assert row["status"] == "refused"
            assert row["code"].startswith(codes[number])
            assert row["remedy"]
        else:
            assert row["status"] == "lesions-found"
            assert int(row["lesions"]) > 0
            assert row["diagnosis"] in ("cyst", "hemangioma", "metastasis")
    text = path.read_text()
    assert str(path.parents[1]) not in text
    assert "nowhere" not in text


def test_the_inputs_table_is_current_and_one_of_others_is_kept(runs, tmp_path, command):
    missing = tmp_path / "CANARY"
    line = arguments(runs, tmp_path / "out", missing)
    assert command(predict, *line) == 1
    table = tmp_path / "out" / "inputs.csv"
    assert b"CANARY" not in table.read_bytes()
    assert command(predict, *line, "--paths_in_table") == 1
    with open(table, encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["path"], row["code"]) == (str(missing), "file-missing")
    table.write_bytes(b"an own table\n1\n")
    assert command(predict, *line) == 1
    assert table.read_bytes() == b"an own table\n1\n"
    assert "file-missing" in (tmp_path / "out" / "inputs-2.csv").read_text()


def test_the_same_command_resumes_and_counts_what_is_kept(runs, tmp_path, command, capsys):
    hu = ct_files.phantom_hu()
    volume = ct_files.write_nifti(tmp_path / "volume.nii.gz", *ct_files.as_lps_file(hu))
    output = tmp_path / "out"
    assert command(predict, *arguments(runs, output, volume)) == 0
    first = capsys.readouterr()
    assert "kept" not in first.out
    assert "1 slice" not in first.out
    assert "5 slices, " in first.out
    assert first.err.splitlines()[-1] == f"Next: open {output}/index.html"
    lesions = (output / "scan-001" / "lesions.json").read_bytes()
    rows = (output / "inputs.csv").read_text()
    ct_files.write_series(tmp_path / "series")
    assert command(predict, *arguments(runs, output, volume, tmp_path / "series")) == 0
    out = capsys.readouterr().out
    assert f"{output}/scan-001: kept, finished before: 5 slices, " in out
    assert "1 of 2 scans kept, finished before" in out
    assert (output / "scan-001" / "lesions.json").read_bytes() == lesions
    assert (output / "inputs.csv").read_text().startswith(rows)
    assert (output / "scan-002" / "lesions.json").is_file()
    # The other scan is now the first input; its results are those in the second folder.
    assert command(predict, *arguments(runs, output, tmp_path / "series")) == 0
    captured = capsys.readouterr()
    assert f"{output}/scan-002: kept, finished before" in captured.out
    assert sorted(path.name for path in output.glob("scan-*")) == ["scan-001", "scan-002"]
    assert (output / "scan-001" / "lesions.json").read_bytes() == lesions


def write_shifted(path, shift):
    """The phantom as another scan: some HU brighter."""
    return ct_files.write_nifti(path, *ct_files.as_lps_file(ct_files.phantom_hu() + shift))


def statuses(output):
    with open(output / "inputs.csv", encoding="utf-8", newline="") as file:
        return [(row["scan"], row["named_by"], row["code"]) for row in csv.DictReader(file)]


def test_scans_of_later_commands_are_added_to_the_folder(runs, tmp_path, command, capsys):
    """One after the other without another --output, a foreign folder, two at once, in any order."""
    first, second, third, fourth = (
        write_shifted(tmp_path / f"{shift}.nii", shift) for shift in range(4)
    )
    output = tmp_path / "out"
    (output / "scan-002").mkdir(parents=True)
    (output / "scan-002" / "own.txt").write_text("foreign")
    for path in (first, second, first, second):
        assert command(predict, *arguments(runs, output, path)) == 0
        assert capsys.readouterr().err.splitlines()[-1] == f"Next: open {output}/index.html"
    assert [path.name for path in (output / "scan-002").iterdir()] == ["own.txt"]
    written = (output / "scan-001" / "lesions.json").read_bytes()
    assert command(predict, *arguments(runs, output, third, fourth)) == 0
    assert command(predict, *arguments(runs, output, fourth, second, third, first)) == 0
    out = capsys.readouterr().out
    assert "4 of 4 scans kept, finished before" in out
    folders = [line.split(":")[0][-8:] for line in out.splitlines() if ": kept" in line]
    assert folders == ["scan-005", "scan-003", "scan-004", "scan-001"]
    assert (output / "scan-001" / "lesions.json").read_bytes() == written
    assert "<h1>4 scans, 4 with results</h1>" in (output / "index.html").read_text()


def test_results_of_other_settings_keep_their_row(runs, tmp_path, command, capsys):
    """The refusal is printed and is no row; the results can still be told from other inputs."""
    first, third = (write_shifted(tmp_path / f"{shift}.nii", shift) for shift in (0, 1))
    output, broken = tmp_path / "out", tmp_path / "nowhere.nii"
    assert command(predict, *arguments(runs, output, first, broken, third)) == 1
    assert [name for _, name, _ in statuses(output)] == ["input 1", "input 2", "input 3"]
    assert command(predict, *arguments(runs, output, first, third)) == 0
    assert [name for _, name, _ in statuses(output)] == [
        "input 1",
        "input 2 (earlier command)",
        "input 2",
    ]
    capsys.readouterr()
    for _ in range(2):
        # The same scan twice: neither is predicted.
        line = arguments(runs, output, third, third, type_threshold=0.9)
        assert command(predict, *line) == 1
        err = capsys.readouterr().err
        assert f"scan-003: {output}/scan-003: [output-exists]" in err
        assert "made with other networks or settings (type_threshold)" in err
        assert "Choose another --output" in err
        assert err.splitlines()[-1] == f"Next: open {output}/index.html"
        assert statuses(output) == [
            ("scan-001", "input 1 (earlier command)", ""),
            ("scan-002", "input 2 (earlier command)", "file-missing"),
            ("scan-003", "input 2 (earlier command)", ""),
        ]
    assert "<h1>3 scans, 2 with results, 1 without</h1>" in (output / "index.html").read_text()


@pytest.mark.long
def test_a_refused_input_is_in_the_worklist_beside_earlier_results(runs, tmp_path, command, capsys):
    scan, missing = write_shifted(tmp_path / "scan.nii", 0), tmp_path / "nowhere"
    output = tmp_path / "out"
    assert command(predict, *arguments(runs, output, scan)) == 0
    for _ in range(2):  # the same refusal has one row
        assert command(predict, *arguments(runs, output, missing)) == 1
        err = capsys.readouterr().err
        assert err.splitlines()[-1] == f"Next: open {output}/index.html"
        assert statuses(output) == [
            ("scan-001", "input 1 (earlier command)", ""),
            ("scan-002", "input 1", "file-missing"),
        ]
    assert "<h1>2 scans, 1 with results, 1 without</h1>" in (output / "index.html").read_text()
    # A new scan leaves the row of the refused one.
    other = write_shifted(tmp_path / "other.nii", 1)
    assert command(predict, *arguments(runs, output, other)) == 0
    assert [name for name, *_ in statuses(output)] == ["scan-001", "scan-002", "scan-003"]
    # A first scan that is missing leaves no page of results to open.
    assert command(predict, *arguments(runs, tmp_path / "none", tmp_path / "nowhere")) == 1
    assert "Next:" not in capsys.readouterr().err.splitlines()[-1]


def test_inputs_that_were_not_begun_are_listed_after_earlier_scans(tmp_path):
    """A killed command: the rows of earlier scans stay, the others have free numbers."""
    inputs = [NamedScan(tmp_path / name, f"input {name}") for name in "123"]
    table = InputsCsv(tmp_path, inputs[:1], with_paths=False)
    (tmp_path / "scan-001").mkdir()
    table.add(ScanResults(tmp_path / "scan-001", "no-lesion-found", "healthy", [], ""), None)
    table.save()
    table = InputsCsv(tmp_path, inputs, with_paths=False)
    assert [row["status"] for row in table.rows] == ["no-lesion-found", "not-begun", "not-begun"]
    # The first one turns out to be another scan.
    name = table.next_name()
    assert name == "scan-002"
    table.add(ScanResults(tmp_path / name, "lesions-found", "cyst", [], ""), None)
    assert [(row["named_by"], row["status"]) for row in table.rows] == [
        ("input 1 (earlier command)", "no-lesion-found"),
        ("input 1", "lesions-found"),
        ("input 2", "not-begun"),
        ("input 3", "not-begun"),
    ]


def test_unexpected_errors_stop_one_scan_only(runs, tmp_path, command, capsys, monkeypatch):
    """An output folder that cannot be made; and one that can."""
    hu = ct_files.phantom_hu()
    volume = ct_files.write_nifti(tmp_path / "volume.nii.gz", *ct_files.as_lps_file(hu))
    output = tmp_path / "out"
    real = atomic_files._new_folder

    def new_folder(path):
        if path.name == ".partial-scan-001":
            raise NotADirectoryError(errno.ENOTDIR, "in the way", str(path))
        return real(path)

    monkeypatch.setattr(atomic_files, "_new_folder", new_folder)
    assert command(predict, *arguments(runs, output, volume, volume)) == 1
    captured = capsys.readouterr()
    assert "scan-001: " in captured.err
    assert "[output-unwritable]" in captured.err
    assert (output / "scan-002" / "lesions.json").exists()
    assert not (output / "scan-001").exists()


@pytest.mark.long
def test_the_post_processing_of_a_run_is_used_unless_disabled(runs, tmp_path, command, capsys):
    volume = ct_files.write_nifti(
        tmp_path / "volume.nii", *ct_files.as_lps_file(ct_files.phantom_hu())
    )
    path = runs / "one" / "postprocessing.json"
    postprocessing.save(runs / "one", PostProcessing(least_area_mm2=1e6), {})
    try:
        assert command(predict, *arguments(runs, tmp_path / "with", volume)) == 0
        assert "post-processing: lesions below 1e+06 mm2 dropped" in capsys.readouterr().out
        line = arguments(runs, tmp_path / "without", volume)
        assert command(predict, *line, "--nopostprocessing") == 0
    finally:
        path.unlink()
    reported = {
        name: json.loads((tmp_path / name / "scan-001" / "lesions.json").read_text())
        for name in ("with", "without")
    }
    assert reported["with"]["lesions"] == []
    assert reported["with"]["diagnosis"] == "healthy"
    assert len(reported["without"]["lesions"]) > 0


def test_invalid_arguments_are_refused(runs, tmp_path, command):
    with pytest.raises(OptionError, match="name at least one scan with --input"):
        command(predict, *arguments(runs, tmp_path))
    with pytest.raises(OptionError, match="a run is named twice"):
        command(predict, *arguments(runs, tmp_path, "scan.nii", models=("one", "one")))
    with pytest.raises(OptionError, match="the path is empty"):
        command(predict, *arguments(runs, tmp_path, ""))
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match="output: expected a folder, found a file"):
        command(predict, *arguments(runs, tmp_path / "file", "scan.nii"))
    with pytest.raises(OptionError, match="type_threshold: expected a finite number"):
        command(predict, *arguments(runs, tmp_path, "scan.nii", type_threshold="nan"))


def test_lists_of_scans(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeff a b.nii \r\n#c\r\n\r\n/d/e.dcm\n".encode())
    assert [str(one.path) for one in named_scans(["first"], str(path))] == [
        "first",
        "a b.nii",
        "/d/e.dcm",
    ]
    assert named_scans([], None) == []
    with pytest.raises(Refusal, match=r"\[file-missing\]"):
        named_scans([], str(tmp_path / "none.txt"))
    path.write_bytes(b"K\xf6ln/scan.nii\n")  # a name that is not UTF-8
    assert bytes(named_scans([], path)[0].path) == b"K\xf6ln/scan.nii"
    for content in (b"\x1f\x8b\x08\xff", b"a\0b"):
        path.write_bytes(content)
        with pytest.raises(Refusal, match=r"\[input-list-text\]"):
            named_scans([], str(path))


def test_wildcards_stand_for_the_paths_that_match(tmp_path):
    for name in ("b1.nii", "a[1].nii", "c.txt"):
        (tmp_path / name).touch()
    found = named_scans([tmp_path / "*.nii", tmp_path / "a[1].nii", tmp_path / "*.mha"])
    assert [(one.path.name, one.named_by) for one in found] == [
        ("a[1].nii", "input 1"),
        ("b1.nii", "input 2"),
        ("a[1].nii", "input 3"),
        ("*.mha", "input 4"),
    ]


def test_a_folder_of_volumes_is_refused_with_the_inputs_to_name(tmp_path):
    for name in ("PATIENT1.nii.gz", "PATIENT2.nii.gz", "PATIENT3.mha", "notes.txt"):
        (tmp_path / name).write_text("x")
    with pytest.raises(Refusal, match=r"\[series-empty\]") as caught:
        read_scan(tmp_path)
    assert caught.value.found == "3 volumes (.nii.gz, .mha)"
    assert "--input='FOLDER/*.nii.gz' --input='FOLDER/*.mha'" in caught.value.remedy
    assert "PATIENT" not in caught.value.text()


def test_a_folder_of_two_series_is_refused(tmp_path):
    ct_files.write_series(tmp_path / "two")
    for index, path in enumerate(ct_files.write_series(tmp_path / "other")):
        dataset = ct_files.pydicom.dcmread(path)
        dataset.SeriesInstanceUID = "1.2.3.4"
        dataset.save_as(tmp_path / "two" / f"other{index}.dcm")
    with pytest.raises(Refusal, match=r"\[series-mixed\]"):
        read_scan(tmp_path / "two")


def test_a_series_in_subfolders_is_found(tmp_path):
    """Spread over two folders, as some exports have it, beside a note and a localizer."""
    for index, path in enumerate(ct_files.write_series(tmp_path / "patient" / "all")):
        place = tmp_path / "patient" / "study" / str(index % 2)
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.name)
    (tmp_path / "patient" / "all").rmdir()
    (tmp_path / "patient" / "note.txt").write_text("no DICOM")
    (tmp_path / "patient" / ".hidden").mkdir()
    ct_files.write_dicom(tmp_path / "patient" / ".hidden" / "other.dcm", ct_files.phantom_hu()[0])
    deeper = read_scan(tmp_path / "patient")
    ct_files.write_series(tmp_path / "flat")
    flat = read_scan(tmp_path / "flat")
    np.testing.assert_array_equal(deeper.hu, flat.hu)
    np.testing.assert_array_equal(deeper.affine, flat.affine)
    codes = [caution.code for caution in deeper.cautions]
    assert codes[-2:] == ["series-below", "series-not-dicom"]
    assert "series-below" not in [caution.code for caution in flat.cautions]


def test_folders_of_several_series_are_listed(runs, tmp_path, command, capsys):
    study = tmp_path / "study"
    ct_files.write_series(study / "first")
    for path in ct_files.write_series(study / "deep" / "second"):
        dataset = ct_files.pydicom.dcmread(path)
        dataset.SeriesInstanceUID = "1.2.3.4"
        dataset.save_as(path)
    (study / "reports").mkdir()
    (study / "reports" / "note.txt").write_text("no DICOM")
    assert command(predict, *arguments(runs, tmp_path / "out", study)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "[series-mixed]" in lines[-3]
    assert lines[-2:] == [f"  CT slices are in {study / name}" for name in ("deep/second", "first")]
    assert str(study) not in (tmp_path / "out" / "inputs.csv").read_text()


def test_two_commands_on_one_output_folder(runs, tmp_path, command, capsys):
    volume = ct_files.write_nifti(
        tmp_path / "volume.nii", *ct_files.as_lps_file(ct_files.phantom_hu())
    )
    output = tmp_path / "out"
    output.mkdir()
    with locked_folder(output):
        assert command(predict, *arguments(runs, output, volume)) == 1
    assert "[output-busy]" in capsys.readouterr().err
    assert list(output.iterdir()) == []
    assert command(predict, *arguments(runs, output, volume)) == 0


@pytest.mark.long
def test_an_outcome_that_cannot_be_shown_is_recorded(runs, tmp_path):
    volume = ct_files.write_nifti(
        tmp_path / "volume.nii", *ct_files.as_lps_file(ct_files.phantom_hu())
    )

    def show(outcome):
        raise BrokenPipeError

    options = {"model": [runs / "one"], "liver_run": runs / "liver", "input": [volume]}
    with pytest.raises(BrokenPipeError):
        many_scans.predict(output=tmp_path / "out", on_outcome=show, **options)
    (row,) = csv.DictReader((tmp_path / "out/inputs.csv").open())
    assert row["status"] not in ("refused", "not-begun")


def test_results_are_not_written_among_the_slices_of_a_series(tmp_path):
    scans = [
        NamedScan(tmp_path / "a", "input 1"),
        NamedScan(tmp_path / "b" / ".." / "c", "input 2"),
    ]
    refuse_input_as_output(tmp_path / "a" / "results", scans)
    with pytest.raises(Refusal, match=r"\[output-is-input\].*the folder of input 2"):
        refuse_input_as_output(tmp_path / "c", scans)
    with pytest.raises(Refusal, match=r"\[output-is-input\].*input 1, or one around it"):
        refuse_input_as_output(tmp_path, scans)
    (tmp_path / "a").mkdir()
    options = {"model": [tmp_path / "run"], "liver_run": tmp_path / "liver"}
    with pytest.raises(Refusal, match=r"\[output-is-input\]"):
        many_scans.predict(input=[tmp_path / "a"], output=tmp_path, **options)


def test_a_long_list_of_scans_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(scan_lists, "LARGEST_LIST", 10)
    (tmp_path / "list.txt").write_text("scan.nii\n")
    assert len(named_scans([], tmp_path / "list.txt")) == 1
    (tmp_path / "list.txt").write_text("scan.nii\n" * 2)
    with pytest.raises(Refusal, match=r"\[input-list-text\].*more than"):
        named_scans([], tmp_path / "list.txt")
