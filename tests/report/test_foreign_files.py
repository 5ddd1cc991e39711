"""Files of other programs are not replaced by reports and pages."""

import pytest

from liver_tf.refusals import Refusal
from liver_tf.report.foreign_files import refuse_foreign_page, refuse_foreign_report
from liver_tf.report.page.page_parts import Page
from liver_tf.report.page.render_markdown import render_markdown


@pytest.mark.parametrize("text", [b"", b"# Another page\n", b"\xff\x00"])
def test_a_file_that_is_not_the_page_is_not_replaced(tmp_path, text):
    page, path = Page("Title & more"), tmp_path / "page.md"
    refuse_foreign_page(path, page)
    path.write_text(render_markdown(page, tmp_path))
    refuse_foreign_page(path, page)
    path.write_bytes(text)
    with pytest.raises(Refusal, match="output-foreign"):
        refuse_foreign_page(path, page)


def test_a_folder_with_a_report_of_another_program_is_refused(tmp_path):
    refuse_foreign_report(tmp_path)
    (tmp_path / "report.csv").write_text("mine")
    with pytest.raises(Refusal, match=r"\[output-foreign\] .* found report.csv of another program"):
        refuse_foreign_report(tmp_path)
    (tmp_path / "measures.json").write_text('{"protocols": {}}')
    refuse_foreign_report(tmp_path)
