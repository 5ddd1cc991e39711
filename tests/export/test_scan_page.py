"""The scan page: exact, self-contained and anonymous."""

from __future__ import annotations

import base64
import io
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import markupsafe
import numpy as np
import pytest
from PIL import Image

from liver_tf.export import scan_page_data
from liver_tf.export.lesion_table import percent
from liver_tf.export.lesion_thumbnail import around, dashes_of, thumbnail
from liver_tf.export.scan_findings import significant
from liver_tf.export.scan_page import SCRIPTS
from liver_tf.export.scan_page_data import (
    CLASSES,
    FINE_HU,
    WIDE_HU,
    encode_runs,
    lesion_places,
    picture,
    reduction_of,
)
from liver_tf.inference.lesion_components import LesionComponents
from liver_tf.labels import LESION_TYPES, LITS, LabelSet
from tests.builders.scan_pages import (
    COLUMNS,
    ROWS,
    SLICES,
    data_of,
    decode_runs,
    make_labels,
    make_scan,
    page_of,
)


@pytest.fixture
def scan(tmp_path):
    return make_scan(tmp_path)


@pytest.fixture
def labels():
    return make_labels()


# What the page holds.


def test_the_label_map_in_the_page_is_exact(scan, labels):
    data = data_of(page_of(scan, labels))
    assert (data["rows"], data["columns"], data["mm"]) == (ROWS, COLUMNS, [2.0, 1.0])
    codes = np.stack([decode_runs(runs, (ROWS, COLUMNS)) for runs in data["runs"]])
    assert data["code"] == CLASSES
    np.testing.assert_array_equal(codes % CLASSES, labels)
    numbers = np.zeros_like(codes)
    LesionComponents.of_labels(labels).paint(numbers)
    np.testing.assert_array_equal(codes // CLASSES, numbers)


def test_a_scan_without_liver_has_a_warning(scan, labels):
    pages = {
        liver_found: page_of(scan, labels * 0, liver_found=liver_found)
        for liver_found in (True, False)
    }
    assert "no lesion found</h1>" in pages[True]
    assert "not the same as a healthy liver" not in pages[True]
    assert "no lesion found" not in pages[False]
    assert "no liver found: not the same as a healthy liver</h1>" in pages[False]
    assert '<p class="warning">The liver network found no liver' in pages[False]


def test_runs_are_encoded_and_decoded():
    labels = np.array([[0, 0, 1, 1], [2, 0, 3, 3]], np.uint8)
    assert encode_runs(labels) == [2, 2, 1, 0, 1, 2, 1, 2, 3]
    noise = np.random.default_rng(0).integers(0, 5, (31, 17)).astype(np.uint8)
    for label_map in (
        noise,
        noise[::-1, ::-1],
        np.zeros((3, 4), np.uint8),
        np.ones((3, 4), np.uint8),
    ):
        np.testing.assert_array_equal(
            decode_runs(encode_runs(label_map), label_map.shape), label_map
        )


def test_pictures_show_the_window():
    hu = np.repeat(np.array([[-1000, -160, 40, 240, 3000]]), 16, axis=0).repeat(16, axis=1)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture(hu)))))
    assert shown.shape == hu.shape
    middles = shown[8, 8::16].astype(int)
    np.testing.assert_allclose(middles, [0, 0, 127.5, 255, 255], atol=4)
    wide = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture(hu, WIDE_HU)))))
    low, high = WIDE_HU
    expected = (np.array([-1000, -160, 40, 240, 1500]) - low) * 255 / (high - low)
    np.testing.assert_allclose(wide[8, 8::16], expected, atol=4)
    assert low < FINE_HU[0] < FINE_HU[1] < high


def test_the_help_says_that_wide_pictures_have_half_the_resolution(scan, labels):
    page = page_of(scan, labels)
    sizes = [
        Image.open(io.BytesIO(base64.b64decode(data_of(page)[kind][0]))).size
        for kind in ("fine", "wide")
    ]
    assert sizes == [(COLUMNS, ROWS), (COLUMNS // 2, ROWS // 2)]
    assert "wide (lung, bone and metal at half the resolution)" in page


def test_the_first_picture_stands_before_the_others(scan, labels):
    """So that it is shown before they are read."""
    page = page_of(scan, labels)
    data = data_of(page)
    assert len(data["fine"]) == len(data["wide"]) == data["slices"] == SLICES
    assert data["first_picture"] == data["fine"][data["first"]]
    assert page.index(data["first_picture"]) < page.index('"use strict"') < page.index('id="fine"')


def test_large_scans_have_smaller_pictures_and_a_full_label_map(scan, labels, monkeypatch):
    monkeypatch.setattr(scan_page_data, "MOST_PIXELS", SLICES * ROWS * COLUMNS // 4)
    data = data_of(page_of(scan, labels))
    first = Image.open(io.BytesIO(base64.b64decode(data["fine"][0])))
    assert first.size == (COLUMNS // 2, ROWS // 2)
    codes = decode_runs(data["runs"][3], (ROWS, COLUMNS))
    np.testing.assert_array_equal(codes % CLASSES, labels[3])


@pytest.mark.parametrize(
    ("shape", "side"), [((200, 512, 512), 1), ((1000, 512, 512), 2), ((3000, 512, 512), 3)]
)
def test_reduction(shape, side):
    assert reduction_of(shape) == side


def test_show_leads_to_the_slice_of_the_diameter(labels, scan):
    first, second = data_of(page_of(scan, labels))["lesions"]
    assert (first["slice"], second["slice"]) == (3, 10)
    assert first["places"]["3"] == [20, 8, 25, 12, 12]
    # From corner to corner of 6 rows of 2 mm and 5 columns of 1 mm.
    assert first["line"] in ([[20, 8], [26, 13]], [[20, 13], [26, 8]])
    assert first["mm"] == pytest.approx(np.hypot(12, 5), abs=1e-3)


def test_places_of_lesions_by_hand():
    labels = np.zeros((5, 30, 20), np.uint8)
    labels[2:5, 20:25, 8:12] = 2
    labels[3, 20:26, 8:13] = 2
    labels[1, 3, 4] = labels[1, 3, 7] = labels[1, 4, 5:7] = 4
    first, second = lesion_places(LesionComponents.of_labels(labels))
    # A V: the top row's last pixel is that of its right arm.
    assert first == {1: (3, 4, 4, 7, 7)}
    box = (20, 8, 24, 11, 11)
    assert second == {2: box, 3: (20, 8, 25, 12, 12), 4: box}
    assert lesion_places(LesionComponents.of_labels(labels * 0)) == []


def test_the_page_is_self_contained_and_anonymous(scan, labels, tmp_path):
    page = page_of(scan, labels)
    assert "CANARY" not in page
    assert str(tmp_path) not in page
    assert "://" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "default-src 'none'" in page


def test_class_names_and_titles_are_escaped(scan, labels):
    evil = LabelSet("own", ("background", "liver", "</script><script>alert(1)//", '"><b>', "x"))
    page = page_of(scan, labels, title="<i>scan</i>", label_set=evil)
    assert page.count("<script") == 4
    assert "<i>scan" not in page
    assert str(markupsafe.escape('"><b>')) in page
    assert data_of(page)["classes"][1]["name"] == "</script><script>alert(1)//"


def test_a_scan_without_lesions_or_spacing_has_a_page(scan, labels):
    plain = replace(scan, spacing_mm=None, affine=np.full((4, 4), np.nan))
    page = page_of(plain, labels * 0)
    assert "no lesion found" in page
    assert "spacing is unknown" in page
    assert (data_of(page)["mm"], data_of(page)["z"]) == (None, None)


def test_template_style_and_script_are_packaged():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    packaged = project["tool"]["setuptools"]["package-data"]["*"]
    for name in ("scan_page.html", "scan_page.css", *SCRIPTS):
        assert Path(scan_page_data.__file__).with_name(name).is_file()
        assert f"*{Path(name).suffix}" in packaged


# The table.


def test_sizes_have_two_significant_digits():
    texts = [significant(value) for value in (105.26, 12.34, 9.96, 3.0, 0.0691, 0.0)]
    assert texts == ["105", "12", "10", "3.0", "0.069", "0"]


def test_columns_that_hold_nothing_are_left_out(scan, labels):
    page = page_of(scan, labels)
    assert "disagreeing" not in page
    assert "SD of p" not in page
    assert "mean HU" in page
    headings = re.findall(r'<th scope="col"><button>(.*?)</button>', page)
    assert headings == ["no.", "type, confidence", "diameter, mm", "volume, ml", "slices"]


def test_a_thumbnail_shows_the_lesion_in_its_colour():
    labels = np.ones((40, 40), np.uint8)
    labels[10:20, 5:15] = 3
    hu = np.full((40, 40), 110, np.int16)
    part = around((10, 5, 19, 14), (40, 40), 4)
    assert (part[0].start, part[0].stop, part[1].start) == (6, 23, 1)
    picture, width, height = thumbnail(hu, labels, LESION_TYPES, (2.0, 1.0), 160)
    assert (width, height) == (80, 160)
    shown = np.asarray(Image.open(io.BytesIO(picture))).astype(int)
    assert shown.shape == (320, 160, 3)
    rows, columns = np.nonzero((shown[..., 0] - shown[..., 2]) > 60)  # yellow
    box = [rows.min() / 320, rows.max() / 320, columns.min() / 160, columns.max() / 160]
    np.testing.assert_allclose(box, [10 / 40, 20 / 40, 5 / 40, 15 / 40], atol=0.05)


def test_outlines_of_thumbnails_have_the_dashes_of_their_class():
    """Along the upper edges: liver solid, hemangioma half, cyst two thirds of the length."""
    labels = np.zeros((40, 40), np.uint8)
    labels[1:39, 1:39] = 1
    labels[4:14, 3:37], labels[20:34, 3:37] = 3, 2
    picture, *_ = thumbnail(labels * 0, labels, LESION_TYPES, None, 200)
    shown = np.asarray(Image.open(io.BytesIO(picture))).astype(int)
    for label, row, drawn in ((1, 1, 1), (3, 4, 1 / 2), (2, 20, 2 / 3)):
        colour = np.array(list(bytes.fromhex(LESION_TYPES.colour(label)[1:])))
        line = shown[10 * row, 40:360]
        is_class = np.abs(line - colour).max(axis=-1) < 80
        assert is_class.mean() == pytest.approx(drawn, abs=0.12), label
        if drawn < 1:
            assert (line.max(axis=-1) < 60).mean() > 0.1, "gaps show the dark halo"


def test_dashes_by_hand():
    """A corner of two sides, of 4 and 3: the second dash goes round it."""
    line = np.array([[0, 0], [4, 0], [4, 3]], float)
    dashes = list(dashes_of(line, (3.5, 0.25)))
    assert [dash.tolist() for dash in dashes] == [
        [[0.0, 0.0], [3.5, 0.0]],
        [[3.75, 0.0], [4.0, 0.0], [4.0, 3.0]],
    ]
    assert [dash.tolist() for dash in dashes_of(line, ())] == [line.tolist()]


def test_thumbnails_carry_the_numbers_of_the_lesions_in_them(scan, labels):
    """White at the upper right of the lesion: of its own, and of one beside it."""
    labels[3, 21:25, 15:18] = 4

    def white(text):
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))).astype(int)
        return np.nonzero(shown.min(axis=-1) > 230)[1], shown.shape[1]

    page = page_of(scan, labels)
    data = data_of(page)
    pictures = re.findall(r'src="data:image/jpeg;base64,(.*?)"', page)
    assert [lesion["number"] for lesion in data["lesions"]] == [1, 2, 3]
    columns, width = white(pictures[0])
    top, left, bottom, right, _ = data["lesions"][0]["places"]["3"]
    part = around((top, left, bottom, right), (ROWS, COLUMNS), 12)[1]
    scale = width / (part.stop - part.start)
    for edge in (right + 1, 18):
        beside = np.abs(columns / scale - (edge - part.start)) < 3
        assert beside.sum() > 20, "a number right of the lesion"
    assert white(pictures[2])[0].size > 20
    bare = thumbnail(scan.hu[3], labels[3], LESION_TYPES, None, 150)[0]
    assert white(base64.b64encode(bare))[0].size == 0


def test_a_confidence_is_never_rounded_to_certainty():
    texts = [percent(share).replace("\xa0", " ") for share in (1.0, 0.996, 0.994, 0.5, 0.004, 0.0)]
    assert texts == ["> 99 %", "> 99 %", "99 %", "50 %", "< 1 %", "< 1 %"]


def test_without_types_the_column_names_the_finding(scan, labels):
    page = page_of(scan, np.minimum(labels, 2), label_set=LITS)
    assert "<button>finding, confidence</button>" in page
    assert "type, confidence" not in page
    assert "Image-level diagnosis" not in page
