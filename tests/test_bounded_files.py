"""Small files that would take much memory or time are refused."""

import io
import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from liver_tf import bounded_files
from liver_tf.bounded_files import open_npz, read_json
from liver_tf.command_line.flag_files import read_flag_file
from liver_tf.labels import LabelSet
from liver_tf.model.description import load_description, load_network
from liver_tf.model.weights_file import load_arrays
from liver_tf.options import OptionError
from liver_tf.records.folds import load_folds
from liver_tf.records.manifest import load_manifest
from liver_tf.records.pixel_encoding import ZLIB, decode_pixels, encode_pixels
from liver_tf.records.training_data_file import load_training_data
from liver_tf.refusals import Refusal
from liver_tf.results.stored_results import load_results

ROOT = Path(__file__).parents[1]
DEEP = "[" * 100_000


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 100_000, "\xff", "{", ""])
def test_other_text_is_a_value_error(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"utf|Expecting|deep"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(("name", "bound"), [("LARGEST_JSON", 20), ("MOST_VALUES", 3)])
def test_json_beyond_its_bounds_is_not_parsed(tmp_path, monkeypatch, name, bound):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, 2], "b": 3}')
    assert read_json(path) == {"a": [1, 2], "b": 3}
    monkeypatch.setattr(bounded_files, name, bound)
    with pytest.raises(ValueError, match="more than"):
        read_json(path)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("model.json", load_description),
        ("manifest.json", load_manifest),
        ("folds.json", lambda folder: load_folds(folder / "folds.json", None)),
        ("seen.json", lambda folder: load_training_data(folder / "seen.json")),
        ("measures/test.json", load_results),
    ],
)
def test_deep_json_is_refused(tmp_path, name, read):
    (tmp_path / "weights.npz").touch()
    (tmp_path / "measures").mkdir()
    (tmp_path / name).write_text(DEEP)
    with pytest.raises(Refusal, match=r"-damaged\]"):
        read(tmp_path)


def write_zeros(path, shape, count=1):
    """Arrays of zeros, a thousand times smaller on the disk; written without holding them."""
    header = np.lib.format.header_data_from_array_1_0(np.zeros(0, np.float32)) | {"shape": shape}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            with archive.open(f"a{number}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_1_0(file, header)
                left = 4 * int(np.prod(shape))
                while left > 0:
                    left -= file.write(bytes(min(left, 2**20)))


def test_arrays_that_expand_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    write_zeros(path, (2**20,), count=3)
    assert path.stat().st_size < 3 * 4 * 2**20 / 100
    with pytest.raises(Refusal, match=r"another SHA-256|KeyError"):
        load_arrays(path)  # within the bound: read, and then found to be something else
    monkeypatch.setattr(bounded_files, "LARGEST_ARRAY", 2**23)
    with open_npz(path) as stored:
        assert stored["a0"].shape == (2**20,)
    with pytest.raises(Refusal, match=r"\[weights-damaged\].*ValueError"):
        load_arrays(path)
    monkeypatch.setattr(bounded_files, "LARGEST_ARRAY", 2**20)
    with pytest.raises(ValueError, match="larger arrays"), open_npz(path):
        pass


def test_an_impossible_shape_is_refused(tmp_path):
    header = np.lib.format.header_data_from_array_1_0(np.zeros(0)) | {"shape": (2**44,)}
    with (
        zipfile.ZipFile(tmp_path / "weights.npz", "w") as archive,
        archive.open("a.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(Refusal, match=r"\[weights-damaged\]"):
        load_arrays(tmp_path / "weights.npz")


def test_flag_files_that_include_each_other_twice_end(tmp_path):
    for number in range(26):
        name = tmp_path / f"{number + 1}.flags"
        (tmp_path / f"{number}.flags").write_text(f"--flagfile={name}\n--flagfile={name}\n")
    name.write_text("--epochs=1\n")
    with pytest.raises(OptionError, match="more than 100 files"):
        read_flag_file(tmp_path / "0.flags")
    (tmp_path / "large.flags").write_text("#" * (2**20 + 1))
    with pytest.raises(OptionError, match="larger than 1 MiB"):
        read_flag_file(tmp_path / "large.flags")


def test_long_class_names_are_refused():
    assert LabelSet("a", ("background", "liver", "c" * 100))
    with pytest.raises(ValueError, match="at most 100 characters"):
        LabelSet("a", ("background", "liver", "c" * 300_000))


@pytest.mark.parametrize(
    ("name", "value"),
    [("base_filters", 4096), pytest.param("image_size", 2**16, marks=pytest.mark.long)],
)
def test_a_network_larger_than_its_weights_is_not_built(save_runs, tmp_path, name, value):
    run = save_runs(tmp_path) / "one"
    description = json.loads((run / "model.json").read_text())
    description["architecture"][name] = value
    (run / "model.json").write_text(json.dumps(description))
    with pytest.raises(Refusal, match=r"\[(weights-architecture|model-damaged)\]"):
        load_network(run)


def test_pixels_beyond_the_size_are_not_inflated():
    pixels = np.arange(12, dtype=np.int16).reshape(3, 4)
    data = encode_pixels(pixels, ZLIB)
    np.testing.assert_array_equal(decode_pixels(data, ZLIB, pixels.dtype, (3, 4)), pixels)
    for size in ((3, 3), (3, 5), (8193, 1), (0, 4)):
        with pytest.raises(ValueError, match=r"size|pixels"):
            decode_pixels(data, ZLIB, pixels.dtype, size)
    zeros = encode_pixels(np.zeros((4096, 4096), np.int16), ZLIB)
    with pytest.raises(ValueError, match="pixels"):
        decode_pixels(zeros, ZLIB, pixels.dtype, (3, 4))


READ = """
import resource, sys
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.refusals import Refusal

resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
path = sys.argv[1]
try:
    (read_dicom_slice if path.endswith(".dcm") else read_nifti_volume)(path)
except Refusal as refusal:
    print(refusal.code)
"""


def deflated(data):
    """Deflated bytes to which others can be appended."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush(zlib.Z_FULL_FLUSH)


ZEROS, END = deflated(bytes(2**24)), b"\x03\x00"
GZIP = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])


def deflated_dicom(path):
    """A slice whose header claims 4 GiB of pixels, all 0."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta = io.BytesIO()
    pydicom.filewriter.write_file_meta_info(meta, dataset.file_meta)
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM" + meta.getvalue())
        pixels = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, 2**32 - 16)
        file.write(deflated(pixels) + ZEROS * 256 + END)


def zipped_nifti(path):
    """A volume of 4 GiB of zeros."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((512, 512, 8192))
    header.set_sform(np.eye(4), 1)
    header["vox_offset"] = 352
    path.write_bytes(GZIP + deflated(header.binaryblock + bytes(4)) + ZEROS * 256 + END)


def zipped_nrrd(path):
    """The same."""
    head = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        "sizes: 512 512 8192\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\n"
        "encoding: gzip\nspace origin: (0,0,0)\n\n"
    )
    path.write_bytes(head.encode() + GZIP + ZEROS * 256 + END)


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.dcm", deflated_dicom), ("a.nii.gz", zipped_nifti), ("a.nrrd", zipped_nrrd)],
)
def test_a_bomb_is_refused_before_it_takes_memory(tmp_path, name, write):
    write(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 2**25
    done = subprocess.run(
        [sys.executable, "-c", READ, tmp_path / name],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        cwd=ROOT,
    )
    assert done.stdout == "file-expands\n", done.stderr
