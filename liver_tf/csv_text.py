"""CSV text that spreadsheets show as it is: they evaluate no name of a file or run as a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

from liver_tf.refusals import CONTROLS


def csv_text(rows: Iterable[Sequence[object]], line_end: str = "\n") -> str:
    """Rows, header included, as CSV (RFC 4180); None is an empty cell.

    Control characters are escaped, and an apostrophe is put before text that a spreadsheet would
    evaluate (OWASP, "CSV injection").
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=line_end)
    writer.writerows([_not_evaluated(cell) for cell in row] for row in rows)
    return out.getvalue()


def _not_evaluated(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = cell.translate(CONTROLS)
    if not text.startswith(("=", "+", "-", "@")):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
