"""What a scan's results amount to, so that a scan without liver is not taken for a healthy one."""

from __future__ import annotations

#: The whole of a scan in a word, as tables and JSON tell it.
LESIONS, NO_LESION, NO_LIVER = "lesions-found", "no-lesion-found", "no-liver-found"

NO_LIVER_TITLE = "no liver found: not the same as a healthy liver"
NO_LIVER_WARNING = (
    "The liver network found no liver, so no lesion was looked for and nothing is known of any. "
    "Check that the scan shows the liver, in Hounsfield units and the right way up; read it as "
    "one that was not examined."
)


def status_of(liver_found: bool, lesions: int) -> str:
    """``lesions-found``, ``no-lesion-found`` or ``no-liver-found``, from the count of lesions."""
    if lesions:
        return LESIONS
    return NO_LESION if liver_found else NO_LIVER
