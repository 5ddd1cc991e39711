"""What a page is made of, before it is laid out as HTML or Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from liver_tf.report.findings import Picture
from liver_tf.report.page.table import Table


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Caution:
    """A paragraph that must be read first; in HTML red."""

    text: str


@dataclass(frozen=True)
class Label:
    """What the figures were measured on: ``strong``, then an explanation."""

    strong: str
    text: str


@dataclass(frozen=True)
class Items:
    """A list of lines."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Titled:
    """A table under a small heading of its own."""

    title: str
    table: Table


@dataclass(frozen=True)
class Beside:
    """Small tables that stand beside each other where there is room."""

    tables: tuple[Titled, ...]


@dataclass(frozen=True)
class Folded:
    """Parts that are shown on demand; in print they are always."""

    title: str
    parts: tuple[Part, ...]


Part = Text | Caution | Label | Items | Table | Titled | Beside | Picture | Folded


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    parts: tuple[Part, ...]
