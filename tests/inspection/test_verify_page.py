"""The verify page: self-contained, escaped, without names of files or patients."""

from __future__ import annotations

import re
import shutil
from collections import Counter

import numpy as np
import pydicom
import pytest
from PIL import Image

from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.inspection.case_choice import CaseChoice
from liver_tf.inspection.case_pictures import picture_of
from liver_tf.inspection.fingerprint import CaseRow, Facts, sum_of
from liver_tf.inspection.hu_statistics import Histogram
from liver_tf.inspection.verify_page import verify_page
from liver_tf.labels import LITS, LabelSet
from liver_tf.refusals import Caution, Refusal
from tests.builders.browser import CLIPPED, SCREENS, browse, needs_chromium
from tests.builders.phantom_sets import KEY, read_table, run_command, run_process, write_table
from tests.builders.verify_pages import CANARY, Page, assert_self_contained, body_slice


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


@pytest.fixture(scope="module")
def bad_page(bad_set, tmp_path_factory):
    target = tmp_path_factory.mktemp("page") / "page.html"
    run_process("verify", "--source=slices", f"--input={bad_set}", f"--html={target}")
    return target.read_text("utf-8")


@needs_chromium
@pytest.mark.parametrize("size", SCREENS)
def test_nothing_is_clipped(bad_page, tmp_path, size):
    """Wide tables scroll inside the page; cards and pictures are as wide as a phone at most."""
    script = """
      const body = document.body.dataset;
      body.outside = clipped();
      body.pictures = document.querySelectorAll(".slice").length;
      const cards = [...document.querySelectorAll(".card")];
      body.wide = Math.max(...cards.map((one) => one.offsetWidth));
    """
    recorded, console = browse(bad_page, tmp_path, CLIPPED + script, size=size)
    assert console == []
    assert recorded["outside"] == ""
    assert int(recorded["pictures"]) > 0
    assert int(recorded["wide"]) < size[0]


def test_command_writes_a_page_without_names(bad_set, tmp_path):
    target = tmp_path / f"{CANARY}.html"
    before = sorted(bad_set.parent.rglob("*"))
    done = run_process(
        "verify", "--source=slices", f"--input={bad_set}", f"--html={target}", "--workers=2"
    )
    assert done.returncode == 1, done.stderr
    assert list(tmp_path.iterdir()) == [target]
    assert sorted(bad_set.parent.rglob("*")) == before
    text = target.read_text("utf-8")
    assert len(text) < 1_000_000
    page = assert_self_contained(text)
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
    # The terminal shows which file a case is; pseudonyms depend on the site's key.
    name = pseudonym(KEY, "case", f"{CANARY} p000")
    assert re.search(rf"{name}  .*{CANARY}\d+-image.dcm", done.stdout)
    assert name in page.text
    assert 'class="frame"' in text


def test_nothing_is_written_and_no_key_created_unless_requested(
    tiny_phantom, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return run_command("verify", "--source=lits", "--workers=1", *arguments, key=None)

    argument = f"--input={tiny_phantom / 'lits'}"
    assert run(argument).returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert run(argument, "--html=page.html").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    text = (tmp_path / "page.html").read_text("utf-8")
    page = assert_self_contained(text)
    assert "Masks on images: 2 of 2 cases" in page.text
    assert "nothing refused; no mask looks misplaced" in page.text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("name", "code"),
    [("page.csv", "html-name"), ("no/page.html", "html-folder"), ("there.html", "html-unwritable")],
)
def test_a_bad_target_is_refused_before_anything_is_read(tmp_path, name, code):
    (tmp_path / "there.html").mkdir()
    (tmp_path / "page.csv").write_text("mine")
    # The input is missing: reading it would be refused too.
    done = run_command(
        "verify",
        "--source=lits",
        f"--input={tmp_path / 'none'}",
        f"--html={tmp_path / name}",
        "--workers=1",
    )
    assert done.returncode == 1
    assert f"[{code}]" in done.stderr
    assert "lits" not in done.stdout + done.stderr
    assert (tmp_path / "page.csv").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.csv", "there.html"]


def test_a_page_without_cases_announces_no_files(tmp_path):
    target = tmp_path / "page.html"
    done = run_command("verify", "--source=lits", f"--input={tmp_path}", f"--html={target}")
    assert done.returncode == 1
    assert done.stdout.rstrip().endswith(f"Wrote {target}.")


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
    page = assert_self_contained(text)
    assert not {"i", "u", "s", "em", "q"} & set(page.tags)
    assert "secret" not in text
    assert "<b>&'\"" in page.text


def test_page_of_an_empty_data_set():
    text = verify_page(Facts(), LITS, [], {"program": "x"})
    page = Page(text)
    assert "0 cases of 0 patients read" in page.text
    assert "Distributions" not in page.text
