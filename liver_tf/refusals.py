"""The errors that concern one input (``Refusal``) and the notes on accepted input (``Caution``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class Refusal(Exception):
    """An input that the program does not process.

    It concerns one input; the remaining inputs are processed. The printed form is
    ``PATH: [CODE] expected EXPECTED; found FOUND. REMEDY``.

    Attributes:
      code: Stable reason code in kebab-case, such as ``nifti-truncated``.
      path: The file or folder, or None.
      expected: What the program needs, as a noun phrase: "5 cells".
      found: What the input has instead, as a noun phrase.
      remedy: What the user can do, in whole sentences.

    ``expected``, ``found`` and ``remedy`` go into manifests and shared reports. None of them may
    hold file names, tag values that identify a patient, or other patient data.
    """

    def __init__(
        self, code: str, path: Path | str | None, *, expected: str, found: str, remedy: str
    ) -> None:
        self.code = code
        self.path = None if path is None else Path(path)
        self.expected = expected
        self.found = found
        self.remedy = remedy
        super().__init__(self.text())

    def text(self) -> str:
        """The message without the path: safe for logs, manifests and shared reports."""
        return f"[{self.code}] expected {self.expected}; found {self.found}. {self.remedy}"

    def text_with_path(self) -> str:
        """The message with the path: for the terminal of the person who named the path."""
        return self.text() if self.path is None else f"{self.path}: {self.text()}"

    def to_json(self) -> dict[str, str]:
        """All but the path. The key of ``found`` is ``came``, as in files of earlier versions."""
        return {
            "code": self.code,
            "expected": self.expected,
            "came": self.found,
            "remedy": self.remedy,
        }

    @classmethod
    def from_json(cls, value: dict[str, str], path: Path | str | None) -> Refusal:
        """The inverse of ``to_json``."""
        return _rebuild_refusal(
            value["code"], path, value["expected"], value["came"], value["remedy"]
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_refusal, (self.code, self.path, self.expected, self.found, self.remedy))


def _rebuild_refusal(
    code: str, path: Path | str | None, expected: str, found: str, remedy: str
) -> Refusal:
    return Refusal(code, path, expected=expected, found=found, remedy=remedy)


class TrainingStopped(RuntimeError):
    """Training ended early; the run folder keeps everything that was finished."""


@dataclass(frozen=True)
class Caution:
    """A note on input that was accepted, and how it was interpreted. Holds no patient data."""

    code: str
    text: str
