"""Whether two identifiers denote the same patient: one rule for DICOM, CSV and folders."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection

from liver_tf.counted import counted
from liver_tf.refusals import Caution


def patient_key(identifier: str) -> str:
    """The form in which identifiers of patients are compared.

    Spaces around and between words, upper and lower case, and an assigning authority after ``^``
    (HL7 v2 CX: ``PAT-0012^^^HOSPITAL``) do not matter. Empty for an empty identifier.
    """
    words = unicodedata.normalize("NFC", identifier).partition("^")[0].split()
    return " ".join(words).casefold().upper()


def similar_key(identifier: str) -> str:
    """Equal for identifiers that may be one patient: punctuation and leading zeros removed."""
    parts = re.findall(r"[^\W\d_]+|\d+", patient_key(identifier))
    return "".join(part.lstrip("0") or "0" if part.isdigit() else part for part in parts)


def common_spelling(spellings: Collection[str]) -> str:
    """The identifier of a patient that becomes a pseudonym: the only spelling, else the key.

    So pseudonyms remain those of earlier versions where the spellings in a data set agree.
    """
    first = min(spellings)
    return first if len(spellings) == 1 else patient_key(first)


def spelling_cautions(spellings: Collection[str]) -> tuple[Caution, ...]:
    """The caution ``patient-spelling`` if one patient has several spellings."""
    if len(spellings) < 2:
        return ()
    text = f"the patient's identifier is spelled in {len(spellings)} ways: they count as one"
    return (Caution("patient-spelling", text),)


def similar_patients(keys: Collection[str]) -> dict[str, tuple[Caution, ...]]:
    """For each key of a patient, the caution ``patient-similar`` if another one is nearly equal."""
    alike: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        alike[similar_key(key)].add(key)
    cautions = {}
    for key in keys:
        others = len(alike[similar_key(key)]) - 1
        text = (
            f"the patient's identifier equals that of {counted(others, 'other patient')} but for "
            "punctuation or leading zeros: check that they are different persons"
        )
        cautions[key] = (Caution("patient-similar", text),) * bool(others and similar_key(key))
    return cautions
