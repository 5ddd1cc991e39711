"""Files are written atomically; a refusal has three parts and no path."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from liver_tf import atomic_files
from liver_tf.refusals import Refusal


def test_a_failed_write_keeps_the_old_file_only(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half():
        with atomic_files.atomic_write(path) as temporary:
            temporary.write_text("ne")
            assert path.read_text() == "old"
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_replaces_the_file_and_creates_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    for text in ("first", "second"):
        atomic_files.write_text(path, text)
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_killed_writer_keeps_the_old_file_and_the_next_one_cleans_up(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    script = (
        "import os, signal, sys\n"
        "from liver_tf.atomic_files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(atomic_files.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script, str(path)], cwd=root, check=False)
    assert done.returncode == -9
    assert path.read_text() == "old"
    left = [one for one in tmp_path.iterdir() if one != path]
    assert [one.name for one in left] == [".partial-file"]
    atomic_files.write_text(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_nan_is_rejected_in_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic_files.write_json(tmp_path / "a.json", {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []
    atomic_files.write_json(tmp_path / "a.json", {"é": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"é": [1, None]}


def test_sha256_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    # FIPS 180-2, example B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert atomic_files.sha256_of(path) == expected == hashlib.sha256(b"abc").hexdigest()


def test_a_refusal_shows_its_path_only_when_asked_and_survives_pickling():
    refusal = Refusal("odd", Path("secret/name"), expected="a", found="b", remedy="Do c.")
    again = pickle.loads(pickle.dumps(refusal))
    for one in (refusal, again):
        assert str(one) == one.text() == "[odd] expected a; found b. Do c."
        assert one.text_with_path() == f"{Path('secret/name')}: [odd] expected a; found b. Do c."
    assert refusal.to_json() == {"code": "odd", "expected": "a", "came": "b", "remedy": "Do c."}
    assert Refusal.from_json(refusal.to_json(), None).found == "b"
    assert Refusal("odd", None, expected="a", found="b", remedy="c").text_with_path()[0] == "["


def test_a_folder_is_written_atomically(tmp_path):
    folder = tmp_path / "a" / "results"

    def write(*names):
        with atomic_files.atomic_folder(folder) as partial:
            for name in names:
                atomic_files.write_text(partial / name, name)
            assert not folder.exists()
            if "bad" in names:
                raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write("one", "bad")
    assert list(folder.parent.iterdir()) == []
    # What a killed writer left does not come along.
    (folder.parent / ".partial-results").mkdir()
    (folder.parent / ".partial-results" / "old").touch()
    write("one", "two")
    assert [path.name for path in folder.parent.iterdir()] == ["results"]
    assert sorted(path.name for path in folder.iterdir()) == ["one", "two"]


def test_two_threads_write_one_name_and_readers_see_whole_files(tmp_path):
    path = tmp_path / "file"
    texts = ["a" * 50_000, "b" * 50_000]
    atomic_files.write_text(path, texts[0])
    done = threading.Event()
    seen, errors = set(), []

    def write(text):
        try:
            for _ in range(40):
                atomic_files.write_text(path, text)
        except Exception as error:
            errors.append(error)

    def read():
        while not done.is_set():
            seen.add(path.read_text())

    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert errors == []
    assert seen <= set(texts)
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_folder_do_not_mix(tmp_path):
    folder = tmp_path / "results"

    def write(name, meanwhile=lambda: None):
        with atomic_files.atomic_folder(folder) as partial:
            (partial / "of").write_text(name)
            meanwhile()
            assert (partial / "of").read_text() == name

    with pytest.raises(OSError, match="not empty"):
        write("first", meanwhile=lambda: write("second"))
    assert (folder / "of").read_text() == "second"
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("target", ["mine", "missing"])
def test_a_link_planted_as_a_partial_file_is_not_followed(tmp_path, target):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".partial-file").symlink_to(tmp_path / target)
    atomic_files.write_text(tmp_path / "file", "new")
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine"]


def test_files_are_never_writable_for_others(tmp_path):
    old = os.umask(0)
    try:
        atomic_files.write_text(tmp_path / "file", "text")
        with atomic_files.atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(old)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o022 == 0


def test_files_that_belong_together_are_replaced_together(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a", "sub/b", "c"):
        (tmp_path / name).write_text("old")

    def write(value):
        with atomic_files.replaced_together(tmp_path) as new:
            for name in ("a", "sub/b"):
                atomic_files.write_text(new / name, value)
                assert (tmp_path / name).read_text() == "old"
            if value == "bad":
                raise ValueError(value)

    with pytest.raises(ValueError, match="bad"):
        write("bad")
    assert {(tmp_path / name).read_text() for name in ("a", "sub/b", "c")} == {"old"}
    write("new")
    assert [(tmp_path / name).read_text() for name in ("a", "sub/b", "c")] == ["new", "new", "old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c", "sub"]
