"""The scan page: exact, self-contained, anonymous, and working in a browser."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import markupsafe
import nibabel
import numpy as np
import pytest
from PIL import Image

from liver_tf.ct.nifti_volume import read_nifti_volume
from liver_tf.export import scan_page_data
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.lesion_table import significant
from liver_tf.export.lesion_thumbnail import around, thumbnail
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_page import SCRIPTS, scan_page
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
from liver_tf.labels import LESION_TYPES, LabelSet
from tests.builders.lesions import lesions_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is missing (apt-get install chromium)"
)

SLICES, ROWS, COLUMNS = 14, 60, 40
#: Rows are twice as far apart as columns, so that proportions count.
SPACING_MM = (3.0, 2.0, 1.0)


@pytest.fixture
def scan(tmp_path):
    """A body with a bright liver on the patient's right (the left of the picture)."""
    hu = np.full((SLICES, ROWS, COLUMNS), -1000, np.int16)
    hu[:, 5:55, 3:37] = 20
    hu[:, 15:40, 5:20] = 110
    affine = np.array([[0, 0, -1, 100], [0, -2, 0, 80], [3, 0, 0, -300], [0, 0, 0, 1]], float)
    stored = hu.transpose(2, 1, 0)
    path = tmp_path / "CANARY_Doe.nii"
    nibabel.save(nibabel.Nifti1Image(stored, affine[:, [2, 1, 0, 3]]), path)
    return read_nifti_volume(path)


@pytest.fixture
def labels():
    labels = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    labels[:, 15:40, 5:20] = 1
    labels[2:5, 20:25, 8:12] = 2
    labels[3, 20:26, 8:13] = 2  # largest there
    labels[10, 30:34, 6:10] = 4
    return labels


def page_of(scan, labels, title="scan-001", label_set=LESION_TYPES, liver_found=True):
    lesions = lesions_of(labels, scan.hu, scan.spacing_mm, label_set)
    findings = ScanFindings(scan, labels, lesions, label_set, liver_found)
    return scan_page(title, findings, AlgorithmIdentity("ab12"))


def decode_runs(runs, shape):
    """int64 [rows, columns], the inverse of ``encode_runs``."""
    flat = np.zeros(shape[0] * shape[1], np.int64)
    position = 0
    for gap, length, label in np.asarray(runs, np.int64).reshape(-1, 3):
        flat[position + gap : position + gap + length] = label
        position += gap + length
    return flat.reshape(shape)


def data_of(page):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    )


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
    assert page.count("<script") == 2
    assert "<i>scan" not in page
    assert str(markupsafe.escape('"><b>')) in page
    assert data_of(page)["classes"][1]["name"] == "</script><script>alert(1)//"


def test_a_scan_without_lesions_or_spacing_has_a_page(scan, labels):
    plain = replace(scan, spacing_mm=None, affine=np.full((4, 4), np.nan))
    page = page_of(plain, labels * 0)
    assert "no lesion found" in page
    assert "spacing is unknown" in page
    assert (data_of(page)["mm"], data_of(page)["z"]) == (None, None)


# What a browser makes of it.

#: Windows of Chromium are not narrower.
LEAST_WIDTH = 500


def in_frame(page, size):
    """A page that shows the page in a frame, as narrow as a phone, and gets its results."""
    hand_on = "document.body.dataset.done = 1; Object.assign(parent.document.body.dataset,"
    page = page.replace("document.body.dataset.done = 1;", f"{hand_on} document.body.dataset);")
    width, height = size
    style = f"width:{width}px;height:{height}px;border:0"
    return f'<body><iframe style="{style}" srcdoc="{html.escape(page)}"></iframe></body>'


def browse(page, tmp_path, script="", *, size=(1000, 1200), picture=None):
    """Body of the page after ``script``, which gets the page's own elements; and the console."""
    path = tmp_path / "page.html"
    steps = (
        "const byId = (id) => document.getElementById(id);"
        "const key = (key) => dispatchEvent(new KeyboardEvent('keydown', {key}));"
        "const at = () => Number(document.body.dataset.drawn);"
        # Pictures are decoded beside the clock of the test, which runs ahead.
        "const wait = async () => { do { await new Promise((done) => setTimeout(done, 50)); }"
        " while (at() !== Number(byId('position').value)); };"
        f"(async () => {{ await wait(); {script}; document.body.dataset.done = 1; }})();"
    )
    page = page.replace("</body>", f"<script>{steps}</script></body>")
    if size[0] < LEAST_WIDTH:
        page = in_frame(page, size)
    path.write_text(page, encoding="utf-8")
    shot = [f"--screenshot={picture}"] if picture else ["--dump-dom"]
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *(f"--window-size={size[0]},{size[1]}", f"--user-data-dir={tmp_path / 'profile'}"),
            *("--virtual-time-budget=600000", *shot, path.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    console = [
        line
        for line in done.stderr.splitlines()
        # A performance hint about reading a canvas, which only these tests do.
        if "CONSOLE" in line
        and "willReadFrequently" not in line
        and "will-read-frequently" not in line
    ]
    body = re.search(r"<body([^>]*)>", done.stdout)
    return dict(re.findall(r'data-(\w+)="([^"]*)"', body[1])) if body else {}, console


@needs_chromium
def test_wheel_keys_slider_and_table_move_through_the_slices(scan, labels, tmp_path):
    script = """
      const seen = [at()];
      const then = async (act) => { act(); await wait(); seen.push(at()); };
      const wheel = (deltaY) => byId("slice").dispatchEvent(
        new WheelEvent("wheel", {deltaY, cancelable: true}));
      await then(() => wheel(-3));
      await then(() => wheel(3));
      await then(() => key("ArrowUp"));
      await then(() => key("ArrowDown"));
      await then(() => key("End"));
      await then(() => key("PageDown"));
      await then(() => key("Home"));
      await then(() => wheel(3));
      await then(() => {
        byId("position").value = 7;
        byId("position").dispatchEvent(new Event("input"));
      });
      await then(() => document.querySelectorAll("#lesions .show")[1].click());
      await then(() => byId("down").click());
      document.body.dataset.seen = seen.join(" ");
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []
    # It opens at the slice with most lesion; down from the last by ten is 3; nothing below 0.
    assert recorded["seen"] == "3 4 3 4 3 13 3 0 0 7 10 9"
    assert recorded["done"] == "1"


@needs_chromium
def test_outlines_lie_on_the_edges_of_classes_and_can_be_switched_off(scan, labels, tmp_path):
    script = """
      const canvas = byId("slice");
      const colours = {liver: [0x00, 0x9e, 0x73], cyst: [0x56, 0xb4, 0xe9]};
      const boxOf = (colour) => {
        const context = canvas.getContext("2d");
        const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
        let box = [1e9, 1e9, -1, -1];
        for (let i = 0; i < pixels.length; i += 4) {
          if (colour.some((part, c) => Math.abs(part - pixels[i + c]) > 45)) continue;
          const x = (i / 4) % canvas.width, y = Math.floor(i / 4 / canvas.width);
          const [left, top, right, bottom] = box;
          box = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
        }
        const [w, h] = [canvas.width, canvas.height];
        return box[2] < 0 ? "none" : [box[0] / w, box[1] / h, (box[2] + 1) / w, (box[3] + 1) / h]
          .map((share) => share.toFixed(3)).join(" ");
      };
      const body = document.body.dataset;
      body.shape = canvas.width / canvas.height;
      byId("numbers").click(); await wait();
      body.liver = boxOf(colours.liver);
      body.cyst = boxOf(colours.cyst);
      document.querySelector("[data-class='2']").click(); await wait();
      body.without = boxOf(colours.cyst) + "," + (boxOf(colours.liver) !== "none");
      key("o"); await wait();
      body.bare = boxOf(colours.liver);
      key("O"); await wait();
      body.again = boxOf(colours.cyst);
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []
    # 40 columns of 1 mm beside 60 rows of 2 mm.
    assert float(recorded["shape"]) == pytest.approx(40 / 120, rel=0.01)

    def shares(text):
        return [float(share) for share in text.split()]

    edges = np.array([5 / COLUMNS, 15 / ROWS, 20 / COLUMNS, 40 / ROWS])
    np.testing.assert_allclose(shares(recorded["liver"]), edges, atol=0.01)
    edges = np.array([8 / COLUMNS, 20 / ROWS, 13 / COLUMNS, 26 / ROWS])
    np.testing.assert_allclose(shares(recorded["cyst"]), edges, atol=0.01)
    assert recorded["without"] == "none,true"
    assert recorded["bare"] == "none"
    assert recorded["again"] == recorded["cyst"]


@needs_chromium
def test_the_liver_is_on_the_left_of_the_picture(scan, labels, tmp_path):
    shot = tmp_path / "shot.png"
    page = page_of(scan, labels * 0)
    _, console = browse(page, tmp_path, size=(600, 900), picture=shot)
    assert console == []
    grey = np.asarray(Image.open(shot).convert("L")).astype(int)
    # The liver (110 HU) is the brightest thing of the picture: 172 of 255, the body 115.
    liver = np.argwhere((grey > 165) & (grey < 180))
    body = np.argwhere((grey > 110) & (grey < 120))
    assert len(liver) > 1000
    assert len(body) > 1000
    assert liver[:, 1].mean() < body[:, 1].mean() - 20


@needs_chromium
def test_the_table_is_sorted_by_buttons(scan, labels, tmp_path):
    labels[12, 16, 6] = 3
    script = """
      const heads = [...document.querySelectorAll("#lesions th button")];
      const named = (name) => heads.find((head) => head.textContent === name);
      const numbers = () => [...document.querySelectorAll("#lesions .show")]
        .map((cell) => cell.textContent).join(" ");
      const seen = [];
      for (const name of ["volume, ml", "volume, ml", "type, confidence"]) {
        named(name).click();
        seen.push(numbers());
      }
      document.querySelector("#lesions .show").click(); await wait();
      seen.push(at());
      key("j"); await wait();
      seen.push(at());
      const more = document.querySelector(".more");
      const before = more.offsetHeight;
      document.querySelector(".unfold").click();
      seen.push(before === 0 && more.offsetHeight > 50);
      document.body.dataset.seen = seen.join(", ");
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []
    # By number: a cyst of 70 voxels, a metastasis of 16, a hemangioma of 1.
    assert recorded["seen"] == "1 2 3, 3 2 1, 1 3 2, 3, 12, true"


@needs_chromium
def test_show_draws_the_diameter_in_the_chosen_lesion(scan, labels, tmp_path):
    script = """
      const bright = () => {
        const {width, height} = byId("slice");
        const {data} = byId("slice").getContext("2d").getImageData(0, 0, width, height);
        let pixels = 0;
        for (let i = 0; i < data.length; i += 4) pixels += data[i] > 235 && data[i + 2] > 235;
        return pixels;
      };
      const body = document.body.dataset;
      byId("numbers").click(); await wait();
      body.before = bright();
      document.querySelector("#lesions .show").click(); await wait();
      body.lesion = `${at()} ${body.diameter}`;
      body.after = bright();
      key("ArrowUp"); await wait();
      body.next = `${at()} ${body.diameter}`;
      const box = byId("slice").getBoundingClientRect();
      body.view = box.top >= 0 && box.bottom <= innerHeight;
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []
    assert (recorded["lesion"], recorded["next"]) == ("3 true", "4 false")
    assert int(recorded["after"]) > int(recorded["before"]) + 50
    assert recorded["view"] == "true"


@needs_chromium
def test_windows_are_set_by_keys_and_by_dragging(scan, labels, tmp_path):
    script = """
      const body = document.body.dataset;
      byId("numbers").click(); key("o"); await wait();
      const canvas = byId("slice");
      const grey = (column, row) => canvas.getContext("2d").getImageData(
        canvas.width * column / 40, canvas.height * row / 60, 1, 1).data[0];
      const seen = () => [
        byId("window").textContent, grey(12, 28), grey(30, 28), grey(1, 1)].join(" ");
      body.abdomen = seen();
      key("2"); await wait(); body.liver = seen();
      key("3"); await wait(); body.wide = seen();
      key("1"); await wait();
      const point = (type, clientX, clientY) => canvas.dispatchEvent(new PointerEvent(
        type, {pointerId: 1, clientX, clientY, pointerType: "mouse"}));
      point("pointerdown", 200, 200); point("pointermove", 150, 180); point("pointerup", 150, 180);
      await wait(); body.dragged = byId("window").textContent;
      key("2"); await wait();
      const at0 = at();
      const finger = (type, clientY) => canvas.dispatchEvent(new PointerEvent(
        type, {pointerId: 2, clientX: 200, clientY, pointerType: "touch"}));
      finger("pointerdown", 200); finger("pointermove", 164); finger("pointerup", 164);
      await wait(); body.swiped = at() - at0;
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []

    def check(name, width, level):
        """The liver has 110 HU, the body 20, the air -1000."""
        words = recorded[name].split()
        assert words[:4] == ["W", str(width), "L", str(level)]
        low = level - width / 2
        expected = [min(max((hu - low) / width * 255, 0), 255) for hu in (110, 20, -1000)]
        np.testing.assert_allclose([int(word) for word in words[4:]], expected, atol=8)

    check("abdomen", 400, 40)
    check("liver", 150, 90)
    check("wide", 2000, 0)
    # 50 pixels to the left and 20 up.
    assert recorded["dragged"] == "W 300 L 60"
    assert recorded["swiped"] == "3"


@needs_chromium
def test_other_planes_zoom_and_help(scan, labels, tmp_path):
    script = """
      const body = document.body.dataset;
      const canvas = byId("slice");
      byId("numbers").click(); key("o"); await wait();
      const marks = () => [...document.querySelectorAll(".marks b")]
        .map((b) => b.textContent).join("");
      const goTo = async (index) => {
        byId("position").value = index;
        byId("position").dispatchEvent(new Event("input"));
        await wait();
      };
      const shape = () => (canvas.width / canvas.height).toFixed(2);
      const pixelsPerMm = () =>
        byId("scale").getBoundingClientRect().width / parseFloat(byId("scale").textContent);
      const grey = (x, y) => canvas.getContext("2d").getImageData(
        canvas.width * x, canvas.height * y, 1, 1).data[0];
      key("c"); await wait();
      await goTo(28);
      body.coronal = [
        marks(), shape(), grey(12.5 / 40, 0.5) > 150, grey(30.5 / 40, 0.5) < 140].join(" ");
      key("s"); await wait();
      await goTo(12);
      body.sagittal = [
        marks(), shape(), grey(28.5 / 60, 0.5) > 150, grey(50.5 / 60, 0.5) < 140].join(" ");
      document.querySelector("#lesions .show").click(); await wait();
      body.back = `${marks()} ${at()}`;
      const scale = pixelsPerMm();
      key("+"); key("+"); await wait();
      body.zoom = (pixelsPerMm() / scale).toFixed(2);
      key("?");
      body.help = byId("help").open;
      key("?");
      body.closed = byId("help").open;
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []
    # 14 slices of 3 mm; 40 columns of 1 mm and 60 rows of 2 mm. The head is above.
    for name, marks, shape in (("coronal", "HRLF", 40 / 42), ("sagittal", "HAPF", 120 / 42)):
        words = recorded[name].split()
        assert (words[0], *words[2:]) == (marks, "true", "true")
        assert float(words[1]) == pytest.approx(shape, rel=0.01)
    assert recorded["back"] == "ARLP 3"
    assert float(recorded["zoom"]) == pytest.approx(1.25**2, abs=0.05)
    assert (recorded["help"], recorded["closed"]) == ("true", "false")


@needs_chromium
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1024, 768), (1440, 900)])
def test_nothing_is_clipped(scan, labels, tmp_path, width, height):
    """Every element lies inside the page, unfolded rows too, and the picture inside the window."""
    script = """
      document.querySelectorAll(".unfold").forEach((button) => button.click());
      document.querySelectorAll("#lesions .show")[1].click(); await wait();
      const body = document.body.dataset;
      body.wide = innerWidth;
      const right = document.documentElement.clientWidth + 0.5;
      const all = [...document.querySelectorAll("body *:not(dialog, dialog *)")];
      const outside = all.filter((each) => {
        const box = each.getBoundingClientRect();
        if (!box.width || getComputedStyle(each).display === "inline") return false;
        return box.left < -0.5 || box.right > right || each.scrollWidth > each.clientWidth + 1;
      });
      body.outside = outside.map((each) => each.tagName + each.id + each.className).join(" ");
      scrollTo(0, document.body.scrollHeight); await wait();
      const box = byId("slice").getBoundingClientRect();
      body.view = box.top >= 0 && box.bottom <= innerHeight;
    """
    page = page_of(scan, labels, label_set=LESION_TYPES.with_indeterminate())
    recorded, console = browse(page, tmp_path, script, size=(width, height))
    assert console == []
    assert recorded["wide"] == str(width)
    assert recorded["outside"] == ""
    assert recorded["view"] == "true", "the picture stays in view while the table is read"


@needs_chromium
def test_the_whole_table_is_printed_with_a_thumbnail_of_each_lesion(scan, labels, tmp_path):
    for place in range(4, 52, 4):
        labels[12, place, 22:24] = 3
    page = page_of(scan, labels)
    lesions = len(data_of(page)["lesions"])
    assert lesions == 14
    path = tmp_path / "page.pdf"
    print_page(page, tmp_path, path)
    contents = path.read_bytes()
    # A thumbnail of each lesion, and the canvas.
    assert contents.count(b"/Subtype /Image") > lesions
    sizes = set(re.findall(rb"/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]", contents))
    assert all(float(width) > float(height) for width, height in sizes)
    # The rules for print, on a screen as wide as the paper.
    script = """
      const rows = [...document.querySelectorAll("#lesions tbody tr")];
      const body = document.body.dataset;
      body.rows = rows.filter((row) => row.offsetHeight > 5).length;
      body.outside = rows.filter((row) => row.getBoundingClientRect().right > innerWidth).length;
      body.pictures = [...document.querySelectorAll(".more img")]
        .filter((image) => image.complete && image.naturalWidth && image.offsetWidth).length;
    """
    recorded, console = browse(page.replace("@media print", "@media all"), tmp_path, script)
    assert console == []
    assert recorded["rows"] == str(2 * lesions)
    assert (recorded["outside"], recorded["pictures"]) == ("0", str(lesions))


def print_page(page, tmp_path, path):
    (tmp_path / "printed.html").write_text(page, encoding="utf-8")
    subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=600000"),
            *(f"--print-to-pdf={path}", (tmp_path / "printed.html").as_uri()),
        ],
        check=True,
        capture_output=True,
        timeout=100,
    )


@needs_chromium
def test_these_tests_detect_an_error_in_the_page(scan, labels, tmp_path):
    broken = page_of(scan, labels).replace('"rows":', '"roms":')
    recorded, console = browse(broken, tmp_path, "throw new Error('seen')")
    assert console
    assert "done" not in recorded


def test_template_style_and_script_are_packaged():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    packaged = project["tool"]["setuptools"]["package-data"]["*"]
    for name in ("scan_page.html", "scan_page.css", *SCRIPTS):
        assert Path(scan_page_data.__file__).with_name(name).is_file()
        assert f"*{Path(name).suffix}" in packaged


# The table.


def test_sizes_have_two_significant_digits():
    texts = [significant(value) for value in (105.26, 12.34, 9.96, 3.0, 0.0691, 0.0)]
    assert texts == ["105", "12", "10", "3", "0.069", "0"]


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
    rows, columns = np.nonzero((shown[..., 0] - shown[..., 2]) > 60)  # yellow
    box = [rows.min() / 160, rows.max() / 160, columns.min() / 80, columns.max() / 80]
    np.testing.assert_allclose(box, [10 / 40, 20 / 40, 5 / 40, 15 / 40], atol=0.05)
