"""Label sets: the class of each integer in a label map, and its line in pictures.

A new lesion type needs no change here: ``--lesion_types`` of ``build_tfrecords`` names the types of
a record set. Add its DICOM code to ``export/dicom_seg_codes.py``.
"""

from dataclasses import dataclass, replace

from liver_tf import palette

BACKGROUND = 0
LIVER = 1
MAX_CLASSES = 32
LONGEST_NAME = 100

#: Type of a lesion whose most likely type is not probable enough.
INDETERMINATE = "indeterminate"


@dataclass(frozen=True)
class LabelSet:
    """Class names by label: 0 is ``background``, 1 is ``liver``, the rest are lesion types."""

    name: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        problem = ""
        if self.classes[:2] != ("background", "liver"):
            problem = f"expected 'background', 'liver' as first classes; found {self.classes[:2]}"
        elif len(set(self.classes)) != len(self.classes):
            problem = f"a class is listed twice: {self.classes}"
        elif len(self.classes) > MAX_CLASSES + (INDETERMINATE in self.classes):
            problem = f"expected at most {MAX_CLASSES} classes, found {len(self.classes)}"
        elif max(map(len, self.classes)) > LONGEST_NAME:
            problem = f"expected names of at most {LONGEST_NAME} characters"
        if problem:
            raise ValueError(f"label set {self.name!r}: {problem}")

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def lesions(self) -> tuple[str, ...]:
        """Names of the lesion classes (all but background and liver)."""
        return self.classes[2:]

    @property
    def has_types(self) -> bool:
        """Whether lesions are divided into types, not only labelled as ``lesion``."""
        return self.lesions not in ((), ("lesion",))

    @property
    def lesion_labels(self) -> tuple[int, ...]:
        """Integers of the lesion classes."""
        return tuple(range(2, len(self.classes)))

    def index(self, name: str) -> int:
        """Integer of a class; raises ``ValueError`` for an unknown name."""
        try:
            return self.classes.index(name)
        except ValueError:
            raise ValueError(
                f"label set {self.name!r} has no class {name!r}; it has {', '.join(self.classes)}"
            ) from None

    def colour(self, label: int) -> str:
        """Hex colour of a class; raises ``ValueError`` for background, which has none."""
        if not 1 <= label < len(self.classes):
            raise ValueError(f"no colour for label {label} in label set {self.name!r}")
        if self.classes[label] == INDETERMINATE:
            return palette.INDETERMINATE
        return palette.class_colour(label)

    def dashes(self, label: int) -> tuple[float, ...]:
        """Dash pattern of a class in line widths, empty for a solid line (see ``palette``)."""
        if self.classes[label] == INDETERMINATE:
            return palette.INDETERMINATE_DASHES
        return palette.class_dashes(label)

    def with_indeterminate(self) -> "LabelSet":
        """The label set of label maps with one type per lesion: a last class is ``indeterminate``.

        Unchanged if there are no types to choose from.
        """
        if len(self.lesions) < 2 or INDETERMINATE in self.classes:
            return self
        return replace(self, classes=(*self.classes, INDETERMINATE))


LIVER_ONLY = LabelSet("liver", ("background", "liver"))
LITS = LabelSet("lits", ("background", "liver", "lesion"))
LESION_TYPES = LabelSet("lesion_types", ("background", "liver", "cyst", "hemangioma", "metastasis"))

#: What the lesion voxels of a label map state: the type of the lesion, or their own.
LESIONS, VOXELS = "lesions", "voxels"

#: What a segment of a DICOM SEG holds: all of a class, or one lesion.
CLASS, LESION = "class", "lesion"

#: Diagnosis of a slice without a lesion.
HEALTHY = "healthy"
