"""Pages of the documentation site that are made from files outside ``docs/``, and the notebook."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]

#: File in the project's root -> page of the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}

NOTEBOOK = ROOT / "docs/tutorial.ipynb"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, page in PAGES.items():
        text = as_page((ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    for name, content in notebook_files(NOTEBOOK):
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    return markdown.replace("tutorial.ipynb)", "tutorial.md)")


def as_page(text: str) -> str:
    """The text with its links seen from ``docs/`` instead of the project's root."""
    text = re.sub(r"(\]\(|src=\")docs/", r"\1", text)
    for source, page in PAGES.items():
        text = text.replace(f"]({source}", f"]({page}")
    return text


def notebook_files(path: Path) -> Iterator[tuple[str, str | bytes]]:
    """The page of an executed notebook and its pictures: name, content."""
    parts = []
    pictures = 0
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(as_page(source))
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            text = "".join(output.get("text", data.get("text/plain", "")))
            if "image/png" in data:
                pictures += 1
                name = f"{path.stem}_{pictures}.png"
                yield name, base64.b64decode(data["image/png"])
                parts.append(f"![Output]({name})")
            elif "text/html" in data:
                parts.append("".join(data["text/html"]))
            elif text.strip():
                parts.append(f"```text\n{shorten(text.rstrip())}\n```")
    yield f"{path.stem}.md", "\n\n".join(parts) + "\n"


def shorten(text: str, first: int = 10, last: int = 3) -> str:
    """The first and last lines of a long output."""
    lines = text.splitlines()
    if len(lines) <= first + last + 1:
        return text
    return "\n".join([*lines[:first], "...", *lines[-last:]])
