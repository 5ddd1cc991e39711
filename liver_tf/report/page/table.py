"""A table of strings as Markdown or HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Headings and cells, all plain text; escaping is the renderers' business.

    Attributes:
      headers: one per column.
      rows: each as long as ``headers``.
      groups: headings that span columns, as (text, columns); empty for none.
      brief: what Markdown, which repeats a group in each of its columns, puts there instead of the
        groups' texts; empty for these themselves.
      words: whether the cells are text rather than figures.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()
    brief: tuple[str, ...] = ()
    words: bool = False

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.rows} | {len(self.headers)}
        if self.groups:
            widths.add(sum(columns for _, columns in self.groups))
        if len(widths) > 1:
            raise ValueError(f"expected rows as wide as the headers; got widths {sorted(widths)}")


def markdown_table(table: Table) -> str:
    """GitHub-flavoured Markdown; a group's text goes before the headings it spans."""
    headers = list(table.headers)
    column = 0
    texts = table.brief or tuple(text for text, _ in table.groups)
    for text, (_, columns) in zip(texts, table.groups, strict=True):
        for k in range(column, column + columns):
            headers[k] = f"{text} {headers[k]}".strip()
        column += columns
    lines = [headers, ["---"] + ["---:"] * (len(headers) - 1), *table.rows]
    return "\n".join("| " + " | ".join(_markdown_cell(c) for c in line) + " |" for line in lines)


def html_table(table: Table, cautions: Sequence[str] = ()) -> str:
    """An HTML table; the first column is a row heading, each group a spanning cell.

    A row or column whose heading holds one of ``cautions`` must not be read as the others: its row,
    or its heading, gets the class ``caution-cells``.
    """
    head = ""
    if table.groups:
        spans = "".join(
            f'<th colspan="{columns}">{html.escape(text)}</th>' for text, columns in table.groups
        )
        head += f"<tr>{spans}</tr>"
    if any(table.headers):
        cells = (
            f"<th{_class(_holds(cell, cautions), 'caution-cells')}>{html.escape(cell)}</th>"
            for cell in table.headers
        )
        head += f"<tr>{''.join(cells)}</tr>"
    body = "".join(
        f"<tr{_class(_holds(row[0], cautions), 'caution-cells')}>"
        f"{_html_cells('th', row[:1])}{_html_cells('td', row[1:])}</tr>"
        for row in table.rows
    )
    head = f"<thead>{head}</thead>" if head else ""
    return f"<table{_class(table.words, 'words')}>{head}<tbody>{body}</tbody></table>"


def _holds(cell: str, cautions: Sequence[str]) -> bool:
    return any(mark in cell for mark in cautions)


def _class(wanted: bool, name: str) -> str:
    return f' class="{name}"' if wanted else ""


def _markdown_cell(text: str) -> str:
    # A protocol is named by its user: a bar would split the cell, a tag would become markup.
    return html.escape(text, quote=False).replace("|", "\\|").replace("\n", " ")


def _html_cells(tag: str, cells: Sequence[str]) -> str:
    return "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
