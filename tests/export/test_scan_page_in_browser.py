"""The scan page in a browser: it works, and nothing is clipped."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.scan_findings import ScanFindings
from liver_tf.export.scan_page import scan_page
from liver_tf.labels import LESION_TYPES
from liver_tf.refusals import Caution
from liver_tf.trained_on import CascadeTrainedOn, TrainedOn
from tests.builders import browser
from tests.builders.browser import CLIPPED, SCREENS, needs_chromium, print_page
from tests.builders.lesions import lesions_of
from tests.builders.scan_pages import (
    COLUMNS,
    ROWS,
    data_of,
    make_labels,
    make_scan,
    make_usual_labels,
    page_of,
)


@pytest.fixture
def scan(tmp_path):
    return make_scan(tmp_path)


@pytest.fixture
def labels():
    return make_labels()


#: Elements and keys of the page, and a wait until the picture is drawn.
STEPS = """
  const byId = (id) => document.getElementById(id);
  const key = (key) => dispatchEvent(new KeyboardEvent("keydown", {key}));
  const at = () => Number(document.body.dataset.drawn);
  // Pictures are decoded beside the clock of the test, which runs ahead.
  const wait = async () => { do { await new Promise((done) => setTimeout(done, 50)); }
    while (at() !== Number(byId("position").value)); };
  const finger = (type, pointerId, clientX, clientY) => byId("slice").dispatchEvent(
    new PointerEvent(type, {pointerId, clientX, clientY, pointerType: "touch"}));
  await wait();
"""


def browse(page, tmp_path, script="", **options):
    return browser.browse(page, tmp_path, STEPS + script, **options)


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


def with_images(scan, numbers):
    source = dataclasses.replace(scan.source, instance_numbers=tuple(numbers))
    return dataclasses.replace(scan, source=source)


@needs_chromium
@pytest.mark.parametrize(
    ("numbers", "image"),
    [
        ((), ""),
        ([50 - index for index in range(14)], ", image 40"),
        ([1, *range(1, 14)], ""),  # ambiguous
        ([None, *range(1, 14)], ""),
    ],
)
def test_slices_have_the_numbers_of_the_files_and_of_the_series(
    scan, labels, tmp_path, numbers, image
):
    """One number per slice in lesions.json, table and viewer; beside it the Instance Number."""
    script = """
      const body = document.body.dataset;
      document.querySelectorAll("#lesions .show")[1].click(); await wait();
      body.where = byId("where").textContent;
      body.slices = document.querySelectorAll("#lesions tbody")[1].rows[0].cells[4].textContent;
      body.folded = document.querySelectorAll("#lesions .more")[1].textContent;
      body.notes = document.querySelector(".findings .note").textContent;
      key("c"); await wait(); body.coronal = byId("where").textContent;
    """
    (lesion,) = lesions_of(labels, scan.hu, scan.spacing_mm, LESION_TYPES)[1:]
    assert lesion.slices == (10, 10)
    page = page_of(with_images(scan, numbers), labels)
    recorded, console = browse(page, tmp_path, script)
    assert console == []
    assert recorded["slices"] == "10"
    # Numbers from 0; z of slice 10, 3 mm apart from -300 on.
    assert recorded["where"].replace("&nbsp;", " ") == f"slice 10 (0 to 13){image}, z -270.0 mm"
    assert f"diameter in slice10{image}" in recorded["folded"].replace("\n", "")
    assert ("Instance Number" in recorded["notes"]) == bool(image)
    assert "image" not in recorded["coronal"]


@needs_chromium
@pytest.mark.parametrize(("width", "least"), [(360, 7), (390, 12), (1024, 12), (1440, 12)])
def test_the_columns_of_the_table_stand_apart(scan, tmp_path, width, least):
    """Volume and slices do not read as one number."""
    script = """
      const edges = [...document.querySelectorAll("#lesions tbody")].map((body) => {
        const [volume, slices] = [3, 4].map((column) => {
          const range = document.createRange();
          range.selectNodeContents(body.rows[0].cells[column]);
          return range.getBoundingClientRect();
        });
        return slices.left - volume.right;
      });
      document.body.dataset.gap = Math.min(...edges);
    """
    page = page_of(scan, make_usual_labels(), "scan-001", LESION_TYPES.with_indeterminate())
    recorded, console = browse(page, tmp_path, script, size=(width, 844))
    assert console == []
    assert float(recorded["gap"]) >= least


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
        seen.push(`${numbers()} ${named(name).parentNode.getAttribute("aria-sort")}`);
      }
      document.querySelector("#lesions .show").click(); await wait();
      seen.push(at());
      key("j"); await wait();
      seen.push(at());
      const more = document.querySelector(".more");
      const before = more.offsetHeight;
      document.querySelector(".unfold").click();
      seen.push(before === 0 && more.offsetHeight > 50);
      // The arrow is on the line of the heading.
      const height = named("no.").offsetHeight;
      named("no.").click();
      seen.push(named("no.").offsetHeight === height);
      document.body.dataset.seen = seen.join(", ");
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []
    # By number: a cyst of 70 voxels, a metastasis of 16, a hemangioma of 1.
    sorted_by = "1 2 3 descending, 3 2 1 ascending, 1 3 2 ascending"
    assert recorded["seen"] == f"{sorted_by}, 3, 12, true, true"


def test_types_are_sorted_with_the_most_confident_first(scan, labels):
    """The page compares these values as words."""
    labels[labels == 4] = 2
    lesions = [
        dataclasses.replace(lesion, type_probabilities={**lesion.type_probabilities, "cyst": share})
        for lesion, share in zip(
            lesions_of(labels, scan.hu, scan.spacing_mm, LESION_TYPES), (0.7, 0.95), strict=True
        )
    ]
    findings = ScanFindings(scan, labels, lesions, LESION_TYPES, True)
    page = scan_page("scan-001", findings, AlgorithmIdentity("ab12"))
    values = re.findall(r'<td data-value="([^"]*)" class="type">', page)
    assert values[1] < values[0]


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
      // Enlarged, the lower lesion is outside until it is shown.
      for (let n = 0; n < 8; n++) key("+");
      await wait();
      document.querySelectorAll("#lesions .show")[1].click(); await wait();
      body.enlarged = bright();
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []
    assert int(recorded["enlarged"]) > 100
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


@needs_chromium
@pytest.mark.parametrize("zoomed", [False, True])
def test_swipes_change_the_slice_in_both_directions(scan, labels, tmp_path, zoomed):
    """In every direction, zoomed or not; the last finger of two that zoom does not count."""
    script = """
      const seen = [];
      const swipe = async (dx, dy) => {
        const before = at();
        finger("pointerdown", 1, 200, 200);
        for (let n = 1; n <= 6; n++) finger("pointermove", 1, 200 + dx * n / 6, 200 + dy * n / 6);
        finger("pointerup", 1, 200 + dx, 200 + dy);
        await wait(); seen.push(at() - before);
      };
      await swipe(-36, 4); await swipe(36, -4); await swipe(-60, 20);
      await swipe(0, 60); await swipe(3, -36);
      const before = at();
      finger("pointerdown", 1, 150, 300); finger("pointerdown", 2, 200, 200);
      finger("pointermove", 2, 205, 195); finger("pointerup", 2, 205, 195);
      for (let y = 300; y < 360; y += 6) finger("pointermove", 1, 150 + y / 10, y);
      finger("pointerup", 1, 186, 360);
      await wait(); seen.push(at() - before);
      await swipe(-24, 0);
      document.body.dataset.seen = seen.join(" ");
    """
    zoom = "key('+'); key('+'); await wait();" if zoomed else ""
    recorded, console = browse(page_of(scan, labels), tmp_path, zoom + script)
    assert console == []
    assert recorded["seen"] == "3 -3 5 -5 3 0 2"


@needs_chromium
def test_two_fingers_zoom_and_pan(scan, labels, tmp_path):
    script = """
      const body = document.body.dataset;
      const canvas = byId("slice");
      byId("numbers").click(); key("o"); await wait();
      const slice = at();
      const box = canvas.getBoundingClientRect();
      const [middle, row] = [box.left + box.width / 2, box.top + box.height / 2];
      const pixelsPerMm = () =>
        byId("scale").getBoundingClientRect().width / parseFloat(byId("scale").textContent);
      // The right border of the liver (110 HU) to the body (20 HU), in CSS pixels.
      const border = () => {
        const y = Math.floor(canvas.height / 2);
        const {data} = canvas.getContext("2d").getImageData(0, y, canvas.width, 1);
        let last = -1;
        for (let x = 0; x < canvas.width; x++) if (data[4 * x] > 143) last = x;
        return last * canvas.clientWidth / canvas.width;
      };
      const scale = pixelsPerMm();
      finger("pointerdown", 1, middle - 50, row);
      finger("pointerdown", 2, middle + 50, row);
      for (let x = 55; x <= 150; x += 5) finger("pointermove", 2, middle + x, row);
      finger("pointerup", 2, middle + 150, row); finger("pointerup", 1, middle - 50, row);
      await wait(); body.zoom = (pixelsPerMm() / scale).toFixed(2);
      key("0"); key("+"); key("+"); key("+"); await wait();
      const before = border();
      finger("pointerdown", 1, middle, row - 60);
      finger("pointerdown", 2, middle, row + 60);
      for (let x = 4; x <= 40; x += 4) {
        finger("pointermove", 1, middle + x, row - 60);
        finger("pointermove", 2, middle + x, row + 60);
      }
      finger("pointerup", 2, middle + 40, row); finger("pointerup", 1, middle + 40, row);
      await wait(); body.moved = (border() - before).toFixed(1);
      body.slices = at() - slice;
      key("0"); await wait(); body.whole = (pixelsPerMm() / scale).toFixed(2);
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []
    # From a distance of 100 to one of 200 pixels.
    assert float(recorded["zoom"]) == pytest.approx(2, abs=0.05)
    assert float(recorded["moved"]) == pytest.approx(40, abs=3)
    assert recorded["slices"] == "0", "two fingers do not change the slice"
    assert recorded["whole"] == "1.00"


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
@pytest.mark.parametrize("size", SCREENS)
def test_nothing_is_clipped(scan, labels, tmp_path, size):
    """Every element lies inside the page, unfolded rows too, and the picture inside the window."""
    script = """
      document.querySelectorAll(".unfold").forEach((button) => button.click());
      document.querySelectorAll("#lesions .show")[1].click(); await wait();
      const body = document.body.dataset;
      body.wide = innerWidth;
      body.outside = clipped();
      scrollTo(0, document.body.scrollHeight); await wait();
      const box = byId("slice").getBoundingClientRect();
      body.view = box.top >= 0 && box.bottom <= innerHeight;
      key("?");
      const help = byId("help");
      body.help = help.clientWidth > 0 && help.scrollWidth <= help.clientWidth;
    """
    phantoms = TrainedOn("phantom", 0, 200, "phantom")
    page = page_of(
        *(scan, labels, "scan-001", LESION_TYPES.with_indeterminate()),
        trained_on=CascadeTrainedOn(phantoms, (phantoms,)),
        cautions=(Caution("liver-parts", "the liver network found several parts. " * 3),),
    )
    assert "<small>(unvalidated on real lesions)</small>" in page
    recorded, console = browse(page, tmp_path, CLIPPED + script, size=size)
    assert console == []
    assert recorded["wide"] == str(size[0])
    assert recorded["outside"] == ""
    assert recorded["help"] == "true", "keys and their meanings fit into the dialog"
    assert recorded["view"] == "true", "the picture stays in view while the table is read"


@needs_chromium
@pytest.mark.parametrize("size", SCREENS)
def test_headings_and_buttons_stay_in_view(scan, labels, tmp_path, size):
    """Half-way down a long table; a lesion that J chooses stands below the headings."""
    for place in range(4, 52, 4):
        labels[12, place, 22:24] = 3
    script = """
      const body = document.body.dataset;
      document.querySelectorAll(".unfold").forEach((button) => button.click());
      const table = byId("lesions").getBoundingClientRect();
      scrollTo(0, scrollY + (table.top + table.bottom) / 2); await wait();
      const boxOf = (selector) => document.querySelector(selector).getBoundingClientRect();
      const head = boxOf("#lesions th"), row = boxOf("#lesions tbody:nth-of-type(4) tr");
      const front = document.elementFromPoint(head.left + 3, head.bottom - 3);
      body.head = row.bottom < head.top && head.top >= -1 && head.bottom < innerHeight
        && front.closest("#lesions thead") !== null;
      body.picture = boxOf("#slice").bottom <= head.top + 1 || innerWidth > 960;
      body.buttons = ["#up", "#down", "[data-window]", "[data-view]", "#keys"].filter((one) => {
        const box = boxOf(one);
        return box.top < 0 || box.bottom > innerHeight || box.height < 20;
      }).join(" ");
      key("j"); await wait();
      const chosen = boxOf(".chosen tr");
      body.chosen = chosen.top >= boxOf("#lesions th").bottom - 1 && chosen.bottom <= innerHeight;
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script, size=size)
    assert console == []
    assert recorded["head"] == recorded["picture"] == "true"
    assert recorded["buttons"] == ""
    assert recorded["chosen"] == "true"


@needs_chromium
@pytest.mark.parametrize("size", [*SCREENS, (844, 390), (667, 375), (568, 250)])
def test_the_picture_of_a_chosen_lesion_is_in_view(scan, labels, tmp_path, size):
    """Phones in landscape too, below several cautions and from the end of a long table."""
    for place in range(4, 52, 4):
        labels[12, place, 22:24] = 3
    script = """
      const picture = () => {
        const box = document.querySelector(".marks").getBoundingClientRect();
        return box.height > 120 && box.top > -1 && box.bottom < innerHeight + 1;
      };
      const seen = [];
      for (const act of [
        () => key("j"),
        () => { scrollTo(0, document.body.scrollHeight); key("k"); },
        () => {
          scrollTo(0, document.body.scrollHeight);
          [...document.querySelectorAll("#lesions .show")].pop().click();
        },
      ]) { act(); await wait(); seen.push(picture()); }
      document.body.dataset.seen = seen.join(" ");
    """
    cautions = tuple(Caution("liver-parts", "the outline has several parts. " * 3) for _ in "123")
    page = page_of(scan, labels, cautions=cautions)
    recorded, console = browse(page, tmp_path, script, size=size)
    assert console == []
    assert recorded["seen"] == "true true true"


@needs_chromium
@pytest.mark.parametrize("width", [360, 390])
def test_a_usual_table_fits_a_phone(scan, tmp_path, width):
    page = page_of(scan, make_usual_labels(), "scan-001", LESION_TYPES.with_indeterminate())
    assert len(data_of(page)["lesions"]) == 12
    script = """
      const {scrollWidth, clientWidth} = document.documentElement;
      document.body.dataset.scroll = scrollWidth - clientWidth;
      document.body.dataset.outside = clipped();
      document.body.dataset.low = [...document.querySelectorAll("#lesions td button")]
        .filter((button) => button.getBoundingClientRect().height < 24).length;
      // Sorted by any column, too.
      for (const head of document.querySelectorAll("#lesions th button")) {
        head.click();
        document.body.dataset.outside += clipped();
      }
    """
    recorded, console = browse(page, tmp_path, CLIPPED + script, size=(width, 844))
    assert console == []
    assert recorded["scroll"] == "0"
    assert recorded["low"] == "0", "touch targets are 24 px high"
    assert recorded["outside"] == ""


@needs_chromium
def test_plus_zooms_about_the_chosen_lesion(scan, labels, tmp_path):
    """The diameter's white line is still in the picture, near its middle."""
    script = """
      byId("numbers").click(); key("j"); await wait();
      for (let n = 0; n < 9; n++) key("+");
      await wait();
      const {width, height} = byId("slice");
      const {data} = byId("slice").getContext("2d").getImageData(
        width / 4, height / 4, width / 2, height / 2);
      let pixels = 0;
      for (let i = 0; i < data.length; i += 4) pixels += data[i] > 235 && data[i + 2] > 235;
      document.body.dataset.bright = pixels;
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []
    assert int(recorded["bright"]) > 50


@needs_chromium
def test_a_chosen_lesion_can_be_seen_bare_and_unchosen(scan, labels, tmp_path):
    """Without outlines its pixels are those of a lesion that was not chosen."""
    script = """
      const body = document.body.dataset, canvas = byId("slice");
      const pixels = () => canvas.getContext("2d").getImageData(
        0, 0, canvas.width, canvas.height).data.join();
      const chosen = () => document.querySelectorAll(".chosen").length;
      const click = async (column, row) => {
        const box = canvas.getBoundingClientRect();
        const clientX = box.left + box.width * column / 40;
        const clientY = box.top + box.height * row / 60;
        for (const type of ["pointerdown", "pointerup"]) canvas.dispatchEvent(new PointerEvent(
          type, {pointerId: 1, pointerType: "mouse", clientX, clientY}));
        await wait();
      };
      byId("numbers").click(); key("o"); await wait();
      const bare = pixels();
      key("o"); key("j"); await wait(); key("o"); await wait();
      body.bare = `${chosen()} ${pixels() === bare} ${body.diameter}`;
      key("Escape"); await wait();
      body.escape = chosen();
      key("ArrowUp"); await wait();
      await click(10.5, 22.5);
      body.clicked = `${chosen()} ${at()}`;
      await click(30.5, 50.5);
      body.beside = chosen();
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []
    assert recorded["bare"] == "1 true false"
    assert recorded["escape"] == "0"
    # A click chooses without leaving the slice.
    assert recorded["clicked"] == "1 4"
    assert recorded["beside"] == "0"


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
      byId("position").dispatchEvent(new Event("input")); await wait();
      const shown = (selector) => [...document.querySelectorAll(selector)]
        .filter((each) => each.offsetHeight > 5);
      const rows = [...document.querySelectorAll("#lesions tbody tr")];
      const body = document.body.dataset;
      body.rows = rows.filter((row) => row.offsetHeight > 5).length;
      body.outside = rows.filter((row) => row.getBoundingClientRect().right > innerWidth).length;
      body.pictures = [...document.querySelectorAll(".more img")]
        .filter((image) => image.complete && image.naturalWidth && image.offsetWidth).length;
      body.legend = shown(".legend label").map((label) => label.textContent + " "
        + label.querySelector("path:last-child").getAttribute("stroke-dasharray")).join(", ");
      body.controls = shown(".tools button, .legend input, #up, #position").length;
      body.state = `${byId("window").textContent}, ${byId("where").textContent}`;
      const wide = (id) => byId(id).getBoundingClientRect().width;
      body.mm = 40 * wide("scale") / wide("slice") / parseFloat(byId("scale").textContent);
    """
    recorded, console = browse(page.replace("@media print", "@media all"), tmp_path, script)
    assert console == []
    # The pattern of every class in the legend, and the scale of the picture as printed: 40 mm wide.
    assert recorded["legend"] == "liver , cyst 15 7.5, hemangioma 6 6, metastasis 18 6 4.5 6"
    assert recorded["controls"] == "0"
    assert recorded["state"].startswith("W 400 L 40, slice ")
    assert float(recorded["mm"]) == pytest.approx(1, abs=0.02)
    assert recorded["rows"] == str(2 * lesions)
    assert (recorded["outside"], recorded["pictures"]) == ("0", str(lesions))


@needs_chromium
def test_the_picture_is_drawn_sharply_for_print(scan, labels, tmp_path):
    """95 mm high at 288 dots per inch, before the browser takes the page: no task may pass."""
    script = """
      const body = document.body.dataset, canvas = byId("slice");
      const before = canvas.height;
      const print = async () => {
        dispatchEvent(new Event("beforeprint"));
        for (let turns = 0; turns < 300; turns++) await null;
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const seen = `${canvas.height} ${at()} ${data.some((part) => part > 100)}`;
        dispatchEvent(new Event("afterprint")); await wait();
        return seen;
      };
      body.axial = await print();
      body.restored = canvas.height === before;
      key("3"); key("c"); await wait();
      body.coronal = await print();
      body.plane = byId("position").value;
    """
    recorded, console = browse(page_of(scan, labels), tmp_path, script)
    assert console == []
    for view, slice_shown in (("axial", "3"), ("coronal", recorded["plane"])):
        height, index, drawn = recorded[view].split()
        assert int(height) == pytest.approx(95 / 25.4 * 288, rel=0.02)
        assert (index, drawn) == (slice_shown, "true")
    assert recorded["restored"] == "true"


@needs_chromium
def test_the_first_picture_is_drawn_before_the_others_are_known(scan, labels, tmp_path):
    """The other pictures are missing, as they are while a large page is read."""
    page = re.sub(r'(id="(?:fine|wide)">)[^<]*', r"\1", page_of(scan, labels))
    script = """
      const {width, height} = byId("slice");
      const {data} = byId("slice").getContext("2d").getImageData(0, 0, width, height);
      document.body.dataset.grey = data.some((part) => part > 100);
      document.body.dataset.slice = at();
    """
    recorded, _ = browse(page, tmp_path, script)
    assert (recorded["slice"], recorded["grey"]) == ("3", "true")


@needs_chromium
def test_these_tests_detect_an_error_in_the_page(scan, labels, tmp_path):
    broken = page_of(scan, labels).replace('"rows":', '"roms":')
    recorded, console = browse(broken, tmp_path, "throw new Error('seen')")
    assert console
    assert "done" not in recorded
