"""Whether a finding can be a liver lesion: a caution that needs no reference mask."""

from collections.abc import Sequence

from liver_tf.inference.lesion_properties import DetectedLesion
from liver_tf.refusals import Caution

#: Fat is below -30 HU; the mean of a lesion with much fat, or of fat and liver together, is lower
#: than that of water. Lipomas and angiomyolipomas are rare exceptions.
LEAST_MEAN_HU = -10.0
#: Above enhancing tissue and blood in any phase: calcium, metal, lipiodol, contrast in bowel.
LARGEST_MEAN_HU = 250.0


def lesion_cautions(lesions: Sequence[DetectedLesion]) -> tuple[Caution, ...]:
    """``lesion-hu`` if the mean HU of a finding is that of fat, calcium or metal; else none."""
    texts = []
    for limit, tissue, found in (
        (f"below {LEAST_MEAN_HU:g}", "fat", [x for x in lesions if x.mean_hu < LEAST_MEAN_HU]),
        (
            f"above {LARGEST_MEAN_HU:g}",
            "calcium, metal or a contrast agent",
            [x for x in lesions if x.mean_hu > LARGEST_MEAN_HU],
        ),
    ):
        if found:
            each = ", ".join(f"{x.number} ({x.mean_hu:.0f} HU)" for x in found)
            word = "finding" if len(found) == 1 else "findings"
            texts.append(f"mean {limit} HU, as {tissue} has, in {word} {each}")
    if not texts:
        return ()
    return (Caution("lesion-hu", f"{'; '.join(texts)}: probably no liver lesion."),)
