"""The answer of an exported model about a DICOM slice, in words."""

import numpy as np
import pytest

from liver_tf.labels import LabelSet
from liver_tf.refusals import Refusal
from liver_tf.serving import served_answer
from liver_tf.serving.model_clients import Loaded
from tests.builders.ct_files import phantom_hu, write_dicom


def larger(hu):
    """Four pixels for each: a slice of 24 x 32 pixels is smaller than any liver."""
    return np.kron(hu, np.ones((2, 2), hu.dtype))


def answer_of(probabilities, liver=True, lesion=True):
    """A client whose answer is a cyst by most pixels."""

    def client(hu, spacing_mm):
        return {
            "label_map": np.zeros(hu.shape, np.uint8),
            "found_liver": np.array([liver]),
            "found_lesion": np.array([lesion]),
            "diagnosis": np.int32([2 if lesion else 0]),
            "diagnosis_probability": np.float32([probabilities]),
            "liver_area_mm2": np.float32([100]),
            "lesion_area_mm2": np.float32([10]),
        }

    return client


def test_both_rules_for_the_type_are_reported(exported, tmp_path):
    """Most pixels may be cyst while their mean probability favours metastasis."""
    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))

    def lines_of(client):
        return list(served_answer.ask(client, exported.folder, path, None))

    lines = lines_of(answer_of([0.45, 0.07, 0.48]))
    assert lines[:3] == [
        "diagnosis: cyst",
        "  (the majority type of the lesion pixels)",
        "mean probabilities over the lesion pixels:",
    ]
    assert (
        "diagnosis_agrees: no: cyst by most lesion pixels, metastasis by mean probability; "
        "check the picture" in lines
    )
    assert "diagnosis_agrees: yes" in lines_of(answer_of([0.48, 0.07, 0.45]))
    healthy = lines_of(answer_of([0, 0, 0], lesion=False))
    assert healthy[0] == "diagnosis: no lesion found"
    assert not any("agrees" in line or "cyst" in line for line in healthy)


@pytest.mark.parametrize(("mm", "unusual"), [(0.8, True), (6.0, False)])
def test_an_unusual_field_of_view_is_reported(exported, tmp_path, mm, unusual):
    hu = larger(phantom_hu()[2])
    assert max(hu.shape) * 0.8 < 150 < max(hu.shape) * 6.0

    def spaced(dataset):
        dataset.PixelSpacing = [mm, mm]

    path = write_dicom(tmp_path / "slice.dcm", hu, change=spaced)
    lines = list(served_answer.ask(answer_of([1, 0, 0]), exported.folder, path, None))
    assert any("By its spacing the slice measures" in line for line in lines) == unusual


def test_a_slice_without_liver_is_not_called_healthy(exported, tmp_path):
    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))
    client = answer_of([0, 0, 0], liver=False, lesion=False)
    first = next(iter(served_answer.ask(client, exported.folder, path, None)))
    assert first == "diagnosis: no liver found: not the same as a healthy liver"


@pytest.mark.parametrize("name", ["slice.png", "slice.dcm"])
def test_a_picture_never_replaces_the_input(tmp_path, name):
    (tmp_path / "saved_model.pb").touch()
    path = tmp_path / name
    path.write_bytes(b"a slice")
    with pytest.raises(Refusal, match="picture-name"):
        list(served_answer.ask(None, tmp_path, path, path))
    assert path.read_bytes() == b"a slice"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("diagnosis", np.array([-1])),
        ("diagnosis", np.array([99])),
        ("label_map", None),
        ("diagnosis_probability", np.full((1, 3), np.nan)),
        ("diagnosis_probability", np.zeros((1, 7))),
        ("lesion_area_mm2", None),
    ],
)
def test_an_answer_that_no_model_gives_is_refused(name, value):
    labels = LabelSet("served", ("background", "liver", "cyst", "hemangioma", "metastasis"))
    answer = answer_of([0.6, 0.3, 0.1])(np.zeros((1, 4, 4)), None)
    served_answer._check_answer(answer, labels, (1, 4, 4))
    answer = {**answer, name: value}
    if value is None:
        del answer[name]
    with pytest.raises(Refusal, match=rf"answer-invalid.*{name}"):
        served_answer._check_answer(answer, labels, (1, 4, 4))


def test_the_answer_of_the_model_itself_is_accepted(exported, tmp_path):
    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))
    client = Loaded(exported.folder)
    lines = list(served_answer.ask(client, exported.folder, path, None))
    assert lines[0].startswith("diagnosis: ")
