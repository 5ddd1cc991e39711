"""Errors that concern one input (``Refusal``), and notes on accepted input (``Caution``)."""

import os
from dataclasses import dataclass
from pathlib import Path

#: The escapes that are shown in place of control characters, line separators, and marks that change
#: the direction of text; by character code.
CONTROLS = {
    code: chr(code).encode("unicode_escape").decode()
    for first, last in ((0, 31), (127, 159), (0x200E, 0x200F), (0x2028, 0x202E), (0x2066, 0x2069))
    for code in range(first, last + 1)
}


def printable(path: Path | str) -> str:
    """A path as text; control characters and bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace").translate(CONTROLS)


class Refusal(Exception):
    """One input that the program does not process; the remaining inputs are processed.

    Printed as ``PATH: [CODE] expected EXPECTED; found FOUND. REMEDY``. ``expected``, ``found`` and
    ``remedy`` are copied to manifests and shared reports: they must not contain file names,
    identifying tag values or other patient data.

    Attributes:
      code: Stable reason code in kebab-case, such as ``nifti-truncated``.
      path: File or folder, if any.
      expected, found: Noun phrases, such as "5 cells".
      remedy: What the user can do, in complete sentences.
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
        """The message without the path, for logs, manifests and shared reports."""
        text = f"[{self.code}] expected {self.expected}; found {self.found}. {self.remedy}"
        return text.translate(CONTROLS)

    def text_with_path(self) -> str:
        """The message with the path, for the user's terminal."""
        return self.text() if self.path is None else f"{printable(self.path)}: {self.text()}"

    def to_json(self) -> dict[str, str]:
        """Everything except the path. ``found`` has the key ``came``, as in earlier versions."""
        return {
            "code": self.code,
            "expected": self.expected,
            "came": self.found,
            "remedy": self.remedy,
        }

    @classmethod
    def from_json(cls, value: dict[str, str], path: Path | str | None) -> "Refusal":
        """The inverse of ``to_json``."""
        texts = {key: value[key] for key in ("expected", "remedy")}
        return cls(value["code"], path, found=value["came"], **texts)

    def __reduce__(self) -> tuple[object, ...]:
        return Refusal.from_json, (self.to_json(), self.path)


def worker_died() -> Refusal:
    """The refusal ``worker-died``, for a command whose worker process was killed."""
    return Refusal(
        "worker-died",
        None,
        expected="worker processes that finish their case",
        found="one that was killed, as happens when memory runs out",
        remedy="Lower --workers and run the same command again: finished cases are kept.",
    )


class TrainingStopped(RuntimeError):
    """Training ended early; the run folder keeps everything that was finished."""


@dataclass(frozen=True)
class Caution:
    """A note on input that was accepted, and how it was interpreted. Holds no patient data."""

    code: str
    text: str
