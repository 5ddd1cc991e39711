"""How the program says no: a refusal names what was expected, what came and the remedy.

A refusal concerns one input; the others go on. Its text never holds patient data: the path is a
field of its own, and whoever prints the refusal decides whether the reader may see the path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class Refusal(Exception):
    """One input that cannot be trusted.

    Attributes:
      code: stable reason code in kebab-case, e.g. ``nifti-truncated``.
      path: the file or folder, or None.
      expected, came, remedy: the three parts of the message. None of them may hold file names,
        tag values that identify a patient, or anything else from an identifying field.
    """

    def __init__(
        self, code: str, path: Path | str | None, *, expected: str, came: str, remedy: str
    ) -> None:
        self.code = code
        self.path = None if path is None else Path(path)
        self.expected = expected
        self.came = came
        self.remedy = remedy
        super().__init__(self.text())

    def text(self) -> str:
        """The message without the path: safe for logs, manifests and shared reports."""
        return f"[{self.code}] expected {self.expected}; got {self.came}. {self.remedy}"

    def text_with_path(self) -> str:
        """The message with the path: for the terminal of the person who named the path."""
        return self.text() if self.path is None else f"{self.path}: {self.text()}"

    def to_json(self) -> dict[str, str]:
        """All but the path."""
        return {name: getattr(self, name) for name in ("code", "expected", "came", "remedy")}

    @classmethod
    def from_json(cls, value: dict[str, str], path: Path | str | None) -> Refusal:
        return cls(path=path, **value)

    def __reduce__(self):
        return (
            _rebuild_refusal,
            (self.code, self.path, self.expected, self.came, self.remedy),
        )


def _rebuild_refusal(code, path, expected, came, remedy):
    return Refusal(code, path, expected=expected, came=came, remedy=remedy)


class TrainingStopped(RuntimeError):
    """Training cannot go on; what was good is kept in the run's folder."""


@dataclass(frozen=True)
class Caution:
    """Something odd that was accepted, and how it was taken. Holds no patient data."""

    code: str
    text: str
