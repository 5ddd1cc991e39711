"""DICOM SEG codes of the classes: category, type and anatomic region (PS3.16). Add a type here.

Categories are from CID 7150 "Segmentation Property Category", types from CID 7154 "Abdominal
Segmentation Type" and CID 7159 "Lesion Segmentation Type", both part of CID 7151. Hemangioma is in
neither, and both are extensible; its code is that of CID 6030 and 6031. All are SNOMED CT
(``SCT``) codes as in DICOM Parts 3 and 16.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

#: Coding scheme of classes without a standard code. Private schemes begin with 99 (PS3.16, 8.2).
PRIVATE_SCHEME = "99LIVERTF"
PRIVATE_SCHEME_NAME = "Names in liver_tf: classes of a label set, measurements of lesion types"

#: Maximum characters of CodeValue and SegmentLabel (VR SH and LO, PS3.5 6.2).
_LONGEST_VALUE, _LONGEST_TEXT = 16, 64


@dataclass(frozen=True)
class Code:
    """A coded concept: value, scheme (``SCT``, ...) and meaning, ASCII."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class SegmentCodes:
    """SegmentLabel, SegmentedPropertyCategory and -Type of a class; anatomic region of a lesion."""

    label: str
    category: Code
    type: Code
    region: Code | None


ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
LIVER_STRUCTURE = Code("10200004", "SCT", "Liver")

#: Codes of lesion types by class name in lower case.
LESIONS = {
    "lesion": Code("52988006", "SCT", "Lesion"),
    "cyst": Code("367643001", "SCT", "Cyst"),
    "hemangioma": Code("400210000", "SCT", "Hemangioma"),
    "metastasis": Code("14799000", "SCT", "Neoplasm, Secondary"),
    "abscess": Code("44132006", "SCT", "Abscess"),
    "neoplasm": Code("108369006", "SCT", "Neoplasm"),
    "tumor": Code("108369006", "SCT", "Neoplasm"),
    "mass": Code("4147007", "SCT", "Mass"),
    "indeterminate": Code("52988006", "SCT", "Lesion"),
}


def codes_of(class_name: str) -> SegmentCodes:
    """The codes of a class of a label set: ``liver`` is the organ, any other name a lesion in it.

    An unknown name gets a private code (:data:`PRIVATE_SCHEME`) that depends on the name alone,
    with the name as its meaning.
    """
    label = _ascii(class_name)
    if class_name == "liver":
        return SegmentCodes(label, ANATOMICAL_STRUCTURE, LIVER_STRUCTURE, None)
    code = LESIONS.get(class_name.casefold())
    if code is None:
        code = Code(_private_value(class_name), PRIVATE_SCHEME, label)
    return SegmentCodes(label, ABNORMAL_STRUCTURE, code, LIVER_STRUCTURE)


def private_code(text: str, note: str = "") -> Code:
    """A private code that depends on both texts alone; the meaning is never without ``note``."""
    meaning = _ascii(text)[: _LONGEST_TEXT - len(note)] + note
    return Code(_private_value(text + note), PRIVATE_SCHEME, meaning)


def _ascii(name: str) -> str:
    """The name without accents, which the character set of a series may lack."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^\w .,()+/-]", "", plain).strip()[:_LONGEST_TEXT].strip()
    return plain or f"class {_digest(name)}"


def _private_value(name: str) -> str:
    """The name as a code value; names that are too long or could collide get a hash."""
    if re.fullmatch(r"[a-z0-9_-]{1,16}", name):
        return name
    slug = re.sub(r"[^a-z0-9]", "", _ascii(name).casefold())
    return f"{slug[: _LONGEST_VALUE - 9]}-{_digest(name)}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]
