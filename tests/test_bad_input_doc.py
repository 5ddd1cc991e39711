"""``docs/bad_input.md`` lists every reason code in the source once, and no other."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.campaigns.reason_codes import ROOT, codes_in, codes_in_source

ROW = re.compile(r"^\| `([a-z0-9-]+)` \| .{5,} \| .{5,} \|$")


def test_the_page_lists_all_codes_in_the_source_once():
    lines = (ROOT / "docs" / "bad_input.md").read_text(encoding="utf-8").splitlines()
    documented = Counter(match[1] for match in map(ROW.match, lines) if match)
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) == documented.total()
    assert set(documented.values()) == {1}
    assert set(documented) == set(codes_in_source())


def test_codes_passed_through_functions_are_found():
    source = """
def direct(path):
    raise Refusal("one", path, expected="", found="", remedy="")

def maker(path, code, *, found="x"):
    return Refusal(code=code, path=path, expected="", found=found, remedy="")

def outer(path):
    def inner(code, doubt):
        raise maker(path, code)
    inner("two", "not a code")
    inner("three" if path else "four", 1)
    return maker(path, code="five")
"""
    codes, makers = codes_in(source)
    assert codes == {"one", "two", "three", "four", "five"}
    assert makers["maker"] == (1, "code")
    elsewhere = 'from other import maker\nraise maker(None, "six")\n'
    assert codes_in(elsewhere)[0] == set()
    assert codes_in(elsewhere, others=makers)[0] == {"six"}


@pytest.mark.parametrize("code", ["f'{name}-hu'", "table[name]", "name"])
def test_a_code_that_is_not_a_literal_raises(code):
    with pytest.raises(ValueError, match="not a literal"):
        codes_in(f"name = 1\ndef f(path):\n    raise Refusal({code}, path)\n")
