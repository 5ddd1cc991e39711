"""The augmentation preview: slices of a record set as training would augment them."""

from dataclasses import dataclass
from pathlib import Path

from liver_tf.model.architecture import Architecture
from liver_tf.options import REQUIRED, OptionError, Options, option, part
from liver_tf.pipeline.augmentation.ranges import Augmentation


@dataclass(frozen=True, kw_only=True)
class PreviewSettings(Options):
    """Options of the preview."""

    records: Path = option(REQUIRED, "Folder of a record set.")
    output: Path = option(Path("preview.png"), "The picture, a PNG.")
    slices: int = option(4, "Rows: slices.", low=1, high=20)
    versions: int = option(5, "Columns: epochs.", low=1, high=12)
    image_size: int = option(
        Architecture.image_size, "Side of the network's input in pixels.", low=16, high=1024
    )
    seed: int = option(0, "Seed, as in training.", low=0, high=2**31 - 1)
    augmentation: Augmentation = part(Augmentation)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output.suffix.lower() != ".png":
            message = f"expected a name that ends with .png, found {self.output.name!r}"
            raise OptionError("output", message)


def draw_preview(settings: PreviewSettings) -> int:
    """Draw the slices into a PNG; returns their number.

    Raises:
      OptionError: The augmentation does not fit the labels.
      Refusal: The records cannot be used, or the picture cannot be written.
    """
    from liver_tf.disk_full import write_errors_as_refusals
    from liver_tf.inspection.augmentation_sheet import draw_sheet, make_rows
    from liver_tf.pipeline.slices import Slices
    from liver_tf.records.manifest import load_manifest
    from liver_tf.records.shard_reader import check_shards

    manifest = load_manifest(settings.records)
    ranges = settings.augmentation.for_labels(manifest.label_set)
    cases = tuple(entry.case for entry in manifest.cases)
    check_shards(settings.records, manifest)
    mapping = tuple(range(len(manifest.label_set)))
    slices = Slices(settings.records, manifest, cases, settings.image_size, mapping)
    rows = make_rows(
        slices, ranges, seed=settings.seed, rows=settings.slices, epochs=settings.versions
    )
    side = settings.image_size
    note = f"seed {settings.seed}, {side} x {side} pixels; positive rotations are anticlockwise"
    if settings.augmentation.lesion_safe:
        note += "; moderated to keep lesions"
    with write_errors_as_refusals(settings.output):
        draw_sheet(rows, manifest.label_set, manifest.window, settings.output, note)
    return len(rows)
