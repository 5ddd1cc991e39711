"""Small files and answers that need much memory or time: each is refused under a limit of both."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian

from liver_tf import run_files
from liver_tf.assessment.label_maps import load_label_map
from liver_tf.command_line.flag_files import read_flag_file
from liver_tf.ct.dicom_slice import read_dicom_slice
from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.inference import postprocessing
from liver_tf.model.description import load_description
from liver_tf.model.weights_file import load_arrays
from liver_tf.options import OptionError
from liver_tf.records.folds import load_folds
from liver_tf.records.manifest import load_manifest
from liver_tf.records.training_data_file import load_training_data
from liver_tf.refusals import Refusal
from liver_tf.results.stored_results import last_look, load_results
from tests.builders import ct_files
from tests.builders.bundled_runs import save_run
from tests.campaigns.guarded import Lost, guarded

#: Memory that a reader may ask for, beyond what it holds when it starts; and its time.
LIMIT_BYTES, LIMIT_S = 1 << 30, 300.0

_BOMB_BYTES = 2 << 30
_CHUNK = 1 << 24

_NESTED = "[" * 200_000
_OBJECTS = '{"a":' * 200_000


def bombs(folder: Path) -> dict[str, Callable[[], object]]:
    """Readers of bombs by name; each writes its bomb below ``folder`` when it is called."""
    return {
        **{
            f"{name}, nested {kind}": lambda path=path, read=read, text=text: _written(
                folder, path, text, read
            )
            for name, (path, read) in _json_readers().items()
            for kind, text in (("lists", _NESTED), ("objects", _OBJECTS))
        },
        "class names": lambda: _long_names(folder),
        "flag files": lambda: _flag_files(folder),
        "weights": lambda: load_arrays(_npz(folder / "run" / "weights.npz", "a")),
        "label maps": lambda: _label_maps(folder),
        "deflated DICOM": lambda: read_dicom_slice(_deflated(folder / "slice.dcm")),
        "NIfTI with more than its header": lambda: _nifti(folder, (24, 32, 5)),
        "NIfTI of a gigantic header": lambda: _nifti(folder, (1024, 1024, 1024)),
    }


def campaign(
    folder: Path, wanted: Callable[[str], bool] = lambda name: True
) -> tuple[Counter, list[str]]:
    """Read every wanted bomb; returns the outcomes by reason code, and what went wrong."""
    numbered = [name for name in bombs(folder) if wanted(name)]
    outcomes: Counter = Counter()
    wrong = []
    results = guarded(
        make_reader,
        (folder, numbered),
        range(len(numbered)),
        workers=1,
        limit_s=LIMIT_S,
        limit_bytes=LIMIT_BYTES,
    )
    for number, result in results:
        if isinstance(result, Lost):
            result = f"WRONG {result.why}"
        if result.startswith("WRONG"):
            wrong.append(f"{numbered[number]}: {result}")
        outcomes[result] += 1
    return outcomes, wrong


def make_reader(folder: Path, names: list[str], worker: int) -> Callable[[int], str]:
    """The function that a worker applies to each number: a reason code, or what went wrong."""
    readers = bombs(folder)

    def read(number: int) -> str:
        shutil.rmtree(folder / "run", ignore_errors=True)
        save_run(folder / "run", "typed")
        (folder / "run" / "SHA256SUMS").unlink()  # an attacker can also write the hash
        try:
            readers[names[number]]()
        except Refusal as refusal:
            return refusal.code
        except OptionError:
            return "refused flag"
        except BaseException as error:
            return f"WRONG {type(error).__name__}: {str(error)[:200]}"
        return "WRONG it was read"

    return read


def _json_readers() -> dict[str, tuple[str, Callable[[Path], Any]]]:
    """File below the folder, and its reader, which takes the folder."""
    return {
        "model.json": ("run/model.json", lambda f: load_description(f / "run")),
        "run.json": ("run/run.json", lambda f: run_files.require_identity(f / "run", "test")),
        "seen.json": ("run/seen.json", lambda f: load_training_data(f / "run/seen.json")),
        "postprocessing.json": (
            "run/postprocessing.json",
            lambda f: postprocessing.of_runs([f / "run"]),
        ),
        "results": ("run/measures/test.json", lambda f: load_results(f / "run")),
        "looks.json": ("run/looks.json", lambda f: last_look(f / "run", "test")),
        "manifest.json": ("set/manifest.json", lambda f: load_manifest(f / "set")),
        "folds.json": ("set/folds.json", lambda f: load_folds(f / "set/folds.json", None)),
    }


def _written(folder: Path, name: str, text: str, read: Callable[[Path], object]) -> object:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return read(folder)


def _long_names(folder: Path) -> object:
    path = folder / "run" / "model.json"
    value = json.loads(path.read_text())
    value["label_set"]["classes"] = [c * 100_000 for c in value["label_set"]["classes"]]
    path.write_text(json.dumps(value))
    return load_description(folder / "run")


def _flag_files(folder: Path) -> object:
    """26 files, each of which includes the next one twice: 2 to the power of 26 lines."""
    for number in range(26):
        text = f"--flagfile={folder / f'{number + 1}.flags'}\n" * 2
        (folder / f"{number}.flags").write_text(text)
    (folder / "26.flags").write_text("--seed=1\n")
    return read_flag_file(folder / "0.flags")


def _zeros(count: int) -> Iterator[bytes]:
    for _ in range(count // _CHUNK):
        yield bytes(_CHUNK)


def _npz(path: Path, name: str) -> Path:
    header = {"descr": "<f4", "fortran_order": False, "shape": (_BOMB_BYTES // 4,)}
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(f"{name}.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_2_0(file, header)
        for chunk in _zeros(_BOMB_BYTES):
            file.write(chunk)
    return path


def _label_maps(folder: Path) -> object:
    path = run_files.label_maps_file(folder / "run")
    path.parent.mkdir(parents=True, exist_ok=True)
    _npz(path, "a-0")
    return load_label_map(folder / "run", "test", "a", 0)


def _deflated(path: Path) -> Path:
    """A slice whose private element holds gigabytes of zeros, deflated to a few MB."""
    ct_files.write_dicom(path, ct_files.phantom_hu()[2])
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    data = path.read_bytes()
    length = int.from_bytes(data[140:144], "little")
    start = 144 + length
    plain = zlib.decompress(data[start:], -zlib.MAX_WBITS)
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    with open(path, "wb") as file:
        file.write(data[:start])
        file.write(packer.compress(plain[:-1548]))
        # OB, private, of 2 GiB
        file.write(packer.compress(b"\x09\x00\x10\x10OB\0\0" + _BOMB_BYTES.to_bytes(4, "little")))
        for chunk in _zeros(_BOMB_BYTES):
            file.write(packer.compress(chunk))
        file.write(packer.flush())
    return path


def _nifti(folder: Path, shape: tuple[int, int, int]) -> object:
    """Gigabytes of zeros as voxels of a compressed file whose header states ``shape``."""
    stored, affine = ct_files.as_lps_file(ct_files.phantom_hu())
    plain = ct_files.write_nifti(folder / "plain.nii", stored, affine)
    header = bytearray(plain.read_bytes()[:352])
    header[42:48] = struct.pack("<3h", *shape)  # dim[1] to dim[3] of nifti1.h
    packer = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    path = folder / "volume.nii.gz"
    with open(path, "wb") as file:
        file.write(packer.compress(bytes(header)))
        for chunk in _zeros(_BOMB_BYTES):
            file.write(packer.compress(chunk))
        file.write(packer.flush())
    return read_nifti_volume(path)
