"""Options of ``predict``. Needs no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from liver_tf import labels
from liver_tf.ct.reading_settings import ReadingSettings
from liver_tf.default_paths import PREDICTIONS
from liver_tf.inference.cascade_settings import ModelSettings
from liver_tf.labels import CLASS, LESIONS, VOXELS
from liver_tf.options import OptionError, Options, option, part


@dataclass(frozen=True)
class FindingSettings(Options):
    """How the findings of a scan are stated."""

    type_threshold: float = option(
        0.5,
        "A lesion is called indeterminate if its most likely type is less probable than this.",
        low=0,
        high=1,
    )
    label_map: str = option(
        LESIONS,
        "Classes in label map, DICOM SEG, overlays and page: one type per lesion, or the most "
        "likely type of each voxel.",
        choices=(LESIONS, VOXELS),
    )
    sr: bool = option(
        True,
        "Write the lesions of DICOM scans as a DICOM SR as well. Requires highdicom (extra "
        "dicom-seg), as the DICOM SEG does.",
    )
    segments: str = option(
        CLASS,
        "Segments of the DICOM SEG: one for each class, or one for each lesion and one for the "
        "liver.",
        choices=(CLASS, labels.LESION),
    )


@dataclass(frozen=True)
class ResultSettings(FindingSettings):
    """What is written for each scan."""

    skip_done: bool = option(
        True,
        "Keep finished results of the same scan with the same networks and settings in --output; "
        "with --noskip_done they are refused. The scan is read to compare its pixels.",
    )
    pictures: int = option(6, "Maximum number of overlay images for a scan.", low=0)
    paths_in_table: bool = option(
        False,
        "Also write each input's path into inputs.csv and index.html. Names of files and folders "
        "often identify a patient.",
    )


@dataclass(frozen=True, kw_only=True)
class PredictSettings(ModelSettings):
    """Options of ``predict``."""

    input: tuple[Path, ...] = option(
        (),
        "A NIfTI, NRRD or MetaImage volume, the folder of a DICOM series, or a DICOM slice; with "
        "wildcards (in quotes) all that match.",
        repeated=True,
    )
    input_list: Path | None = option(
        None,
        "Text file with one path per line, as for --input. Empty lines and lines starting with # "
        "are ignored.",
        empty_is_none=True,
    )
    output: Path = option(
        PREDICTIONS,
        "Folder of the results; each input gets a folder scan-001, scan-002, ... in it. Scans of "
        "later commands are added.",
    )
    reading: ReadingSettings = part(ReadingSettings)
    results: ResultSettings = part(ResultSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.input and self.input_list is None:
            raise OptionError(None, "name at least one scan with --input or --input_list")
        if self.output.exists() and not self.output.is_dir():
            raise OptionError("output", "expected a folder, found a file")
