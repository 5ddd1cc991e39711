"""Pages as GitHub-flavoured Markdown with linked pictures."""

import html
import os
from pathlib import Path
from urllib.parse import quote

from liver_tf.refusals import CONTROLS
from liver_tf.report.page.page_parts import (
    Alert,
    Bullets,
    Collapsible,
    DataLabel,
    Html,
    Note,
    Page,
    Paragraph,
    Part,
    Picture,
    SideBySide,
    Status,
    Table,
    TitledTable,
)


def render_markdown(page: Page, folder: Path) -> str:
    """The page as Markdown; pictures are linked relative to ``folder``.

    Raises:
      ValueError: the page has a part that only HTML can show (``Html``, a picture as bytes).
    """
    blocks = [f"# {escape(page.title)}", *(_render(part, folder) for part in page.opening)]
    for section in page.sections:
        blocks.append(f"## {escape(section.title)}")
        blocks += [_render(part, folder) for part in section.parts]
    return "\n\n".join(blocks) + "\n"


def markdown_table(table: Table) -> str:
    """One table as Markdown; the text of a group is repeated in front of the headers it spans."""
    headers = list(table.headers)
    column = 0
    texts = table.brief or tuple(text for text, _ in table.groups)
    for text, (_, columns) in zip(texts, table.groups, strict=True):
        for k in range(column, column + columns):
            headers[k] = f"{text} {headers[k]}".strip()
        column += columns
    lines = [headers, ["---"] + ["---:"] * (len(headers) - 1), *table.rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _render(part: Part, folder: Path) -> str:
    match part:
        case Paragraph(text) | Note(text):
            return escape(text)
        case Alert(text):
            return f"**CAUTION. {escape(text)}**"
        case Status(text):
            return f"**{escape(text)}**"
        case DataLabel(strong, text):
            return f"**{escape(strong)}** {escape(text)}"
        case Bullets(lines):
            return "\n".join(f"- {escape(line)}" for line in lines)
        case Table():
            return markdown_table(part)
        case TitledTable(title, table):
            return f"### {escape(title)}\n\n{markdown_table(table)}"
        case SideBySide(tables):
            return "\n\n".join(_render(table, folder) for table in tables)
        case Picture():
            target = quote(Path(os.path.relpath(part.path, folder)).as_posix())
            caption = escape(part.caption)
            return f"{caption}\n\n![{caption}]({target})"
        case Collapsible(title, parts):
            # Without the blank lines GitHub shows the tables inside as text.
            inside = "\n\n".join(_render(inner, folder) for inner in parts)
            summary = f"<summary>{html.escape(title)}</summary>"
            return f"<details>{summary}\n\n{inside}\n\n</details>"
        case Html():
            raise ValueError("expected a page without Html parts, which Markdown cannot show")


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    text = html.escape(text.translate(CONTROLS), quote=False)
    for mark in "\\*_`[]|":
        text = text.replace(mark, f"\\{mark}")
    return text


def _cell(text: str) -> str:
    # Users name protocols: a bar would split the cell, a tag would become markup.
    return html.escape(text, quote=False).replace("|", "\\|").replace("\n", " ")
