"""Interrupted conversions resume; visible files are complete; one writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from liver_tf.conversion.output_folder import remove_leftovers
from liver_tf.records.manifest import load_manifest
from liver_tf.refusals import Refusal
from tests.builders import full_disk
from tests.builders.phantom_sets import (
    KEY,
    ROOT,
    bytes_of,
    convert_lits,
    convert_slices,
    read_table,
    records_of,
    run_process,
    without_data_kind,
    write_table,
)

KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from liver_tf.conversion import convert_cases
    from liver_tf.conversion.sources import find_lits
    from liver_tf.ct.pseudonyms import key_fingerprint
    from liver_tf.labels import LITS
    from liver_tf.records import shard_writer

    source, output, key = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].encode()

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def dying(function, call, late):
        count = 0
        def wrapper(*arguments):
            nonlocal count
            count += 1
            if count == call and not late:
                die()
            result = function(*arguments)
            if count == call:
                die()
            return result
        return wrapper

    for what, call, late in eval(sys.argv[4]):
        child = os.fork()
        if child == 0:
            if what == "replace":
                os.replace = dying(os.replace, call, late)
            else:
                shard_writer.encode = dying(shard_writer.encode, call, late)
            tasks, _ = find_lits(source, key)
            convert_cases.convert_cases(
                tasks, convert_cases.Target(output / f"{what}-{call}-{late}"), label_set=LITS,
                made_by={"source": "lits", "site_key": key_fingerprint(key)},
                early_refusals=[], engine=convert_cases.local_engine(1),
            )
            os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, (what, call, late)
    """
)
# Each of two volumes encodes 8 records and renames a shard and a memo; the fifth rename is the
# manifest.
MOMENTS = [("encode", 5, False), ("encode", 12, True)]
MOMENTS += [("replace", call, late) for call in range(1, 6) for late in (False, True)]


@pytest.fixture(scope="module")
def killed(tiny_phantom, tmp_path_factory) -> Path:
    """Folder of conversions, each killed at a different moment."""
    output = tmp_path_factory.mktemp("killed")
    source = tiny_phantom / "lits"
    subprocess.run(
        [sys.executable, "-c", KILLED, source, output, KEY.decode(), repr(MOMENTS)],
        cwd=ROOT,
        check=True,
        timeout=120,
        capture_output=True,
    )
    return output


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda m: f"{m[0]}-{m[1]}-{'after' * m[2]}")
def test_a_killed_conversion_resumes_with_identical_bytes(
    killed, moment, tiny_phantom, lits_set, tmp_path
):
    what, call, late = moment
    folder = shutil.copytree(killed / f"{what}-{call}-{late}", tmp_path / "set")
    complete = bytes_of(lits_set, "c-*.tfrecord")
    visible = bytes_of(folder, "c-*.tfrecord")
    assert visible.items() <= complete.items()
    assert (folder / "manifest.json").exists() == (moment == ("replace", 5, True))
    _, refusals = convert_lits(tiny_phantom / "lits", folder)
    assert not refusals
    assert bytes_of(folder) == bytes_of(lits_set)


def test_bytes_do_not_depend_on_the_workers(tiny_phantom, slices_set, tmp_path):
    done = run_process(
        "build_tfrecords",
        "--source=slices",
        f"--input={tiny_phantom / 'sheba/slices.csv'}",
        f"--output={tmp_path / 'set'}",
        "--workers=2",
    )
    assert done.returncode == 0, done.stderr
    written = bytes_of(tmp_path / "set")
    assert written.pop("folds.json")
    assert without_data_kind(written, "phantom") == bytes_of(slices_set)


def test_finished_cases_are_not_read_again(tiny_phantom, lits_set, tmp_path, monkeypatch):
    folder = shutil.copytree(lits_set, tmp_path / "set")
    monkeypatch.setattr("liver_tf.conversion.convert_cases.read_slices", None)
    _, refusals = convert_lits(tiny_phantom / "lits", folder)
    assert not refusals
    assert bytes_of(folder) == bytes_of(lits_set)


def flip_bit(shard: Path, memo: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)


def truncate(shard: Path, memo: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-1])


@pytest.mark.parametrize(
    "damage",
    [
        flip_bit,
        truncate,
        lambda shard, memo: shard.unlink(),
        lambda shard, memo: memo.unlink(),
        lambda shard, memo: memo.write_bytes(b"\xff{"),
        lambda shard, memo: memo.write_text('{"entry": []}'),
        lambda shard, memo: memo.write_text("[]"),
    ],
    ids=["bit", "cut", "no shard", "no memo", "bytes", "no stamp", "list"],
)
def test_damaged_files_are_regenerated(tiny_phantom, lits_set, tmp_path, damage):
    folder = shutil.copytree(lits_set, tmp_path / "set")
    shard = sorted(folder.glob("*.tfrecord"))[0]
    damage(shard, folder / ".cases" / f"{shard.stem}.json")
    convert_lits(tiny_phantom / "lits", folder)
    assert bytes_of(folder) == bytes_of(lits_set)


def test_a_case_with_other_files_is_converted_again(tiny_phantom, tmp_path):
    """Sizes and times of the files are equal: only their names differ."""
    source = shutil.copytree(tiny_phantom / "sheba", tmp_path / "sheba")
    for path in source.rglob("*"):
        os.utime(path, (1, 1))
    rows = read_table(source / "slices.csv")
    pair = next(
        (a, b)
        for a in rows
        for b in rows
        if a["patient_id"] == b["patient_id"] and a["slice_id"] < b["slice_id"]
    )
    convert_slices(source / "slices.csv", tmp_path / "set")
    before = records_of(tmp_path / "set")
    for column in ("image", "mask", "diagnosis"):
        pair[0][column], pair[1][column] = pair[1][column], pair[0][column]
    write_table(source / "slices.csv", rows)
    convert_slices(source / "slices.csv", tmp_path / "set")
    after = records_of(tmp_path / "set")
    changed = [key for key in before if not np_equal(before[key], after[key])]
    assert len(changed) == 2


@pytest.mark.parametrize("replaced", [True, False], ids=["another file", "in place"])
def test_a_file_that_keeps_size_and_time_is_read_again(tiny_phantom, tmp_path, replaced):
    """As ``cp -p`` of a corrected file leaves it, or a program that sets the time back."""
    source = shutil.copytree(tiny_phantom / "sheba", tmp_path / "sheba")
    convert_slices(source / "slices.csv", tmp_path / "set")
    before = records_of(tmp_path / "set")
    path = source / read_table(source / "slices.csv")[0]["image"]
    status, pixels = path.stat(), bytearray(path.read_bytes())
    pixels[-2:] = pixels[-4:-2] = (1000).to_bytes(2, "little")  # the last pixels, uncompressed
    if replaced:
        path.unlink()
    path.write_bytes(pixels)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    convert_slices(source / "slices.csv", tmp_path / "set")
    after = records_of(tmp_path / "set")
    assert len([key for key in before if not np_equal(before[key], after[key])]) == 1


def test_copied_data_are_not_converted_again(tiny_phantom, lits_set, tmp_path, monkeypatch):
    """A copy has other inodes but the same content; earlier versions stored neither."""
    folder = shutil.copytree(lits_set, tmp_path / "set")
    source = shutil.copytree(tiny_phantom / "lits", tmp_path / "lits")
    memos = sorted((folder / ".cases").iterdir())
    old = json.loads(memos[0].read_text())
    assert old.pop("read")
    memos[0].write_text(json.dumps(old))
    monkeypatch.setattr("liver_tf.conversion.convert_cases.read_slices", None)
    _, refusals = convert_lits(source, folder)
    assert not refusals
    assert bytes_of(folder, "*.tfrecord") == bytes_of(lits_set, "*.tfrecord")


def np_equal(record, other) -> bool:
    return record.image.tobytes() == other.image.tobytes()


def test_patients_removed_from_the_csv_leave_the_folder(tiny_phantom, slices_set, tmp_path):
    folder = shutil.copytree(slices_set, tmp_path / "set")
    foreign = ["notes.tfrecord", "c-123.tfrecord", ".partial-mine", "c-0123456789abcdef.txt"]
    for name in foreign:
        (folder / name).write_text("another file")
    (folder / ".partial-c-0123456789abcdef.tfrecord").write_text("left by a kill")
    (folder / "c-0123456789abcdef.tfrecord").write_text("left by a kill before its memo")
    source = shutil.copytree(tiny_phantom / "sheba", tmp_path / "sheba")
    rows = read_table(source / "slices.csv")
    removed = rows[0]["patient_id"]
    write_table(source / "slices.csv", [row for row in rows if row["patient_id"] != removed])
    manifest, _ = convert_slices(source / "slices.csv", folder)
    assert len(manifest.cases) == 8
    names = {path.name for path in folder.iterdir()}
    assert names == {case.shard for case in manifest.cases} | {
        "manifest.json",
        ".cases",
        *foreign,
    }
    assert {path.stem for path in (folder / ".cases").iterdir()} == {
        case.case for case in manifest.cases
    }


def test_a_folder_without_memos_has_no_leftovers(tmp_path):
    remove_leftovers(tmp_path, set())


def test_a_wrong_input_keeps_the_existing_record_set(lits_set, tmp_path):
    folder = shutil.copytree(lits_set, tmp_path / "set")
    manifest, refusals = convert_lits(tmp_path / "nowhere", folder)
    assert manifest is None
    assert [refusal.code for refusal in refusals] == ["file-missing", "nothing-converted"]
    assert bytes_of(folder) == bytes_of(lits_set)


@pytest.mark.parametrize("what", ["shard", "memo", "manifest"])
def test_a_full_disk_is_refused_and_the_next_run_resumes(
    tiny_phantom, lits_set, tmp_path, monkeypatch, what
):
    folder = tmp_path / "set"
    case = load_manifest(lits_set).cases[1].case
    names = {"shard": f"{case}.tfrecord", "memo": f"{case}.json", "manifest": "manifest.json"}
    with monkeypatch.context() as patch:
        full_disk.fill_for(patch, names[what])
        with pytest.raises(Refusal, match=r"No space left.*finished results are kept") as no:
            convert_lits(tiny_phantom / "lits", folder)
    assert no.value.code == "disk-full"
    assert not (folder / "manifest.json").exists()
    assert bytes_of(folder, "c-*.tfrecord").items() <= bytes_of(lits_set, "c-*.tfrecord").items()
    assert not list(folder.rglob(".partial-*"))
    convert_lits(tiny_phantom / "lits", folder)
    assert bytes_of(folder) == bytes_of(lits_set)


def test_an_unwritable_output_is_refused(tiny_phantom, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match=r"output-unwritable.*choose another"):
        convert_lits(tiny_phantom / "lits", tmp_path / "file" / "set")


def test_a_second_writer_is_refused(tiny_phantom, lits_set, tmp_path):
    folder = shutil.copytree(lits_set, tmp_path / "set")
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(Refusal, match="output-busy"):
            convert_lits(tiny_phantom / "lits", folder)
    finally:
        os.close(descriptor)
    assert bytes_of(folder) == bytes_of(lits_set)


@pytest.mark.parametrize("name", ["manifest.json", "folds.json"])
def test_a_folder_of_another_program_is_left_alone(tiny_phantom, tmp_path, name):
    (tmp_path / name).write_text('{"name": "a web page"}')
    with pytest.raises(Refusal, match="output-foreign"):
        convert_lits(tiny_phantom / "lits", tmp_path)
    assert (tmp_path / name).read_text() == '{"name": "a web page"}'
    assert [path.name for path in tmp_path.iterdir()] == [name]
