"""Finding the LiTS volumes and their label maps, as named by the challenge or the Decathlon."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from liver_tf.counted import counted
from liver_tf.ct.bad_input import bad_input
from liver_tf.ct.input_file import files_below
from liver_tf.refusals import Refusal

_CHALLENGE = re.compile(r"(volume|segmentation)-(\d{1,9})\.nii(?:\.gz)?", re.IGNORECASE)
#: nnU-Net appends the number of the channel to the names of volumes.
_DECATHLON = re.compile(r"liver_(\d{1,9})(_0000)?\.nii(?:\.gz)?", re.IGNORECASE)
_DECATHLON_FOLDERS = {"imagestr": "volume", "labelstr": "segmentation"}

#: LiTS 27 to 48 come from another public data set, 3D-IRCADb, and are kept together.
_IRCADB = range(27, 49)


@dataclass(frozen=True)
class LitsCase:
    """Number in LiTS, CT volume, and label map (0 background, 1 liver, 2 lesion)."""

    number: int
    volume: Path
    segmentation: Path


def find_lits_cases(folder: Path | str) -> tuple[list[LitsCase], list[Refusal]]:
    """Find all pairs below a folder, sorted by number.

    File names are ``volume-N.nii[.gz]`` with ``segmentation-N.nii[.gz]``, at any depth and also in
    different folders, or ``imagesTr/liver_N.nii[.gz]`` with ``labelsTr/liver_N.nii[.gz]``, the
    former also as ``liver_N_0000.nii[.gz]`` (nnU-Net). Hidden files, other names and links to
    folders are skipped.

    Returns:
      The pairs, and a refusal for every file without a counterpart: ``pair-no-segmentation``,
      ``pair-no-volume``, ``pair-duplicate`` (for each of the files that share a number),
      ``lits-empty``, ``file-missing`` (no such folder), ``file-unreadable`` (a folder that cannot
      be entered).
    """
    folder = Path(folder)
    if not folder.is_dir():
        return [], [bad_input("file-missing", folder, "a folder", "no such folder")]
    files: dict[int, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    refusals: list[Refusal] = []
    for path in files_below(folder, refusals):
        part = _part_and_number(path)
        if part is not None:
            files[part[1]][part[0]].append(path)
    if not files:
        empty = bad_input("lits-empty", folder, "files named as in LiTS", "none")
        return [], [*refusals, empty]
    cases = []
    for number in sorted(files):
        volumes, segmentations = files[number]["volume"], files[number]["segmentation"]
        if len(volumes) == 1 and len(segmentations) == 1:
            cases.append(LitsCase(number, volumes[0], segmentations[0]))
        else:
            refusals += _refuse_no_pair(volumes, segmentations)
    return cases, refusals


def source_group(number: int) -> str:
    """Group that stays together in a split: ``3D-IRCADb`` for LiTS 27 to 48, else ``lits-N``."""
    return "3D-IRCADb" if number in _IRCADB else f"lits-{number}"


def _part_and_number(path: Path) -> tuple[str, int] | None:
    match = _CHALLENGE.fullmatch(path.name)
    if match:
        return match[1].lower(), int(match[2])
    match = _DECATHLON.fullmatch(path.name)
    part = _DECATHLON_FOLDERS.get(path.parent.name.lower())
    if match is None or part is None or (match[2] and part == "segmentation"):
        return None
    return part, int(match[1])


def _refuse_no_pair(volumes: list[Path], segmentations: list[Path]) -> list[Refusal]:
    if len(volumes) > 1 or len(segmentations) > 1:
        counts = counted(len(volumes), "volume")
        counts += f" and {counted(len(segmentations), 'segmentation')}"
        return [
            bad_input("pair-duplicate", path, "one volume and one segmentation per number", counts)
            for path in volumes + segmentations
        ]
    if volumes:
        return [
            bad_input("pair-no-segmentation", volumes[0], "a segmentation with this number", "none")
        ]
    return [bad_input("pair-no-volume", segmentations[0], "a volume with this number", "none")]
