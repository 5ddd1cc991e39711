"""SEG and SR through the programs of dcmqi (``pip install dcmqi``), as 3D Slicer uses them."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

_FOLDERS = (str(Path(sys.executable).parent), os.environ.get("PATH", ""))
TID1500READER = shutil.which("tid1500reader", path=os.pathsep.join(_FOLDERS))


def _run(name: str, *arguments: str | Path) -> str:
    """Run a program of the package; returns its standard error."""
    command = [Path(TID1500READER).with_name(name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def read_report(path: Path, output: Path) -> dict:
    """What ``tid1500reader`` writes to ``output``, as JSON."""
    _run("tid1500reader", "--inputDICOM", path, "--outputMetadata", output)
    return json.loads(output.read_text())


def save_again(seg: Path, series: Path, edit, output: Path, folder: Path) -> str:
    """Read a SEG, edit the mask of each segment in place, and save them as a SEG.

    Returns:
      What the programs report.
    """
    reported = _run(
        *("segimage2itkimage", "--inputDICOM", seg, "--outputDirectory", folder),
        *("--outputType", "nrrd"),
    )
    images = sorted(folder.glob("*.nrrd"))
    for number, path in enumerate(images, start=1):
        header, _, data = path.read_bytes().partition(b"\n\n")
        assert b"encoding: gzip" in header
        fields = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
        kind = {"short": np.int16, "unsigned char": np.uint8}[fields["type"]]
        shape = [int(size) for size in fields["sizes"].split()][::-1]
        labels = np.frombuffer(gzip.decompress(data), kind).reshape(shape).copy()
        edit(number, labels)
        path.write_bytes(header + b"\n\n" + gzip.compress(labels.tobytes()))
    return reported + _run(
        *("itkimage2segimage", "--inputImageList", ",".join(map(str, images))),
        *("--inputDICOMDirectory", series, "--inputMetadata", folder / "meta.json"),
        *("--outputDICOM", output, "--skip"),
    )


def measured(group: dict) -> dict[str, float]:
    """Values of a group of ``Measurements`` by name, with the derivation if there is one."""
    values = {}
    for item in group["measurementItems"]:
        name = item["quantity"]["CodeMeaning"]
        if "derivationModifier" in item:
            name += f", {item['derivationModifier']['CodeMeaning']}"
        values[name] = float(item["value"])
    return values
