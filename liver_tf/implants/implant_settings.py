"""Options of ``implant``. Needs no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from liver_tf.bundled_networks import LIVER
from liver_tf.conversion.segment_mapping import DEFAULT_SEGMENTS, parse_segments
from liver_tf.labels import LESION_TYPES, LITS, LabelSet
from liver_tf.options import REQUIRED, OptionError, Options, option
from liver_tf.phantom.lesions import KINDS


@dataclass(frozen=True, kw_only=True)
class ImplantSettings(Options):
    """Options of ``implant``."""

    input: Path = option(
        REQUIRED,
        "Folder of the scans and their liver outlines: segmentation-N.nii[.gz] (1 liver, 2 "
        "lesions, which are kept), or DICOM SEG. With --liver_run, scans without an outline are "
        "used too.",
    )
    output: Path = option(REQUIRED, "New folder for the same files with implanted lesions.")
    liver_run: Path | None = option(
        None,
        "Run of the liver network that outlines livers without a segmentation, or bundled: the one "
        "in the package.",
        bundled=LIVER,
    )
    source: str = option(
        "lits",
        "lits: volume-N.nii[.gz]. series: DICOM series, one per folder; writes DICOM series with "
        "DICOM SEG, which contain the identity of the patients.",
        choices=("lits", "series"),
    )
    segments: tuple[str, ...] = option(
        DEFAULT_SEGMENTS, "series: meaning of the segments, as in build_tfrecords."
    )
    lesions: int = option(
        3, "Lesions per scan; fewer if the liver is too small for them.", low=1, high=20
    )
    types: tuple[str, ...] = option(
        ("untyped",),
        f"Kinds of lesions, with equal probability: {', '.join(KINDS)}. untyped: as in the "
        "phantom's LiTS-like volumes. In series, lesions are labelled by type, unless untyped is "
        "one of the kinds.",
    )
    near_vessels: bool = option(False, "Allow lesions on vessels; by default they avoid them.")
    mass_effect: bool = option(False, "Lesions displace the vessels around them.")
    seed: int = option(0, "Seed of all random numbers.", low=0, high=2**31 - 1)

    @property
    def label_set(self) -> LabelSet:
        """Label set of the output."""
        typed = self.source == "series" and set(self.types) <= set(LESION_TYPES.lesions)
        return LESION_TYPES if typed else LITS

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            parse_segments(self.segments, LESION_TYPES)
        except ValueError as error:
            raise OptionError("segments", str(error)) from None
        for kind in self.types:
            if kind not in KINDS:
                raise OptionError("types", f"expected {', '.join(KINDS)}, found {kind!r}")
        if not self.types:
            raise OptionError("types", "name at least one")
