"""Pages as one HTML file: style and pictures inside, no script, nothing to fetch."""

import base64
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from liver_tf.report.page.page_parts import Page, Picture


def render_html(page: Page) -> str:
    """The page as HTML; all texts are escaped."""
    return _environment.get_template("page.html.jinja").render(page=page)


def _data_uri(picture: Picture) -> Markup:
    data = picture.source if isinstance(picture.source, bytes) else picture.source.read_bytes()
    return Markup(f"data:{picture.media_type};base64,{base64.b64encode(data).decode('ascii')}")


def _is_highlighted(text: str, highlight: Sequence[str]) -> bool:
    return any(mark in text for mark in highlight)


def template_environment(folder: Path) -> Environment:
    """Environment for the page templates in a folder; it escapes all texts."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_environment = template_environment(Path(__file__).parent)
_environment.filters |= {"kind": lambda part: type(part).__name__, "data_uri": _data_uri}
_environment.tests["highlighted"] = _is_highlighted
