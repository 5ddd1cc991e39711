"""Options of ``pack_weights``. Needs no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liver_tf.bundled_networks import FOLDER, LESION, LIVER, TYPED
from liver_tf.model.liver_rule import WHOLE_SLICE, ZOOM_LIMITS, LiverRule
from liver_tf.options import OptionError, Options, option


@dataclass(frozen=True, kw_only=True)
class PackSettings(Options):
    """Options of ``pack_weights``."""

    liver: Path | None = option(None, "Finished run of a liver network.", empty_is_none=True)
    lesion: Path | None = option(
        None, "Finished run of a lesion network: background, liver, lesion.", empty_is_none=True
    )
    typed: Path | None = option(
        None, "Finished run of a lesion network with lesion types.", empty_is_none=True
    )
    output: Path = option(FOLDER, "Folder of the networks.", shown_default="`liver_tf/weights`")
    command: str | None = option(None, "Command that trained the runs, for the model cards.")
    commit: str | None = option(
        None, "Commit of the program that trained the runs; default: that of this checkout."
    )
    least_area_mm2: float | None = option(
        None,
        "Post-processing of the lesion networks, in place of that of their runs: minimum area of "
        "a lesion's largest section in a slice.",
        low=0,
    )
    lesion_probability: float | None = option(
        None,
        "Post-processing of the lesion networks: minimum sum of the probabilities of all lesion "
        "types in a lesion pixel.",
        above=0,
        below=1,
    )
    least_height: float | None = option(
        None,
        "Post-processing of the lesion networks: minimum extent of a lesion through the slices, as "
        "a share of its diameter.",
        low=0,
        high=1,
    )
    rim_pixels: int | None = option(
        None,
        "Post-processing of the lesion networks: how far lesions may extend beyond the liver "
        "outline, in pixels of the liver network; -1: they must end one pixel inside it.",
        low=-1,
        high=1,
    )
    whole_liver: bool = option(
        False,
        "Post-processing of the lesion networks: label every pixel inside the liver outline as "
        "liver or lesion, even where the lesion network predicts background.",
    )
    liver_probability: float = option(
        WHOLE_SLICE.probability,
        "Liver network: a pixel is liver if its probability exceeds this.",
        above=0,
        below=1,
    )
    liver_zooms: tuple[float, ...] = option(
        WHOLE_SLICE.zooms,
        "Liver network: sizes of the views whose probabilities are averaged, as multiples of the "
        "square around the whole slice.",
        low=ZOOM_LIMITS[0],
        high=ZOOM_LIMITS[1],
    )
    notes: Path | None = option(
        None, "Markdown file to append to the model cards, e.g. further measures."
    )
    assume_phantom: bool = option(
        False,
        "Treat runs of earlier versions, which do not record the kind of their training data, as "
        "trained on phantoms only.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.runs():
            raise OptionError(None, "name at least one run with --liver, --lesion or --typed")
        try:
            self.liver_rule()
        except ValueError as error:
            raise OptionError("liver_zooms", str(error)) from None

    def postprocessing(self) -> dict[str, Any]:
        """Given values of the post-processing of lesion networks, by name."""
        names = ("least_area_mm2", "lesion_probability", "least_height", "rim_pixels")
        given = {name: getattr(self, name) for name in names}
        given["whole_liver"] = self.whole_liver or None
        return {name: value for name, value in given.items() if value is not None}

    def liver_rule(self) -> LiverRule:
        """The rule of the liver network."""
        return LiverRule(self.liver_probability, self.liver_zooms)

    def runs(self) -> dict[str, Path]:
        """The given runs by name of their network."""
        named = {LIVER: self.liver, LESION: self.lesion, TYPED: self.typed}
        return {name: run for name, run in named.items() if run is not None}
