"""HTML pages: every part, escaped; tables and highlighted rows."""

from dataclasses import replace

import pytest
from markupsafe import Markup

from liver_tf.report.page.page_parts import (
    Alert,
    Bullets,
    Collapsible,
    DataLabel,
    Html,
    Note,
    Page,
    Paragraph,
    Picture,
    Section,
    SideBySide,
    Status,
    Table,
    TitledTable,
)
from liver_tf.report.page.render_html import render_html
from liver_tf.report.page.render_markdown import (
    markdown_table,
    render_markdown,
)


def html_table(table, highlight=()):
    """The table as it stands on a page."""
    page = render_html(Page("t", sections=(Section("s", (table,)),), highlight=highlight))
    return page[page.index("<table") : page.index("</table>") + len("</table>")]


def test_highlighted_rows_and_columns_are_marked():
    table = Table(("protocol", "x, BAD"), (("a", "1"), ("b, BAD", "2")))
    assert html_table(table, ("BAD",)) == (
        '<table><thead><tr><th>protocol</th><th class="caution-cells">x, BAD</th></tr></thead>'
        "<tbody><tr><th>a</th><td>1</td></tr>"
        '<tr class="caution-cells"><th>b, BAD</th><td>2</td></tr></tbody></table>'
    )
    assert "caution" not in html_table(table)
    words = Table(("", ""), (("a", "b"),), words=True)
    assert html_table(words) == (
        '<table class="words"><tbody><tr><th>a</th><td>b</td></tr></tbody></table>'
    )


def test_names_cannot_break_tables():
    table = Table(("a", "b"), (("x|y", "<b>"),))
    assert "x\\|y" in markdown_table(table)
    assert "<b>" not in html_table(table)
    with pytest.raises(ValueError, match="as wide as the headers"):
        Table(("a", "b"), (("x",),))


PAGE = Page(
    "Title & <b>",
    opening=(Status("All cases read.", "good"), Alert("Read <this> first.")),
    sections=(
        Section(
            "First, with a remark",
            (
                Paragraph("1 < 2"),
                Note("small print"),
                DataLabel("Data:", "phantoms"),
                Bullets(("a & b", "c")),
                SideBySide((TitledTable("left", Table(("x",), (("1",),))),)),
                Collapsible("More", (Table(("x",), (("two\nlines",),), words=True),)),
            ),
        ),
        Section("Pictures", (Picture(b"<svg/>", "an outline", "image/svg+xml"),)),
        Section("Markup", (Html(Markup("<i>trusted</i>")),)),
    ),
    css=".x { color: red; }",
)


def test_every_part_is_rendered_and_escaped():
    text = render_html(PAGE)
    for expected in (
        "<title>Title &amp; &lt;b&gt;</title>",
        '<p class="status good"><strong>All cases read.</strong></p>',
        "<strong>Caution.</strong> Read &lt;this&gt; first.",
        '<a href="#s0">First</a>',
        '<h2 id="s0">First, with a remark</h2>',
        "<p>1 &lt; 2</p>",
        '<p class="note">small print</p>',
        "<strong>Data:</strong> phantoms",
        "<li>a &amp; b</li>",
        "<h3>left</h3>",
        "<summary>More</summary>",
        'src="data:image/svg+xml;base64,PHN2Zy8+"',
        "<i>trusted</i>",
        ".x { color: red; }",
    ):
        assert expected in text, expected


def test_navigation_can_be_left_out():
    assert "<nav " in render_html(PAGE)
    assert "<nav " not in render_html(replace(PAGE, navigation=False))


def test_markdown_refuses_parts_for_html_only(tmp_path):
    with pytest.raises(ValueError, match="without Html parts"):
        render_markdown(replace(PAGE, sections=PAGE.sections[-1:]), tmp_path)
    with pytest.raises(ValueError, match="a picture in a file"):
        render_markdown(replace(PAGE, sections=PAGE.sections[1:2]), tmp_path)
    text = render_markdown(replace(PAGE, sections=PAGE.sections[:1]), tmp_path)
    assert text.startswith("# Title &amp; &lt;b&gt;\n\n**All cases read.**\n\n**CAUTION. Read")
    assert "<details><summary>More</summary>\n\n| x |\n| --- |\n| two lines |\n\n</details>" in text
