"""Maps the segments of a DICOM SEG to classes (``--segments``)."""

from collections.abc import Sequence

from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.labels import LITS, LabelSet

#: (segment number, or its label or code in lower case; class).
Segments = tuple[tuple[int | str, str], ...]

#: Codes of DICOM PS3.16 for liver, mass, neoplasm and lesion, in SNOMED CT and its older form SRT.
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
    """Parse ``--segments``, each ``segment:class``; the segment may be a code ``scheme:value``.

    Returns:
      ``lesion_types`` if a class is a lesion type, else the label set of LiTS; and the class of
      each segment.

    Raises:
      ValueError: with a message for the user.
    """
    known = dict.fromkeys((*LITS.classes, *lesion_types.classes))
    segments: dict[int | str, str] = {}
    for pair in pairs:
        segment, _, meaning = (part.strip() for part in pair.rpartition(":"))
        key = int(segment) if segment.isdecimal() else segment.casefold()
        if not segment or meaning not in known or key in segments:
            raise ValueError(
                f"expected each segment once, as number, name or scheme:code, followed by a colon "
                f"and one of {', '.join(known)}; got {pair!r}"
            )
        segments[key] = meaning
    types = {meaning for meaning in segments.values() if meaning not in LITS.classes}
    if types and "lesion" in segments.values():
        raise ValueError(
            "expected lesion types or 'lesion', not both: give the type of every lesion segment"
        )
    return lesion_types if types else LITS, tuple(sorted(segments.items(), key=repr))


def segments_text(segments: Segments, key: bytes) -> str:
    """The mapping for the manifest. Names may identify people: all but the defaults are hidden."""
    plain = {pair.rpartition(":")[0].casefold() for pair in DEFAULT_SEGMENTS}
    return ",".join(
        f"{name if isinstance(name, int) or name in plain else pseudonym(key, 'segment', name)}"
        f":{meaning}"
        for name, meaning in segments
    )
