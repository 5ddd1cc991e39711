"""The table of slices: harmless variants are accepted, invalid rows are refused with their line."""

from __future__ import annotations

import pytest

from liver_tf.ct.slices_csv import read_slices_csv

HEADER = "slice_id,patient_id,image,mask,diagnosis"


@pytest.fixture
def table(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a.dcm", "b.dcm", "a.png", "b.png"):
        (folder / name).write_bytes(b"")
    (tmp_path / "outside.dcm").write_bytes(b"")
    (folder / "link.dcm").symlink_to(tmp_path / "outside.dcm")

    def write(text: str | bytes):
        data = text if isinstance(text, bytes) else text.encode()
        (folder / "slices.csv").write_bytes(data)
        return folder / "slices.csv"

    return write


GOOD = f"{HEADER}\ns1,p1,a.dcm,a.png,cyst\ns2,p1,b.dcm,,healthy\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD.encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\n\n").encode() + b"\n,,,,\n",
        GOOD.replace(",", " , ").encode(),
        GOOD.replace("diagnosis", "diagnosis,note")
        .replace("cyst", 'cyst,"a, b"')
        .replace("healthy", "healthy,")
        .encode(),
        GOOD.rstrip().encode(),
    ],
    ids=["plain", "bom", "crlf", "empty-lines", "blanks", "further-column", "no-last-newline"],
)
def test_harmless_variants_give_the_same_rows(table, text):
    path = table(text)
    rows, refusals = read_slices_csv(path)
    assert refusals == []
    assert [(r.slice_id, r.patient_id, r.diagnosis) for r in rows] == [
        ("s1", "p1", "cyst"),
        ("s2", "p1", "healthy"),
    ]
    assert rows[0].image == path.parent / "a.dcm"
    assert rows[0].mask == path.parent / "a.png"
    assert rows[1].mask is None


def test_line_numbers_match_those_of_an_editor(table):
    rows, refusals = read_slices_csv(table(f"{HEADER}\n\ns1,p1,a.dcm,a.png,cyst\n\ns2,,b.dcm,,x\n"))
    assert [row.line for row in rows] == [3]
    assert "a value for patient_id; found an empty cell in line 5" in refusals[0].text()


@pytest.mark.parametrize(
    ("row", "code", "words"),
    [
        ("s3,p1,b.dcm,b.png,tumour", "csv-diagnosis", "cyst, hemangioma, metastasis, healthy"),
        ("s3,p1,b.dcm,b.png", "csv-fields", "5 cells; found 4"),
        ("s3,p1,b.dcm,b.png,cyst,x", "csv-fields", "5 cells; found 6"),
        (",p1,b.dcm,b.png,cyst", "csv-blank", "slice_id"),
        ("s3,p1,,b.png,cyst", "csv-blank", "image"),
        ("s3,p1,b.dcm,,cyst", "csv-no-mask", "a mask for a slice with a lesion"),
        ("s3,p1,../outside.dcm,b.png,cyst", "csv-outside", "image: a path inside"),
        ("s3,p1,b.dcm,/tmp/b.png,cyst", "csv-outside", "mask: a path inside"),
        ("s3,p1,C:\\b.dcm,b.png,cyst", "csv-outside", "image"),
        ("s3,p1,x\\b.dcm,b.png,cyst", "csv-outside", "image"),
        ("s3,p1,link.dcm,b.png,cyst", "csv-outside", "link that leads out"),
        ("s3,p1,none.dcm,b.png,cyst", "csv-no-file", "image: a file that exists"),
        ("s3,p1,b.dcm,none.png,cyst", "csv-no-file", "mask: a file that exists"),
    ],
)
def test_invalid_rows_are_refused_with_their_line(table, row, code, words):
    rows, refusals = read_slices_csv(table(f"{HEADER}\ns1,p1,a.dcm,a.png,cyst\n{row}\n"))
    assert [row.slice_id for row in rows] == ["s1"]
    (refusal,) = refusals
    assert refusal.code == code
    assert "in line 3" in refusal.text()
    assert words in refusal.text()
    for secret in ("s3", "p1", "tumour", "b.dcm", "b.png", "outside.dcm"):
        assert secret not in refusal.text()


def test_paths_outside_the_folder_need_allow_outside(table):
    lines = ["s1,p1,../outside.dcm,a.png,cyst", "s2,p2,link.dcm,a.png,cyst"]
    for line in lines:
        rows, refusals = read_slices_csv(table(f"{HEADER}\n{line}\n"), allow_outside=True)
        assert refusals == []
        assert len(rows) == 1
    # The link points to the image of the other line.
    both = table("\n".join([HEADER, *lines]))
    rows, refusals = read_slices_csv(both, allow_outside=True)
    assert rows == []
    assert {refusal.code for refusal in refusals} == {"csv-image-twice"}


def test_identifiers_are_compared_in_normal_form(table):
    lines = "s1,Mu\u0308ller  A,a.dcm,a.png,cyst\ns2,M\u00fcller A,b.dcm,b.png,cyst"
    rows, refusals = read_slices_csv(table(f"{HEADER}\n{lines}\n"))
    assert refusals == []
    assert [row.patient_id for row in rows] == ["M\u00fcller A"] * 2


@pytest.mark.parametrize(
    ("second", "code", "words"),
    [
        ("s1,p2,b.dcm,b.png,cyst", "csv-duplicate", "lines 2, 3"),
        ("s2,p2,a.dcm,b.png,cyst", "csv-image-twice", "lines 2, 3"),
    ],
)
def test_all_contradicting_rows_are_refused(table, second, code, words):
    rows, refusals = read_slices_csv(table(f"{HEADER}\ns1,p1,a.dcm,a.png,cyst\n{second}\n"))
    assert rows == []
    assert [refusal.code for refusal in refusals] == [code, code]
    assert words in refusals[0].text()


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (b"", "csv-columns", "no line"),
        (GOOD.replace("patient_id", "patient"), "csv-columns", "in line 1"),
        (GOOD.replace("patient_id", "patient"), "csv-columns", "no patient_id"),
        (GOOD.replace(",", ";"), "csv-columns", "semicolons"),
        (GOOD.replace("mask", "image"), "csv-columns", "no mask"),
        (HEADER, "csv-empty", "at least one slice"),
        (
            GOOD.replace("p1", "Bj\u00f6rn").encode("latin-1"),
            "csv-encoding",
            "another encoding in line 2",
        ),
        (GOOD.encode("utf-16"), "csv-encoding", "UTF-16"),
        (GOOD + 's3,"p1,a.dcm,a.png,cyst\n', "csv-format", "in line 4"),
        (GOOD + "s3,p\0,a.dcm,a.png,cyst\n", "csv-format", "in line 4"),
    ],
)
def test_unreadable_tables_are_refused(table, text, code, words):
    rows, (refusal,) = read_slices_csv(table(text))
    assert rows == []
    assert refusal.code == code
    assert words in refusal.text()


def test_a_missing_table_is_refused(tmp_path):
    assert read_slices_csv(tmp_path / "none.csv")[1][0].code == "file-missing"


def test_other_diagnoses_can_be_allowed(table):
    text = f"{HEADER}\ns1,p1,a.dcm,a.png,hcc\n"
    assert read_slices_csv(table(text), diagnoses=("hcc", "healthy"))[1] == []
