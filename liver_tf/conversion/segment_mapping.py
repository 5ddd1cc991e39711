"""What the segments of a DICOM SEG mean: from ``--segments`` to classes of a label set."""

from __future__ import annotations

from collections.abc import Sequence

from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.labels import LITS, LabelSet

#: (number, or label or code in lower case; class).
Segments = tuple[tuple[int | str, str], ...]

#: Codes as in DICOM PS3.16 (SNOMED CT, and its older form SRT): liver; mass, neoplasm, lesion.
DEFAULT_SEGMENTS = (
    "liver:liver",
    "SCT:10200004:liver",
    "SRT:T-62000:liver",
    "lesion:lesion",
    "tumor:lesion",
    "tumour:lesion",
    "SCT:4147007:lesion",
    "SRT:M-03000:lesion",
    "SCT:108369006:lesion",
    "SRT:M-8FFFF:lesion",
    "SCT:52988006:lesion",
    "SRT:M-01100:lesion",
)


def parse_segments(pairs: Sequence[str], lesion_types: LabelSet) -> tuple[LabelSet, Segments]:
    """The label set that the classes named belong to, and the class of each segment.

    Args:
      pairs: ``segment:class``; what follows the last colon is the class, so that a segment may be
        a code, ``scheme:value``. Digits alone are a segment's number.
      lesion_types: the label set to take where a class is a kind of lesion; else it is LiTS's.

    Raises:
      ValueError: with a text for the user.
    """
    known = dict.fromkeys((*LITS.classes, *lesion_types.classes))
    segments: dict[int | str, str] = {}
    for pair in pairs:
        segment, _, meaning = (part.strip() for part in pair.rpartition(":"))
        key = int(segment) if segment.isdecimal() else segment.casefold()
        if not segment or meaning not in known or key in segments:
            raise ValueError(
                f"expected each segment once, as number, name or scheme:code, then a colon and one "
                f"of {', '.join(known)}; got {pair!r}"
            )
        segments[key] = meaning
    kinds = {meaning for meaning in segments.values() if meaning not in LITS.classes}
    if kinds and "lesion" in segments.values():
        raise ValueError(
            "expected kinds of lesion or 'lesion', not both: name the kind of every lesion segment"
        )
    return lesion_types if kinds else LITS, tuple(sorted(segments.items(), key=repr))


def segments_text(segments: Segments, key: bytes) -> str:
    """The mapping for a manifest. Names of segments are free text and may tell of people: those
    that are not among the defaults become pseudonyms under the site key."""
    plain = {pair.rpartition(":")[0].casefold() for pair in DEFAULT_SEGMENTS}
    return ",".join(
        f"{name if isinstance(name, int) or name in plain else pseudonym(key, 'segment', name)}"
        f":{meaning}"
        for name, meaning in segments
    )
