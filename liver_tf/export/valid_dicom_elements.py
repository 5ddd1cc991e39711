"""Empty the elements of a data set whose values are not valid DICOM, so that they are not copied.

Archives keep values as they were entered: a date as 02.01.1950, a sex W, an identifier of 80
characters. Valid values are defined by PS3.5 6.2 (value representations) and 6.1 (characters),
PS3.6 (number of values) and, for some elements, PS3.3 (enumerated values).
"""

import unicodedata

import pydicom
from pydicom import charset, config
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR
from pydicom.multival import MultiValue
from pydicom.valuerep import format_number_as_ds, validate_value

#: Enumerated values (PS3.3 C.7.1.1, C.7.2.2, C.7.6.1.1.5).
_ENUMERATED = {
    "PatientSex": ("M", "F", "O"),
    "PatientIdentityRemoved": ("YES", "NO"),
    "QualityControlSubject": ("YES", "NO"),
    "PatientSexNeutered": ("ALTERED", "UNALTERED"),
    "SmokingStatus": ("YES", "NO", "UNKNOWN"),
    "LossyImageCompression": ("00", "01"),
}
#: Character sets with the default repertoire only.
_DEFAULT_REPERTOIRE = {"", "ISO_IR 6", "ISO 2022 IR 6"}
_TEXT = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
#: May contain line and page breaks.
_LONG_TEXT = ("LT", "ST", "UT")


def shorten_decimals(dataset: pydicom.Dataset) -> None:
    """Round decimal strings of more than 16 characters, which some programs write, to 16.

    The change is below 1e-13 of the value (PS3.5 6.2, DS).
    """
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            if element.VR != "DS" or element.is_empty:
                continue
            values = element.value if isinstance(element.value, MultiValue) else [element.value]
            texts = [str(value) for value in values]
            if any(len(text) > 16 for text in texts):
                short = [
                    text if len(text) <= 16 else format_number_as_ds(float(text)) for text in texts
                ]
                dataset[tag] = pydicom.DataElement(tag, "DS", short if len(short) > 1 else short[0])
        except Exception:  # an unreadable value, which empty_invalid empties
            continue


def empty_invalid(dataset: pydicom.Dataset) -> list[str]:
    """Empty the elements with invalid values, in place; returns their keywords.

    A sequence with one invalid element is invalid. Elements that are not in the dictionary
    (private elements, group lengths) are not checked.
    """
    wide = _has_wide_characters(dataset)
    keywords = []
    for tag in list(dataset.keys()):
        if not dictionary_has_tag(tag):
            continue
        try:
            good = _is_valid(dataset[tag], wide)
        except Exception:  # pydicom raises many types for unreadable values
            good = False
        if not good:
            dataset[tag] = pydicom.DataElement(tag, dictionary_VR(tag), None)
            keywords.append(pydicom.datadict.keyword_for_tag(tag))
    return keywords


def is_valid_uid(value: str) -> bool:
    """Whether a UID is valid (PS3.5 9.1): numbers without leading zeros, at most 64 characters."""
    return bool(value) and _fits("UI", value)


def _has_wide_characters(dataset: pydicom.Dataset) -> bool:
    """Whether a known character set beyond the default repertoire is specified."""
    try:
        value = dataset.get("SpecificCharacterSet") or ""
        names = {str(name) for name in (value if isinstance(value, MultiValue) else [value])}
    except Exception:  # an element that cannot be read
        return False
    return names <= charset.python_encoding.keys() and not names <= _DEFAULT_REPERTOIRE


def _is_valid(element: pydicom.DataElement, wide: bool) -> bool:
    if not dictionary_has_tag(element.tag):
        return True
    if element.VR not in dictionary_VR(element.tag).split(" or "):
        return False
    if element.VR == "SQ":
        return all(_is_valid(part, wide) for item in element.value for part in item)
    if element.is_empty:
        return True
    several = isinstance(element.value, MultiValue)
    if several and dictionary_VM(element.tag) == "1":
        return False
    values = element.value if several else [element.value]
    if element.keyword == "SpecificCharacterSet":
        return all(str(name) in charset.python_encoding for name in values)
    return all(_is_valid_value(element, value, wide) for value in values)


def _is_valid_value(element: pydicom.DataElement, value: object, wide: bool) -> bool:
    if element.VR in _TEXT and not _is_valid_text(str(value), element.VR, wide):
        return False
    plain = str(value) if isinstance(value, str) or element.VR in ("PN", "DS", "IS") else value
    return _fits(element.VR, plain) and plain in _ENUMERATED.get(element.keyword, (plain,))


def _is_valid_text(text: str, representation: str, wide: bool) -> bool:
    if not wide and not text.isascii():
        return False
    allowed = "\t\n\f\r" if representation in _LONG_TEXT else ""
    controls = any(unicodedata.category(c) == "Cc" and c not in allowed for c in text)
    # Decoding replaces bytes outside the character set by the replacement character.
    return "\N{REPLACEMENT CHARACTER}" not in text and not controls


def _fits(representation: str, value: object) -> bool:
    try:
        validate_value(representation, value, config.RAISE)
    except ValueError:
        return False
    return True
