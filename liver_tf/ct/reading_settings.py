"""Options of everything that reads CT files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from liver_tf.ct.bad_input import bad_input
from liver_tf.options import Options, option
from liver_tf.refusals import Caution


@dataclass(frozen=True)
class ReadingSettings(Options):
    """How irregular input is treated."""

    allow_damaged: bool = option(
        False,
        "DICOM series: skip slices that cannot be read (damaged, missing, a dangling link), with a "
        "caution. By default such a series is refused.",
    )
    strict: bool = option(
        False, "Refuse input that would be accepted with a caution; the exit status is then 1."
    )


AS_USUAL = ReadingSettings()


def refuse_cautions(cautions: Iterable[Caution], path: Path) -> None:
    """With ``strict``: raise ``Refusal`` ``caution`` if there are any."""
    codes = sorted({caution.code for caution in cautions})
    if codes:
        raise bad_input("caution", path, "input without cautions (--strict)", ", ".join(codes))
