"""The parts of a page: content without markup, for HTML and Markdown alike.

Build a page from parts, then render it with ``render_html`` or ``render_markdown``:

    page = Page(
        "Does the data look right?",
        opening=(Status("12 cases of 9 patients read; none refused.", "good"),),
        sections=(
            Section("Cases", (Table(("case", "slices"), (("a1", "40"),)), Note("Pseudonyms."))),
            Section("Charts", (Picture(svg, "Liver volume", "image/svg+xml"),)),
        ),
    )
    write_text(folder / "page.html", render_html(page))
    write_text(folder / "page.md", render_markdown(page, folder))

All texts are plain; the renderers escape them. Markup that a part cannot express goes into
``Html``, which takes ``markupsafe.Markup`` only, so that unescaped text cannot slip in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from markupsafe import Markup


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Note:
    """A remark in small grey print."""

    text: str


@dataclass(frozen=True)
class Alert:
    """A warning to be read before anything else; red in HTML."""

    text: str


@dataclass(frozen=True)
class Status:
    """The outcome of a check in one sentence, green, yellow or red in HTML."""

    text: str
    level: Literal["good", "caution", "bad"]


@dataclass(frozen=True)
class DataLabel:
    """The data behind the figures: ``strong`` in bold, then an explanation."""

    strong: str
    text: str


@dataclass(frozen=True)
class Bullets:
    """A bullet list."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table; the first column is the row heading. Lines of a cell are separated by newlines.

    Attributes:
      headers: one per column; all empty for a table without a heading row.
      rows: each as long as ``headers``.
      groups: headings that span columns, as (text, number of columns); empty for none.
      brief: shorter texts for ``groups`` in Markdown, which repeats them in every column; empty to
        use the texts of ``groups``.
      words: whether the cells are text (left-aligned, wrapped) rather than figures.
      stacked: whether the cells of a row stand below its heading on a phone, each with its header.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()
    brief: tuple[str, ...] = ()
    words: bool = False
    stacked: bool = False

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.rows} | {len(self.headers)}
        if self.groups:
            widths.add(sum(columns for _, columns in self.groups))
        if len(widths) > 1:
            raise ValueError(f"expected rows as wide as the headers; got widths {sorted(widths)}")


@dataclass(frozen=True)
class TitledTable:
    """A table with a small heading."""

    title: str
    table: Table


@dataclass(frozen=True)
class SideBySide:
    """Small tables next to each other where there is room."""

    tables: tuple[TitledTable, ...]


@dataclass(frozen=True)
class Picture:
    """A picture with a caption, embedded in HTML and linked in Markdown.

    Attributes:
      source: the file, or its bytes (HTML only).
      caption: also the alternative text.
      media_type: ``image/png`` or ``image/svg+xml``.
    """

    source: Path | bytes
    caption: str
    media_type: str = "image/png"

    @property
    def path(self) -> Path:
        """The file; raises ``ValueError`` for a picture given as bytes."""
        if isinstance(self.source, bytes):
            raise ValueError(f"expected a picture in a file; got bytes for {self.caption!r}")
        return self.source


@dataclass(frozen=True)
class Collapsible:
    """Parts behind a heading to click on; always open in print."""

    title: str
    parts: tuple["Part", ...]


@dataclass(frozen=True)
class Html:
    """Trusted markup, for HTML pages only."""

    markup: Markup


Part = (
    Paragraph
    | Note
    | Alert
    | Status
    | DataLabel
    | Bullets
    | Table
    | TitledTable
    | SideBySide
    | Picture
    | Collapsible
    | Html
)


@dataclass(frozen=True)
class Section:
    """A heading and the parts below it. The navigation shows the title up to the first comma."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
      title: main heading.
      opening: parts above the first section: warnings, status, summary.
      sections: the rest.
      highlight: rows, columns and small headings whose name contains one of these texts are red
        in HTML.
      definition: text for the tooltip of a table's heading in HTML; empty for none.
      css: style rules in addition to ``page.css``, for ``Html`` parts.
      navigation: whether HTML gets a line of links to the sections.
    """

    title: str
    opening: tuple[Part, ...] = ()
    sections: tuple[Section, ...] = ()
    highlight: tuple[str, ...] = ()
    definition: Callable[[str], str] = lambda heading: ""
    css: str = ""
    navigation: bool = True
