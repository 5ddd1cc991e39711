"""The page of verify: whole, self-contained, without names, and a misplaced mask is seen on it."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from skimage.draw import polygon2mask

from liver_tf.conversion.cases import LabelledSlice
from liver_tf.conversion.process_engine import in_processes
from liver_tf.conversion.sources import find_lits, find_slices
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.inspection.case_choice import CaseChoice
from liver_tf.inspection.case_pictures import SIDE, look_at_case, picture_of
from liver_tf.inspection.contact_sheet import picture_svg
from liver_tf.inspection.distributions import diameter_counts
from liver_tf.inspection.fingerprint import CaseRow, Facts, facts_of_case, sum_of
from liver_tf.inspection.hu_statistics import Histogram
from liver_tf.inspection.lesion_count import LesionCount
from liver_tf.inspection.svg_charts import dots_svg, histogram_svg, nice_step
from liver_tf.inspection.verify_page import verify_page
from liver_tf.labels import LESION_TYPES, LITS, LabelSet
from liver_tf.refusals import Caution, Refusal
from tests.builders.phantom_sets import KEY, MASK_VALUES, ROOT, command, read_table, write_table

CANARY = "CANARY"
REAL = Path(os.environ.get("LIVER_TF_REAL_DATA", ROOT.parent / "shared" / "data")) / "chaos_ct3"


class Page(HTMLParser):
    """Fails on tags that do not match; collects attributes and text."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def assert_asks_for_nothing(text: str) -> Page:
    page = Page(text)
    addresses = [value for name, value in page.attributes if name in ("src", "href")]
    assert addresses
    assert all(value.startswith("data:") for value in addresses)
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert not {"script", "iframe", "object", "embed"} & set(page.tags)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    return page


# Facts.


def test_histogram_by_hand():
    values = np.array([-201, -200, -191, -190, 0, 9, 10, 399, 400, 32767, -32768], np.int16)
    found = Histogram.of(values)
    counts = {number: count for number, count in enumerate(found.counts) if count}
    # Bins 0 and 1 begin at -200 and -190 HU, 20 and 21 at 0 and 10 HU, the last at 390 HU.
    assert counts == {0: 2, 1: 1, 20: 2, 21: 1, 59: 1}
    assert (found.below, found.above, found.total) == (2, 2, 11)
    assert Histogram.of(values[:4]) + Histogram.of(values[4:]) == found
    assert Histogram.of(np.array([-0.5, 399.99], np.float32)).counts[19] == 1
    assert Histogram.of(values[:0]) == Histogram()


def test_diameter_counts_by_hand():
    counts = diameter_counts([0.0, 4.9, 5.0, 94.9, 95.0, 400.0])
    assert (counts[0], counts[1], counts[18], counts[19]) == (2, 1, 1, 2)
    assert len(counts) == 20


@pytest.mark.parametrize("stacked", [True, False])
def test_lesions_of_a_scan_are_counted_as_another_library_counts_them(stacked):
    import cc3d
    from scipy import ndimage

    rng = np.random.default_rng(3)
    labels = rng.choice(np.array([0, 1, 2, 3], np.uint8), (9, 14, 12), p=[0.5, 0.36, 0.07, 0.07])
    labels[4] = 1  # an empty slice parts what it lies between
    count = LesionCount(stacked)
    for number, one in enumerate(labels):
        count.add(number, one, (2, 3))
    eight = np.ones((3, 3), bool)
    wanted = sum(
        cc3d.connected_components(labels == label, connectivity=26).max()
        if stacked
        else sum(ndimage.label(one == label, eight)[1] for one in labels)
        for label in (2, 3)
    )
    assert count.lesions == wanted > 10


def write_pair(folder, number, hu, labels, affine):
    folder.mkdir(exist_ok=True)
    for name, data in (("volume", hu), ("segmentation", labels)):
        nibabel.save(nibabel.Nifti1Image(data, affine), folder / f"{name}-{number}.nii.gz")


def test_row_of_a_scan_by_hand(tmp_path):
    hu = np.full((20, 16, 6), -1000, np.int16)
    hu[2:18, 2:14] = 40
    labels = np.zeros(hu.shape, np.uint8)
    labels[4:8, 4:10, 1:5] = 1  # 4 x 6 x 4 voxels, in LPS the patient's right
    labels[5, 5, 2:4] = 2  # one lesion over two slices
    labels[7, 8, 1] = 2
    hu[labels == 1], hu[labels == 2] = 110, 20
    write_pair(tmp_path, 7, hu, labels, np.diag([-2.0, -3.0, 5.0, 1.0]))
    (task,), _ = find_lits(tmp_path, KEY)
    facts = facts_of_case(task)
    (row,) = facts.rows
    assert row.case == pseudonym(KEY, "case", "lits-7")
    assert (row.slices, row.pixel_mm, row.slice_mm) == (6, (3.0, 2.0), 5.0)
    assert row.liver_ml == pytest.approx(4 * 6 * 4 * 2 * 3 * 5 / 1000)
    assert row.lesions == 2
    assert (row.liver_hu.mean, row.liver_hu.sd) == (110, 0)
    assert row.right_share == 1.0
    # 110 HU lie in the bin from 110 on, number 31; 20 HU in number 22.
    assert facts.hu_histograms[1].counts[31] == facts.hu_histograms[1].total == 4 * 6 * 4 - 3
    assert facts.hu_histograms[2].counts[22] == facts.hu_histograms[2].total == 3


def test_liver_volume_of_real_ct_is_the_one_that_comes_with_it():
    if not REAL.is_dir():
        pytest.skip("real CT not found: set LIVER_TF_REAL_DATA to the folder with chaos_ct3")
    (task,), _ = find_lits(REAL, KEY)
    facts, pictures = look_at_case(task)
    assert facts.rows[0].liver_ml == pytest.approx(1417, abs=1)
    assert facts.cautions == []
    assert len(pictures) == 2  # no lesion


def test_workers_do_not_change_facts_or_pictures(tiny_phantom):
    tasks, _ = find_slices(tiny_phantom / "sheba/slices.csv", KEY, LESION_TYPES, MASK_VALUES)
    one, two = (list(in_processes(look_at_case, tasks, workers)) for workers in (1, 2))
    assert one == two
    assert one[0][0].rows[0].slices == len(tasks[0].rows)


# Pictures.


def body_slice(mirror=None, spacing_mm=(0.8, 0.8)) -> LabelledSlice:
    """A body with a liver of 110 HU on the left of the picture, its mask mirrored or not."""
    hu = np.full((120, 160), -1000, np.int16)
    hu[10:110, 10:150] = -90
    hu[20:80, 20:75] = 110
    hu[30:70, 90:115], hu[30:70, 120:140] = -900, 130  # gas in the stomach, spleen
    hu[85:105, 70:90] = 500
    labels = np.zeros(hu.shape, np.uint8)
    labels[20:80, 20:75] = 1
    labels[30:45, 30:50] = 3
    hu[30:45, 30:50] = 170
    if mirror is not None:
        labels = np.flip(labels, mirror)
    return LabelledSlice(0, hu, labels, spacing_mm, "", 5.0)


def decoded(picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.jpeg))))


def filled(path: str, shape, units_per_pixel) -> np.ndarray:
    """The pixels whose centres lie inside a closed path."""
    mask = np.zeros(shape, bool)
    for part in path.split("Z")[:-1]:
        points = [pair.split() for pair in part.strip().removeprefix("M").split("L")]
        points = np.array(points, float)[:, ::-1] / units_per_pixel - 0.5
        mask ^= polygon2mask(shape, points)
    return mask


@pytest.mark.parametrize("spacing_mm", [(0.8, 0.8), (1.0, 0.5), None])
def test_outlines_lie_where_the_mask_ends(spacing_mm):
    one = body_slice(spacing_mm=spacing_mm)
    picture = picture_of(one, "", LESION_TYPES)
    row_mm, column_mm = spacing_mm or (1.0, 1.0)
    # The crop leaves 4 pixels of air round the body of 100 x 140 pixels.
    height, width = 108 * row_mm, 148 * column_mm
    assert picture.height / picture.width == pytest.approx(height / width, rel=1e-3)
    assert max(picture.height, picture.width) == SIDE
    units = SIDE / max(height, width)
    assert picture.units_per_mm == (None if spacing_mm is None else pytest.approx(units))
    crop = one.labels[6:114, 6:154]
    scale = np.array([row_mm, column_mm]) * units
    for label, path in picture.outlines:
        wanted = crop >= 1 if label == 1 else crop == label
        found = filled(path, crop.shape, scale)
        assert (found != wanted).sum() <= 0.01 * wanted.sum()
    assert [label for label, _ in picture.outlines] == [1, 3]
    grey = decoded(picture)
    assert grey.shape == crop.shape
    # 110 HU in the window from -160 to 240 HU.
    assert grey[60, 60] == pytest.approx((110 + 160) / 400 * 255, abs=4)


def test_a_large_slice_becomes_small():
    rng = np.random.default_rng(0)
    hu = rng.normal(100, 30, (512, 512)).astype(np.int16)
    picture = picture_of(
        LabelledSlice(0, hu, np.ones(hu.shape, np.uint8), None, "", None), "", LITS
    )
    assert decoded(picture).shape == (SIDE, SIDE)
    assert len(picture.jpeg) < 90_000


def test_outlines_have_the_colours_of_the_label_set():
    svg = picture_svg(picture_of(body_slice(), "", LESION_TYPES), LESION_TYPES, framed=False)
    drawn = dict(re.findall(r'data-label="(\d+)" d="[^"]+" stroke="(#\w+)"', svg))
    assert drawn == {"1": LESION_TYPES.colour(1), "3": LESION_TYPES.colour(3)}
    assert re.findall(r">([RLAP])</text>", svg) == ["R", "L", "A", "P"]
    place = {
        letter: (float(x), float(y))
        for x, y, letter in re.findall(r'<text x="(\S+)" y="(\S+)">([RLAP])<', svg)
    }
    # The patient's right on the left of the picture, front at the top.
    assert place["R"][0] < 0 < place["L"][0]
    assert place["A"][1] < 0 < place["P"][1]


def test_lines_of_32_classes_all_differ():
    label_set = LabelSet("many", ("background", "liver", *(f"kind{n}" for n in range(30))))
    labels = np.zeros((64, 64), np.uint8)
    labels.reshape(-1)[: 32 * 8] = np.repeat(np.arange(32), 8)
    one = LabelledSlice(0, np.zeros((64, 64), np.int16), labels, (1.0, 1.0), "", None)
    svg = picture_svg(picture_of(one, "", label_set), label_set, framed=False)
    lines = re.findall(r'd="[^"]+" (stroke=.*?)/>', svg)
    styles = [re.sub(r'stroke-width="\S+"', "", line) for line in lines if "data" not in line]
    assert len(set(styles)) >= 31


@pytest.mark.parametrize(
    ("mirror", "codes"),
    [
        (None, set()),
        (1, {"liver-hu", "lesion-hu", "liver-side", "mask-mirrored"}),
        (0, {"mask-mirrored"}),
    ],
)
def test_a_mirrored_mask_is_told_and_seen(mirror, codes):
    right = picture_of(body_slice(), "", LESION_TYPES)
    picture = picture_of(body_slice(mirror), "", LESION_TYPES)
    found = {caution.code for caution in picture.cautions}
    assert found == codes
    assert (picture.outlines == right.outlines) == (mirror is None)
    assert picture.jpeg == right.jpeg


def test_mirrored_masks_of_scans(tiny_phantom, tmp_path):
    for number, axis in ((0, None), (1, None), (10, 0), (21, 1)):
        source = number % 10
        for part in ("volume", "segmentation"):
            image = nibabel.load(tiny_phantom / f"lits/{part}-{source}.nii.gz")
            data = np.asarray(image.dataobj)
            if part == "segmentation" and axis is not None:
                data = np.flip(data, axis)
            nibabel.save(
                nibabel.Nifti1Image(data, image.affine, image.header),
                tmp_path / f"{part}-{number}.nii.gz",
            )
    tasks, _ = find_lits(tmp_path, KEY)
    rows = {task.volume.name: look_at_case(task)[0].rows[0] for task in tasks}
    assert rows["volume-0.nii.gz"].cautions == rows["volume-1.nii.gz"].cautions == Counter()
    assert {"mask-mirrored", "liver-side"} <= set(rows["volume-10.nii.gz"].cautions)
    assert "mask-mirrored" in rows["volume-21.nii.gz"].cautions
    assert rows["volume-10.nii.gz"].right_share < 0.3 < 0.7 < rows["volume-0.nii.gz"].right_share


# Which cases.


def choice_of(limit, cases):
    choice = CaseChoice(limit)
    picture = picture_of(body_slice(), "", LESION_TYPES)
    for name, diagnosis, cautions in cases:
        row = CaseRow(name, slices=1, cautions=Counter(cautions))
        choice.add(row, (replace(picture, diagnosis=diagnosis),))
    return [case.row.case for case in choice.pictured]


def test_odd_cases_come_first_and_no_diagnosis_is_missing():
    cases = [(f"cyst{n}", "cyst", ()) for n in range(9)]
    cases += [("odd", "cyst", ("dicom-lossy",)), ("bad", "cyst", ("liver-hu",))]
    cases += [("meta", "metastasis", ()), ("healthy", "healthy", ())]
    assert choice_of(3, cases) == ["bad", "meta", "healthy"]
    assert choice_of(5, cases) == ["bad", "odd", "cyst0", "meta", "healthy"]
    assert choice_of(1, cases) == ["bad"]
    assert len(choice_of(50, cases)) == len(cases)


def test_choice_holds_few_of_many():
    choice = CaseChoice(4)
    picture = picture_of(body_slice(), "", LESION_TYPES)
    for number in range(500):
        choice.add(CaseRow(str(number), slices=1), (picture,))
    choice.add(CaseRow("refused"), ())
    assert len(choice._kept) == 4
    assert [case.row.case for case in choice.pictured] == ["0", "1", "2", "3"]


# The page.


@pytest.fixture(scope="module")
def bad_set(tiny_phantom, tmp_path_factory):
    """The phantom's slices with three faults; names of files and patients are canaries."""
    folder = tmp_path_factory.mktemp("set") / f"{CANARY} hospital"
    shutil.copytree(tiny_phantom / "sheba", folder)
    rows = read_table(folder / "slices.csv")
    for number, row in enumerate(rows):
        row["slice_id"] = f"{CANARY}-{number}"
        row["patient_id"] = f"{CANARY} {row['patient_id']}"
        for column in ("image", "mask"):
            old = folder / row[column]
            row[column] = f"{CANARY}{number}-{column}{old.suffix}"
            old.rename(folder / row[column])
        file = pydicom.dcmread(folder / row["image"])
        file.PatientName = file.StationName = file.InstitutionName = f"{CANARY}^A"
        file.ManufacturerModelName = CANARY
        file.ConvolutionKernel = CANARY
        file.ContrastBolusAgent = CANARY
        file.save_as(folder / row["image"])
    rows[0]["diagnosis"] = f"{CANARY}oma"
    image = folder / rows[1]["image"]
    image.write_bytes(image.read_bytes()[:-5])
    (folder / rows[2]["mask"]).write_bytes(b"\x89PNG CANARY")
    mask = folder / rows[3]["mask"]
    Image.fromarray(np.asarray(Image.open(mask))[:, ::-1].copy()).save(mask)
    return write_table(folder / "slices.csv", rows)


def test_command_writes_a_page_without_names(bad_set, tmp_path):
    target = tmp_path / f"{CANARY}.html"
    before = sorted(bad_set.parent.rglob("*"))
    done = command(
        "verify", "--source=slices", f"--input={bad_set}", f"--html={target}", "--workers=2"
    )
    assert done.returncode == 1, done.stderr
    assert list(tmp_path.iterdir()) == [target]
    assert sorted(bad_set.parent.rglob("*")) == before
    text = target.read_text("utf-8")
    assert len(text) < 1_000_000
    page = assert_asks_for_nothing(text)
    assert CANARY.lower() not in text.lower()
    assert str(bad_set.parent.parent) not in text
    for code in ("csv-diagnosis", "dicom-truncated", "mask-unreadable", "mask-mirrored"):
        assert (code in page.text) == (f"{code}]" in done.stdout), code
    assert "dicom-truncated" in page.text
    assert "Copy the file again, or export it again from the archive." in page.text
    assert "mask-mirrored" in page.text
    codes = set(re.findall(r"\[([a-z0-9-]+)\] expected", done.stdout))
    assert len(codes) == 3
    assert codes <= set(re.split(r"[\s,]+", page.text))
    good = {row["patient_id"] for row in read_table(bad_set)[3:]}
    assert f"agent named: {len(good)} cases" in page.text
    # The terminal tells which file a case is; pseudonyms are those of the site's key.
    name = pseudonym(KEY, "case", f"{CANARY} p000")
    assert re.search(rf"{name}  .*{CANARY}\d+-image.dcm", done.stdout)
    assert name in page.text
    assert 'class="frame"' in text


def test_nothing_is_written_and_no_key_made_without_being_asked(tiny_phantom, tmp_path):
    environment = {name: value for name, value in os.environ.items() if "SITE_KEY" not in name}
    environment["PYTHONPATH"] = str(ROOT)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "data_prep.verify", "--source=lits", "--workers=1", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    given = f"--input={tiny_phantom / 'lits'}"
    assert run(given).returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert run(given, "--html=page.html").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    text = (tmp_path / "page.html").read_text("utf-8")
    page = assert_asks_for_nothing(text)
    assert "Masks on images: 2 of 2 cases" in page.text
    assert "nothing is refused; no mask looks misplaced" in page.text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("name", "code"),
    [("page.csv", "html-name"), ("no/page.html", "html-folder"), ("there.html", "html-unwritable")],
)
def test_a_bad_target_is_refused_before_anything_is_read(tmp_path, name, code):
    (tmp_path / "there.html").mkdir()
    (tmp_path / "page.csv").write_text("mine")
    # The input is missing: reading it would be refused too.
    done = command(
        "verify", "--source=lits", f"--input={tmp_path / 'none'}", f"--html={tmp_path / name}"
    )
    assert done.returncode == 1
    assert f"[{code}]" in done.stdout
    assert "lits" not in done.stdout
    assert (tmp_path / "page.csv").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.csv", "there.html"]


def test_everything_is_escaped():
    label_set = LabelSet("lesion_types", ("background", "liver", "<b>&'\""))
    picture = picture_of(body_slice(), "<i>", label_set)
    facts = sum_of(
        [
            Facts(
                cases=1,
                slices=1,
                class_pixels=Counter({0: 5, 2: 1}),
                diagnosis_slices=Counter({"<b>&'\"": 1}),
                diagnosis_patients={"<b>&'\"": {"p"}},
                hu_histograms={2: Histogram.of(np.array([5]))},
                diameters_mm={2: [3.0]},
                cautions=[Caution("<u>", "<s>")],
                rows=[CaseRow("<em>", slices=1, diagnoses=("<b>&'\"",))],
            )
        ],
        [Refusal("<u>", "/secret", expected="<s>", found="<s>", remedy="<s>")],
    )
    choice = CaseChoice(1)
    choice.add(facts.rows[0], (picture,))
    text = verify_page(facts, label_set, choice.pictured, {"<q>": "<q>"})
    page = assert_asks_for_nothing(text)
    assert not {"i", "u", "s", "em", "q"} & set(page.tags)
    assert "secret" not in text
    assert "<b>&'\"" in page.text


def test_page_of_nothing():
    text = verify_page(Facts(), LITS, [], {"program": "x"})
    page = Page(text)
    assert "0 cases of 0 patients read" in page.text
    assert "Distributions" not in page.text


# Charts.


def bars(svg):
    """Of each bar: left, width, height."""
    found = re.findall(r'<rect x="(\S+)" y="\S+" width="(\S+)" height="(\S+)" fill="#123456"', svg)
    return [tuple(map(float, bar)) for bar in found]


def test_bars_are_as_high_as_their_shares():
    svg = histogram_svg("t", [0.0, 0.25, 0.5], 0, 30, unit="mm", colour="#123456")
    (left_1, width_1, height_1), (left_2, width_2, height_2) = bars(svg)
    assert height_2 == pytest.approx(2 * height_1, abs=0.2)
    assert width_1 == pytest.approx(width_2, abs=0.11)
    assert left_2 - left_1 == pytest.approx(width_1, abs=0.11)
    ticks = re.findall(r'text-anchor="middle">([^<]+)<', svg)
    assert ticks == ["0", "5", "10", "15", "20", "25", "30"]
    assert ">50%<" in svg
    Page(svg)


def test_dots_outside_the_axis_are_drawn_at_its_end():
    svg = dots_svg("t", [(-900.0, True), (100.0, False), (101.0, True)], -200, 400, unit="HU")
    dots = re.findall(r'<circle cx="(\S+)" cy="(\S+)" r="2.6" fill="(\S+)"', svg)
    assert len(dots) == 3
    places = sorted((float(x), float(y)) for x, y, _ in dots)
    assert places[0][0] < places[1][0] == places[2][0]
    assert places[1][1] != places[2][1]
    assert [colour for *_, colour in dots].count("#d00000") == 2


@pytest.mark.parametrize(("span", "step"), [(600, 100), (100, 20), (0.2, 0.05), (7, 2), (6, 1)])
def test_steps_are_round(span, step):
    assert nice_step(span) == pytest.approx(step)
