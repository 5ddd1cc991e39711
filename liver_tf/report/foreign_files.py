"""Files that a report or a page may not replace, because another program wrote them."""

from pathlib import Path

from liver_tf.atomic_files import is_being_replaced
from liver_tf.bounded_files import read_json
from liver_tf.refusals import Refusal
from liver_tf.report.page.page_parts import Page
from liver_tf.report.page.render_markdown import escape

PICTURES, MEASURES = "pictures", "measures.json"
#: The paper's table for a terminal.
TABLE = "table.txt"
#: What a report replaces in its folder.
_NAMES = ("images.csv", MEASURES, PICTURES, "report.csv", "report.html", "report.md", TABLE)


def refuse_foreign_report(folder: Path) -> None:
    """Refuse (``output-foreign``) a folder with files that a report would replace, but no report.

    A report that was interrupted while its files took their places is one.
    """
    existing = [name for name in _NAMES if (folder / name).exists()]
    if not existing or is_being_replaced(folder):
        return
    try:
        ours = "protocols" in read_json(folder / MEASURES)
    except (OSError, ValueError, TypeError):
        ours = False
    if not ours:
        raise _foreign(folder, "a new folder or one with a report", existing[0])


def refuse_foreign_page(path: Path, page: Page) -> None:
    """Refuse (``output-foreign``) a Markdown file that does not begin with the page's title."""
    title = f"# {escape(page.title)}\n".encode()
    if not path.exists():
        return
    with open(path, "rb") as file:
        if file.read(len(title)) != title:
            raise _foreign(path, f"no file, or the page {page.title!r}", path.name)


def _foreign(path: Path, expected: str, name: str) -> Refusal:
    return Refusal(
        "output-foreign",
        path,
        expected=expected,
        found=f"{name} of another program",
        remedy="Choose another --output, or move the file away.",
    )
