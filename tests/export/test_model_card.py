"""The model card shows names from runs and reports as they are, never as Markdown or HTML."""

import pytest

from liver_tf.export.model_card import model_card
from liver_tf.scan_ranges import ScanRanges
from liver_tf.trained_on import CascadeTrainedOn, TrainedOn

HOSTILE = "x](http://e.example) ![a](b) <script>alert(1)</script> *b* `c` | d\n\n# e\n- f"

TRAINED_ON = CascadeTrainedOn(
    TrainedOn("real", 3, 0, ranges=ScanRanges(slice_mm=(1.0, 5.0))), (TrainedOn("real", 3, 0),)
)


def network(fingerprint):
    return {"data_fingerprint": fingerprint, "window": [-160, 240], "mean_hu": 100.0, "sd_hu": 30.0}


@pytest.fixture
def card():
    meaning = {
        "liver_tf": "1.0",
        "tensorflow": HOSTILE,
        "liver_network": network("`a` <b>"),
        "lesion_network": network("0" * 64),
        "lesion_networks": 1,
        "provenance": {f"run {HOSTILE}": HOSTILE},
        "labels": ["background", HOSTILE],
        "trained_on": TRAINED_ON.to_json(),
        "decision": "argmax",
        "postprocessing": {"corrected": False},
        "in_liver_only": True,
        "flips": False,
        "spacing_unknown": HOSTILE,
    }
    measures = {
        "data": HOSTILE,
        "level": 0.95,
        "titles": {"success": HOSTILE},
        "cautions": [HOSTILE],
        "counts": dict.fromkeys(
            ("images", "lesion_images", "healthy_images", "patients", "networks"), 2
        ),
        "measures": {
            "success": {"value": 0.5, "low": None, "high": None, "samples": 0, "patients": 2}
        },
    }
    return model_card(meaning, measures)


def test_names_are_shown_as_they_are(card):
    markdown_it = pytest.importorskip("markdown_it")
    page = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(card)
    for tag in ("<a ", "<img", "<script", "<em>"):
        assert tag not in page
    assert page.count("<code>") == 2
    assert page.count("<h1>") == 1
    assert page.count("<tr>") == 2
    text = HOSTILE.replace("\n", "\\n").replace("<", "&lt;").replace(">", "&gt;")
    assert page.count(text) == 8


def test_the_ranges_of_the_training_scans_are_stated(card):
    assert "- Range of the training scans, liver network: distance of slices 1 to 5 mm." in card
    unknown = "- Range of the training scans, lesion network: unknown; scans cannot be compared"
    assert unknown in card
    assert "learned from patients (3 patients): research use only." in card


def test_no_line_is_added(card):
    assert "\n# e" not in card
    assert "\n- f" not in card
