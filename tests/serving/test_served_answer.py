"""The answer of an exported model about a DICOM slice, in words."""

import json

import numpy as np
import pytest

from liver_tf.labels import LabelSet
from liver_tf.refusals import Refusal
from liver_tf.scan_ranges import ScanRanges
from liver_tf.serving import served_answer
from liver_tf.serving.model_clients import Loaded
from liver_tf.trained_on import CascadeTrainedOn, TrainedOn
from tests.builders.ct_files import phantom_hu, write_dicom

LABELS = LabelSet("served", ("background", "liver", "cyst", "hemangioma", "metastasis"))


@pytest.fixture(scope="module")
def model_id(exported):
    return json.loads((exported.folder / "assets.extra" / "model.json").read_text())["model_id"]


def larger(hu):
    """Four pixels for each: a slice of 24 x 32 pixels is smaller than any liver."""
    return np.kron(hu, np.ones((2, 2), hu.dtype))


def answer_of(probabilities, liver=True, lesion=True, model_id=0):
    """A client whose answer is a cyst by most pixels: 3 of the first row, in a liver of 4."""

    def client(hu, spacing_mm):
        label_map = np.zeros(hu.shape, np.uint8)
        label_map[0, 0, :3] = 2 if lesion else 0
        pixel_mm2 = spacing_mm[0, 0] * spacing_mm[0, 1] or np.nan
        return {
            "label_map": label_map,
            "model_id": np.array([model_id]),
            "found_liver": np.array([liver]),
            "found_lesion": np.array([lesion]),
            "diagnosis": np.int32([2 if lesion else 0]),
            "diagnosis_probability": np.float32([probabilities]),
            "liver_area_mm2": np.float32([4 * pixel_mm2 if liver else 0]),
            "lesion_area_mm2": np.float32([3 * pixel_mm2 if lesion else 0]),
        }

    return client


def test_both_rules_for_the_type_are_reported(exported, tmp_path, model_id):
    """Most pixels may be cyst while their mean probability favours metastasis."""
    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))

    def lines_of(client):
        return list(served_answer.ask(client, exported.folder, path, None))

    lines = lines_of(answer_of([0.45, 0.07, 0.48], model_id=model_id))
    assert lines[1:4] == [
        "diagnosis: cyst",
        "  (the majority type of the lesion pixels)",
        "mean probabilities over the lesion pixels:",
    ]
    assert (
        "diagnosis_agrees: no: cyst by most lesion pixels, metastasis by mean probability; "
        "check the picture" in lines
    )
    assert "diagnosis_agrees: yes" in lines_of(answer_of([0.48, 0.07, 0.45], model_id=model_id))
    healthy = lines_of(answer_of([0, 0, 0], lesion=False, model_id=model_id))
    assert healthy[1] == "diagnosis: no lesion found"
    assert not any("agrees" in line or "cyst" in line for line in healthy)


def test_the_notice_comes_first(exported, tmp_path, model_id, monkeypatch):
    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))
    stored = json.loads((exported.folder / "assets.extra" / "model.json").read_text())
    stored["trained_on"]["notice"] = "Learned from phantoms."
    monkeypatch.setattr(served_answer, "read_json", lambda path: stored)
    client = answer_of([0.5, 0.2, 0.3], model_id=model_id)
    first, second, *_ = served_answer.ask(client, exported.folder, path, None)
    assert first == "note: Learned from phantoms."
    assert second == "diagnosis: cyst"


def test_a_slice_outside_the_training_data_is_reported(exported, tmp_path, model_id, monkeypatch):
    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))
    network = TrainedOn("real", 3, 0, ranges=ScanRanges(pixel_mm=(0.2, 0.4)))
    stored = json.loads((exported.folder / "assets.extra" / "model.json").read_text())
    stored["trained_on"] = CascadeTrainedOn(network, (network,)).to_json()
    monkeypatch.setattr(served_answer, "read_json", lambda path: json.loads(json.dumps(stored)))
    client = answer_of([0.5, 0.2, 0.3], model_id=model_id)
    (line,) = [
        line
        for line in served_answer.ask(client, exported.folder, path, None)
        if "outside the range of the training data" in line
    ]
    assert "mm (0.2 to 0.4 mm)" in line
    del stored["trained_on"]  # an earlier version
    lines = served_answer.ask(client, exported.folder, path, None)
    first, *others = lines
    assert first == "note: It is not known what these networks learned from: research use only."
    assert not any("training data" in line for line in others)


@pytest.mark.parametrize(("mm", "unusual"), [(0.8, True), (6.0, False)])
def test_an_unusual_field_of_view_is_reported(exported, tmp_path, model_id, mm, unusual):
    hu = larger(phantom_hu()[2])
    assert max(hu.shape) * 0.8 < 150 < max(hu.shape) * 6.0

    def spaced(dataset):
        dataset.PixelSpacing = [mm, mm]

    path = write_dicom(tmp_path / "slice.dcm", hu, change=spaced)
    lines = list(
        served_answer.ask(answer_of([1, 0, 0], model_id=model_id), exported.folder, path, None)
    )
    assert any("By its spacing the slice measures" in line for line in lines) == unusual


def test_a_slice_without_liver_is_not_called_healthy(exported, tmp_path, model_id):
    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))
    client = answer_of([0, 0, 0], liver=False, lesion=False, model_id=model_id)
    _, second, *_ = served_answer.ask(client, exported.folder, path, None)
    assert second == "diagnosis: no liver found: not the same as a healthy liver"


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
        ("diagnosis", np.array([3])),
        ("found_lesion", np.array([False])),
        ("found_liver", np.array([False])),
        ("label_map", None),
        ("diagnosis_probability", np.full((1, 3), np.nan)),
        ("diagnosis_probability", np.zeros((1, 7))),
        ("diagnosis_probability", np.full((1, 3), 0.9)),
        ("lesion_area_mm2", None),
        # 3 lesion pixels of 0.5 x 0.8 mm in a slice of 16
        *(("lesion_area_mm2", np.float32([mm2])) for mm2 in (0, 0.8, 1.6, np.nan, np.inf, -1.2)),
        *(("liver_area_mm2", np.float32([mm2])) for mm2 in (0, 6.41, np.nan, np.inf, -1.6)),
    ],
)
def test_an_answer_that_no_model_gives_is_refused(name, value):
    spacing_mm = np.array([[0.5, 0.8]])
    answer = answer_of([0.6, 0.3, 0.1])(np.zeros((1, 4, 4)), spacing_mm)
    served_answer._check_answer(answer, LABELS, (1, 4, 4), spacing_mm)
    answer = {**answer, name: value}
    if value is None:
        del answer[name]
    with pytest.raises(Refusal, match=rf"answer-invalid.*{name}"):
        served_answer._check_answer(answer, LABELS, (1, 4, 4), spacing_mm)


@pytest.mark.parametrize("name", ["lesion_area_mm2", "liver_area_mm2"])
def test_an_area_without_spacing_is_refused(name):
    spacing_mm = np.zeros((1, 2))
    answer = answer_of([0.6, 0.3, 0.1])(np.zeros((1, 4, 4)), spacing_mm)
    served_answer._check_answer(answer, LABELS, (1, 4, 4), spacing_mm)
    with pytest.raises(Refusal, match=rf"answer-invalid.*{name}"):
        served_answer._check_answer(
            {**answer, name: np.float32([1.2])}, LABELS, (1, 4, 4), spacing_mm
        )


def test_the_answer_of_the_model_itself_is_accepted(exported, tmp_path):
    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))
    client = Loaded(exported.folder)
    lines = list(served_answer.ask(client, exported.folder, path, None))
    assert lines[1].startswith("diagnosis: ")


def test_the_answer_of_another_model_is_refused(exported, tmp_path, model_id):
    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))
    another = answer_of([1, 0, 0], model_id=model_id + 1)
    with pytest.raises(Refusal, match=rf"\[other-model\].*number {model_id}; found number"):
        list(served_answer.ask(another, exported.folder, path, None))

    def old(hu, spacing_mm):
        answer = answer_of([1, 0, 0])(hu, spacing_mm)
        return {name: value for name, value in answer.items() if name != "model_id"}

    with pytest.raises(Refusal, match=r"\[other-model\].*an answer without its number"):
        list(served_answer.ask(old, exported.folder, path, None))
    served_answer._refuse_other_model(old(np.zeros((1, 4, 4)), np.ones((1, 2))), None)


def test_a_damaged_description_of_the_model_is_refused(exported, tmp_path):
    model = tmp_path / "1"
    (model / "assets.extra").mkdir(parents=True)
    (model / "saved_model.pb").touch()
    path = write_dicom(tmp_path / "slice.dcm", larger(phantom_hu()[2]))
    for text in (None, "{", "[]", '{"labels": 3}', '{"labels": ["air"]}', "[" * 100_000):
        if text is not None:
            (model / "assets.extra" / "model.json").write_text(text)
        with pytest.raises(Refusal, match=r"\[model-damaged\]"):
            list(served_answer.ask(None, model, path, None))
