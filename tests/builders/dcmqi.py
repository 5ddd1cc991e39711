"""Reports (TID 1500) read by ``tid1500reader`` of dcmqi (``pip install dcmqi``)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

_FOLDERS = (str(Path(sys.executable).parent), os.environ.get("PATH", ""))
TID1500READER = shutil.which("tid1500reader", path=os.pathsep.join(_FOLDERS))


def read_report(path: Path, output: Path) -> dict:
    """What the reader writes to ``output``, as JSON."""
    command = [TID1500READER, "--inputDICOM", path, "--outputMetadata", output]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(output.read_text())


def measured(group: dict) -> dict[str, float]:
    """Values of a group of ``Measurements`` by name, with the derivation if there is one."""
    values = {}
    for item in group["measurementItems"]:
        name = item["quantity"]["CodeMeaning"]
        if "derivationModifier" in item:
            name += f", {item['derivationModifier']['CodeMeaning']}"
        values[name] = float(item["value"])
    return values
