"""Options of anatomical data augmentation. Needs no TensorFlow.

The method (arXiv 1801.02261): a network trained on the annotated slices labels adjacent ones;
predicted lesions that overlap an annotated one are kept; a network is trained on both. The options
are details that the publications leave open.
"""

from dataclasses import dataclass
from pathlib import Path

from liver_tf.bundled_networks import LIVER
from liver_tf.default_paths import LIVER_RUN, ROI_RECORDS, WHOLE_RECORDS
from liver_tf.inference.decision_rules import ARGMAX, DECISIONS
from liver_tf.options import REQUIRED, OptionError, Options, option, part

#: How a predicted lesion that does not overlap an annotated one is handled.
AS_LIVER, DROP_SLICE = OTHER_LESIONS = ("liver", "drop")


@dataclass(frozen=True, kw_only=True)
class LabelRule(Options):
    """Which predicted lesions of a neighbour are kept, and how they are labelled."""

    least_overlap: float = option(
        0.5,
        "Neighbours: minimum share of a predicted lesion that must lie on an annotated lesion; the "
        "predicted lesion then gets that lesion's type.",
        above=0,
        high=1,
    )
    other_lesions: str = option(
        AS_LIVER,
        "Neighbours: other predicted lesions. liver: label them as liver. drop: do not use the "
        "neighbour.",
        choices=OTHER_LESIONS,
    )
    label_decision: str = option(
        ARGMAX,
        "Neighbours: decision rule of the network that labels them. argmax: without "
        "post-processing, as the annotated lesion already excludes false positives. threshold: "
        "with the post-processing chosen for its run.",
        choices=DECISIONS,
    )
    healthy_neighbours: bool = option(
        True, "Use the neighbours of healthy slices, labelled without lesions."
    )


@dataclass(frozen=True, kw_only=True)
class AugmentSettings(Options):
    """Options of ``augment_anatomically``."""

    run: Path = option(
        REQUIRED, "Fine-tuned run that labels the neighbours of its training slices."
    )
    output: Path = option(REQUIRED, "Folder of the extended record set of ROIs.")
    liver_run: Path = option(LIVER_RUN, "Run of the liver network, or bundled.", bundled=LIVER)
    records: Path = option(WHOLE_RECORDS, "Record set of whole slices with neighbours.")
    roi_records: Path = option(ROI_RECORDS, "Record set of ROIs to be extended.")
    truth: Path | None = option(
        None,
        "Phantoms: record set of the neighbours with their true labels, to measure the generated "
        "labels. It affects no label.",
        empty_is_none=True,
    )
    rule: LabelRule = part(LabelRule)
    pictures: int = option(
        100, "Maximum number of neighbours shown on the page, used or not.", low=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        inputs = (self.run, self.liver_run, self.records, self.roi_records, self.truth)
        if self.output.resolve() in {path.resolve() for path in inputs if path}:
            raise OptionError("output", "must differ from all input folders")
