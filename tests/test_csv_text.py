"""CSV: cells that a spreadsheet would evaluate, and that every table is written by one writer."""

import csv
import io
from pathlib import Path

import pytest

from liver_tf.csv_text import csv_text

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("formula", "shown"),
    [(text, f"'{text}") for text in ("=1+1", "+A1", "-A1", "@SUM(A1)", "=cmd|' /C calc'!A0", "--x")]
    + [("\tx", "\\tx"), ("\r=x", "\\r=x"), ("a\n=x", "a\\n=x"), ("\x1b[2J", "\\x1b[2J")],
)
def test_formulas_are_text(formula, shown):
    text = csv_text([["name", formula], [formula, 1]])
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["name", shown], [shown, "1"]]


def test_numbers_and_other_cells_stay_as_they_are():
    row = [-1.5, "-1.5", "+2", "-1e-05", None, "a=b", 'say "x", y', "", True]
    text = csv_text([row], "\r\n")
    assert text == '-1.5,-1.5,+2,-1e-05,,a=b,"say ""x"", y",,True\r\n'


def test_no_other_module_writes_csv():
    for folder in ("liver_tf", "data_prep", "trainers"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert ("csv.writer(" in text or "DictWriter" in text) == (path.name == "csv_text.py")
