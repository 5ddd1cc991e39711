"""Options of ``transfer_study``. Needs no TensorFlow."""

import os
from dataclasses import dataclass
from pathlib import Path

from liver_tf.bundled_networks import LIVER
from liver_tf.options import OptionError, Options, option, part
from liver_tf.studies.grid import PROTOCOLS
from liver_tf.studies.transfer.scan_split import ENDS, HEAD, SplitDistances

#: Variable with the folder of real data, as in the tests.
DATA_VARIABLE = "LIVER_TF_REAL_DATA"

#: Beside the checkout.
_DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"

_FROM_SCRATCH = ("baseline", "flags/study/baseline_long.flags")


@dataclass(frozen=True, kw_only=True)
class TransferSettings(Options):
    """Options of ``transfer_study``."""

    folder: Path = option(Path("transfer_study"), "Folder for everything except the report.")
    output: Path = option(Path("transfer_study/report"), "Folder for transfer.md and its pictures.")
    data: Path | None = option(
        None,
        "Folder with volume-3.nii.gz and segmentation-3.nii.gz of CHAOS. Default: chaos_ct3 in the "
        f"folder given by {DATA_VARIABLE}, else in ../shared/data.",
    )
    pretrained: Path = option(
        Path("phantom_study/runs/liver"),
        "Run of the liver network that was trained on phantoms, or bundled.",
        bundled=LIVER,
    )
    settings: Path = option(
        Path("flags/study/transfer.flags"), "Flag file with the settings of all trainings."
    )
    protocols: tuple[str, ...] = option(
        (*_FROM_SCRATCH, *(name for name in PROTOCOLS if name not in _FROM_SCRATCH)),
        "Protocols, as for liver-tf reproduce.",
    )
    seeds: tuple[int, ...] = option((0, 1, 2), "Training seeds.", low=0)
    slices: tuple[int, ...] = option((4, 8, 16), "Numbers of training slices.", low=0)
    ends: tuple[str, ...] = option(
        (HEAD,),
        "End of the liver used for training; the other end can be added later.",
        choices=ENDS,
        repeated=True,
    )
    distances: SplitDistances = part(SplitDistances)
    validation_slices: int = option(3, "Number of validation slices.", low=2)
    report_only: bool = option(False, "Write the report of the finished networks, then exit.")
    workers: int = option(2, "Number of networks trained in parallel.", low=1)

    def scan_files(self) -> tuple[Path, Path]:
        """The scan and its segmentation; raises ``OptionError`` if they are missing."""
        folder = self.data or Path(os.environ.get(DATA_VARIABLE, _DATA)) / "chaos_ct3"
        files = folder / "volume-3.nii.gz", folder / "segmentation-3.nii.gz"
        if not all(file.is_file() for file in files):
            names = " and ".join(file.name for file in files)
            raise OptionError("data", f"expected the CHAOS scan as {names} in {folder}")
        return files
