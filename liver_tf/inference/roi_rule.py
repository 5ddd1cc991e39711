"""How the liver becomes a region of interest. Needs no TensorFlow; ``roi_box`` applies it."""

from dataclasses import dataclass

from liver_tf.options import Options, option


@dataclass(frozen=True)
class RoiRule(Options):
    """How a liver mask becomes a square box. The margin keeps lesions at the rim inside."""

    margin_mm: float = option(15.0, "Margin around the liver in mm.", low=0)
    least_side_mm: float = option(
        120.0,
        "Smallest side of an ROI in mm, so that a small tip of the liver is not magnified.",
        above=0,
    )
    extent: str = option(
        "slice",
        "slice: one box for each slice. volume: one box for all slices of a scan.",
        choices=("slice", "volume"),
    )
