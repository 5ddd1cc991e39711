"""Whether two identifiers denote the same patient: one rule for DICOM, CSV and folders."""

import re
import unicodedata


def patient_key(identifier: str) -> str:
    """The form in which identifiers of patients are compared and turned into pseudonyms.

    Spaces around and between words, upper and lower case, and an assigning authority after ``^``
    (HL7 v2 CX: ``PAT-0012^^^HOSPITAL``) do not matter. Empty for an empty identifier.
    """
    words = unicodedata.normalize("NFC", identifier).partition("^")[0].split()
    return " ".join(words).casefold().upper()


def similar_key(identifier: str) -> str:
    """Equal for identifiers that may be one patient: punctuation and leading zeros removed."""
    parts = re.findall(r"[^\W\d_]+|\d+", patient_key(identifier))
    return "".join(part.lstrip("0") or "0" if part.isdigit() else part for part in parts)
