"""Whether the HU of a finding are plausible for a liver lesion; needs no reference mask."""

from collections.abc import Sequence

from liver_tf.inference.lesion_properties import DetectedLesion
from liver_tf.refusals import Caution

#: Fat is below -30 HU, so a finding with much fat, or with fat and liver, has a lower mean than
#: water. Among liver lesions this is rare: lipomas and angiomyolipomas.
LEAST_MEAN_HU = -10.0
#: Above enhancing tissue and blood in any phase: calcium, metal, lipiodol, contrast in the bowel.
LARGEST_MEAN_HU = 250.0


def lesion_cautions(lesions: Sequence[DetectedLesion]) -> tuple[Caution, ...]:
    """``lesion-hu`` if the mean HU of a finding is that of fat, calcium or metal; else none."""
    dark = [lesion for lesion in lesions if lesion.mean_hu < LEAST_MEAN_HU]
    bright = [lesion for lesion in lesions if lesion.mean_hu > LARGEST_MEAN_HU]
    if not (dark or bright):
        return ()
    texts = [
        f"{_named(found)} as {tissue}"
        for found, tissue in (
            (dark, "dark as fat or gas"),
            (bright, "bright as calcium, metal or a contrast agent"),
        )
        if found
    ]
    which = "it is a liver lesion" if len(dark) + len(bright) == 1 else "they are liver lesions"
    return (Caution("lesion-hu", f"{'; '.join(texts)}: check whether {which}."),)


def _named(lesions: Sequence[DetectedLesion]) -> str:
    """``finding 2 (mean -29 HU) is``."""
    each = [f"{lesion.number} (mean {lesion.mean_hu:.0f} HU)" for lesion in lesions]
    if len(each) == 1:
        return f"finding {each[0]} is"
    return f"findings {', '.join(each[:-1])} and {each[-1]} are"
