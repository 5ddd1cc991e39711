"""Scans with results from an earlier command: kept if the same scan was predicted the same way.

Folders are numbered, so the folder of an input may hold the results of another scan, or those of
other networks or settings. Results are therefore kept only if ``lesions.json`` states the same
pixels, networks and settings; anything else is refused, never overwritten or taken for the input's.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from liver_tf.bounded_files import read_json
from liver_tf.counted import counted
from liver_tf.ct.scan import Scan
from liver_tf.export.lesions_csv import TYPE_NOTE, row_of_json
from liver_tf.export.scan_results import JSON, ScanResults
from liver_tf.refusals import Caution, Refusal

#: Entry of ``lesions.json``: ``scan_hash``.
SCAN_HASH = "scan_sha256"


def scan_hash(scan: Scan) -> str:
    """SHA-256 of the HU and the geometry of a scan, independent of names and file format."""
    digest = hashlib.sha256(f"{scan.hu.dtype} {scan.hu.shape} {scan.spacing_mm}".encode())
    digest.update(np.round(scan.affine, 3).astype(np.float64).tobytes())
    for each in scan.hu:  # slice by slice: no copy of the scan
        digest.update(each.tobytes())
    return digest.hexdigest()


def finished_results(folder: Path, scan: Scan, facts: Mapping[str, Any]) -> ScanResults:
    """The results in an existing folder.

    Args:
      facts: ``made_by``, ``method`` and ``layout`` as ``lesions.json`` would state them.

    Raises:
      Refusal: ``output-exists``: they are of another scan or made in another way, or the folder
        holds something else.
    """
    try:
        stored = read_json(folder / JSON)
        if SCAN_HASH not in stored:
            raise _refusal(folder, "results of an earlier version, which do not identify the scan")
        if stored[SCAN_HASH] != scan_hash(scan):
            raise _refusal(folder, "the results of another scan")
        differing = _differing(stored, facts)
        if differing:
            names = ", ".join(differing)
            raise _refusal(folder, f"results made with other networks or settings ({names})")
        note = (stored["trained_on"] or {}).get("types")
        rows = [{**row_of_json(lesion), TYPE_NOTE: note} for lesion in stored["lesions"]]
        cautions = tuple(Caution(**each) for each in stored["cautions"])
        text = (
            f"{folder}: kept, finished before: {counted(stored['slices'], 'slice')}, "
            f"{stored['headline']}"
        )
        status, diagnosis = stored["status"], stored["diagnosis"]
        return ScanResults(folder, status, diagnosis, rows, text, cautions, kept=True)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise _refusal(folder, "a folder without complete results") from None


def _differing(stored: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """The entries of ``facts`` that differ; without a model, nothing is equal."""
    if not facts["made_by"]["model"]:
        return ["unknown networks"]
    return [
        name
        for part in facts
        for name in {**stored[part], **facts[part]}
        if stored[part].get(name) != facts[part].get(name)
    ]


def _refusal(folder: Path, found: str) -> Refusal:
    return Refusal(
        "output-exists",
        folder,
        expected="no folder, or finished results of this scan with these networks and settings",
        found=found,
        remedy="Choose another --output, or delete the old results.",
    )
