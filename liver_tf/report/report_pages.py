"""How a report is laid out, as Markdown and as one HTML file without outside references."""

from __future__ import annotations

import base64
import html
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from liver_tf import run_files
from liver_tf.report.findings import Picture
from liver_tf.report.page.page_parts import (
    Beside,
    Caution,
    Folded,
    Items,
    Label,
    Part,
    Text,
    Titled,
)
from liver_tf.report.page.table import Table, html_table, markdown_table
from liver_tf.report.sections import opening, sections_of
from liver_tf.results.stored_results import LOOSE

if TYPE_CHECKING:
    from liver_tf.report.findings import Findings

#: A protocol or run whose name holds one of these is marked in red wherever it stands.
_CAUTIONS = (LOOSE, run_files.VALIDATED_ON_TEST)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.4rem;
     border-bottom: 1px solid #d0d0d0; padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
p, li { max-width: 62rem; }
.caution { background: #fde0df; border-left: 4px solid #c00000; color: #a00000;
           padding: .6rem 1rem; }
.data { background: #fff4d6; border-left: 4px solid #d99a00; padding: .6rem 1rem; }
nav { font-size: .9rem; } nav a { margin-right: .9rem; white-space: nowrap; color: #0b5394; }
.scroll { overflow-x: auto; }
.beside { display: flex; flex-wrap: wrap; gap: 0 2rem; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums;
        font-size: .9rem; }
th, td { border: 1px solid #d0d0d0; padding: .2rem .45rem; text-align: right;
         white-space: nowrap; }
thead th { background: #f2f2f2; text-align: center; } tbody th { text-align: left; }
tbody th { font-weight: 600; white-space: normal; min-width: 8rem; max-width: 22rem; }
table.words tbody th { min-width: 13rem; }
table.words td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
tr.caution-cells > *, .caution-cells { background: #fde0df; color: #a00000; }
details { margin: .8rem 0; } summary { cursor: pointer; color: #0b5394; font-weight: 600; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; } figcaption { color: #555; }
@media print {
  body { max-width: none; margin: 0; font-size: 10pt; }
  details::details-content { content-visibility: visible; height: auto; }
  nav { display: none; } .scroll { overflow: visible; }
  table { font-size: 7.5pt; } th, td { padding: .1rem .25rem; }
  figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""


def markdown_page(findings: Findings, folder: Path) -> str:
    """The report as Markdown; pictures are linked relative to ``folder``."""
    blocks = [f"# {_markdown_text(findings.title)}"]
    blocks += [_markdown(part, folder) for part in opening(findings)]
    for section in sections_of(findings):
        blocks.append(f"## {_markdown_text(section.title)}")
        blocks += [_markdown(part, folder) for part in section.parts]
    return "\n\n".join(blocks) + "\n"


def _markdown(part: Part, folder: Path) -> str:
    match part:
        case Text(text):
            return _markdown_text(text)
        case Caution(text):
            return f"**CAUTION. {_markdown_text(text)}**"
        case Label(strong, text):
            return f"**{_markdown_text(strong)}** {_markdown_text(text)}"
        case Items(lines):
            return "\n".join(f"- {_markdown_text(line)}" for line in lines)
        case Table():
            return markdown_table(part)
        case Titled(title, table):
            return f"### {_markdown_text(title)}\n\n{markdown_table(table)}"
        case Beside(tables):
            return "\n\n".join(_markdown(one, folder) for one in tables)
        case Picture(path, caption):
            target = quote(Path(os.path.relpath(path, folder)).as_posix())
            caption = _markdown_text(caption)
            return f"{caption}\n\n![{caption}]({target})"
        case Folded(title, parts):
            inside = "\n\n".join(_markdown(one, folder) for one in parts)
            summary = f"<summary>{html.escape(title)}</summary>"
            return f"<details>{summary}\n\n{inside}\n\n</details>"


def _markdown_text(text: str) -> str:
    text = html.escape(text, quote=False)
    for mark in "\\*_`[]":
        text = text.replace(mark, f"\\{mark}")
    return text


def html_page(findings: Findings) -> str:
    """The report as one HTML file: style and pictures inside, no script, nothing to fetch."""
    title = html.escape(findings.title)
    sections = sections_of(findings)
    links = " ".join(
        f'<a href="#s{number}">{html.escape(section.title.split(", ")[0])}</a>'
        for number, section in enumerate(sections)
    )
    body = [f"<h1>{title}</h1>", *map(_html, opening(findings)), f"<nav>{links}</nav>"]
    for number, section in enumerate(sections):
        body.append(f'<h2 id="s{number}">{html.escape(section.title)}</h2>')
        body += map(_html, section.parts)
    # The empty icon keeps a browser from asking for /favicon.ico.
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{title}</title><style>{_STYLE}</style></head>\n'
        "<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _html(part: Part) -> str:
    match part:
        case Text(text):
            return f"<p>{html.escape(text)}</p>"
        case Caution(text):
            return f'<p class="caution"><strong>Caution.</strong> {html.escape(text)}</p>'
        case Label(strong, text):
            return f'<p class="data"><strong>{html.escape(strong)}</strong> {html.escape(text)}</p>'
        case Items(lines):
            return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"
        case Table():
            return f'<div class="scroll">{html_table(part, _CAUTIONS)}</div>'
        case Titled(title, table):
            red = ' class="caution-cells"' if any(mark in title for mark in _CAUTIONS) else ""
            return f"<div><h3{red}>{html.escape(title)}</h3>{_html(table)}</div>"
        case Beside(tables):
            return f'<div class="beside">{"".join(map(_html, tables))}</div>'
        case Picture(path, caption):
            caption = html.escape(caption)
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            return (
                f"<figure><figcaption>{caption}</figcaption>"
                f'<img alt="{caption}" src="data:image/png;base64,{data}"></figure>'
            )
        case Folded(title, parts):
            inside = "\n".join(map(_html, parts))
            return f"<details><summary>{html.escape(title)}</summary>\n{inside}\n</details>"
