"""Finding the pairs of LiTS, as the challenge delivers them or as the Medical Decathlon does."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from liver_tf.ct.input_file import unreadable
from liver_tf.refusals import Refusal

_CHALLENGE = re.compile(r"(volume|segmentation)-(\d{1,9})\.nii(?:\.gz)?", re.IGNORECASE)
_DECATHLON = re.compile(r"liver_(\d{1,9})\.nii(?:\.gz)?", re.IGNORECASE)
_DECATHLON_FOLDERS = {"imagestr": "volume", "labelstr": "segmentation"}

#: LiTS 27 to 48 were taken from another public set, 3D-IRCADb: kept together as one source.
_IRCADB = range(27, 49)


@dataclass(frozen=True)
class LitsCase:
    """One pair: number in LiTS, CT volume, label map (0 background, 1 liver, 2 lesion)."""

    number: int
    volume: Path
    segmentation: Path


def find_lits_cases(folder: Path | str) -> tuple[list[LitsCase], list[Refusal]]:
    """All pairs below a folder, by number, and a refusal for every file that makes no pair.

    Knows ``volume-N.nii[.gz]`` with ``segmentation-N.nii[.gz]``, in any depth and in different
    folders, and ``imagesTr/liver_N.nii[.gz]`` with ``labelsTr/liver_N.nii[.gz]``. Hidden files and
    other names are not looked at; links to folders are not followed.

    Refusal codes: ``pair-no-segmentation``, ``pair-no-volume``, ``pair-duplicate`` (one for each of
    the files that share a number), ``lits-empty``, ``file-missing`` (no such folder),
    ``file-unreadable`` (a folder that may not be entered).
    """
    folder = Path(folder)
    if not folder.is_dir():
        return [], [_refused("file-missing", folder, "a folder", "no such folder")]
    found: dict[int, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    refusals: list[Refusal] = []

    def cannot_enter(error: OSError) -> None:
        refusals.append(unreadable(Path(error.filename or folder)))

    for parent, subfolders, names in os.walk(folder, onerror=cannot_enter):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            part = _part_and_number(Path(parent), name)
            if part is not None:
                found[part[1]][part[0]].append(Path(parent) / name)
    if not found:
        empty = _refused("lits-empty", folder, "volumes and segmentations named as in LiTS", "none")
        return [], [*refusals, empty]
    cases = []
    for number in sorted(found):
        volumes, segmentations = found[number]["volume"], found[number]["segmentation"]
        if len(volumes) == 1 and len(segmentations) == 1:
            cases.append(LitsCase(number, volumes[0], segmentations[0]))
        else:
            refusals += _refuse_no_pair(volumes, segmentations)
    return cases, refusals


def source_group(number: int) -> str:
    """Group that must stay together in a split: ``3D-IRCADb`` for LiTS 27 to 48, else its own."""
    return "3D-IRCADb" if number in _IRCADB else f"lits-{number}"


def _part_and_number(parent: Path, name: str) -> tuple[str, int] | None:
    match = _CHALLENGE.fullmatch(name)
    if match:
        return match[1].lower(), int(match[2])
    match = _DECATHLON.fullmatch(name)
    part = _DECATHLON_FOLDERS.get(parent.name.lower())
    return (part, int(match[1])) if match and part else None


def _refuse_no_pair(volumes: list[Path], segmentations: list[Path]) -> list[Refusal]:
    if len(volumes) > 1 or len(segmentations) > 1:
        found = f"{len(volumes)} volume(s) and {len(segmentations)} segmentation(s)"
        return [
            _refused("pair-duplicate", path, "one volume and one segmentation of a number", found)
            for path in volumes + segmentations
        ]
    if volumes:
        return [
            _refused("pair-no-segmentation", volumes[0], "a segmentation of this number", "none")
        ]
    return [_refused("pair-no-volume", segmentations[0], "a volume of this number", "none")]


def _refused(code: str, path: Path, expected: str, found: str) -> Refusal:
    return Refusal(
        code,
        path,
        expected=expected,
        found=found,
        remedy="Give the folder with the pairs volume-N.nii[.gz] and segmentation-N.nii[.gz], or "
        "with imagesTr and labelsTr; each number once.",
    )
