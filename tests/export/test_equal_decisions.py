"""Each decision rule: equal label maps in evaluate, predict, the SavedModel and OpenVINO."""

import json

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.assessment.slice_predictor import SlicePredictor
from liver_tf.export.saved_model import write_saved_model
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.records.record_schema import SliceRecord
from liver_tf.serving.model_clients import OpenVino
from tests.builders.served import Exported, call_model, require_openvino

#: Of the classes background, liver, cyst, hemangioma (no pixel in training) and metastasis.
WEIGHTS = (0.3, 0.6, 40.0, 0.0, 9.0)

RULES = {
    "argmax": PostProcessing(),
    "prior_corrected": PostProcessing(corrected=True),
    "threshold": PostProcessing(0.03, True, 12.0, corrected=True),
    "uncorrected threshold": PostProcessing(0.98, least_area_mm2=12.0),
    "outlined": PostProcessing(),
    "outlined threshold": PostProcessing(0.6, least_area_mm2=12.0),
}
#: Means of background, liver and lesion of an outline network, in HU.
OUTLINE = (-60, 110, 135)
SPACING = 0.8


def cascade_of(make, name, **options):
    """The cascade that follows a rule; ``make`` is ``intensity_cascade``."""
    outline = OUTLINE if "outlined" in name else None
    return make(class_weights=WEIGHTS, outline=outline, **options)


def slices():
    """Livers with a smooth ramp of HU, through the means of all classes; int16 [3, 64, 64]."""
    hu = np.full((3, 64, 64), -200, np.int16)
    ramps = ((20, 180), (40, 130), (90, 200))
    for image, (low, high) in zip(hu, ramps, strict=True):
        image[10:54, 8:56] = 110
        image[18:46, 14:50] = np.linspace(low, high, 36).astype(np.int16)
        image[12:15, 12:15] = 40
    return hu


#: ``test_saved_model.py`` exports a cascade with argmax in the short tests.
SHORT = ("threshold", "outlined threshold")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[] if name in SHORT else [pytest.mark.long]) for name in RULES
    ],
    ids=str,
)
def rule(request, intensity_cascade, tmp_path_factory):
    """Name of a rule, and the exported cascade that follows it."""
    cascade = cascade_of(intensity_cascade, request.param, how=RULES[request.param])
    folder = tmp_path_factory.mktemp("rule") / "liver" / "1"
    write_saved_model(cascade, folder, {})
    return request.param, Exported(cascade, folder, tf.saved_model.load(str(folder)))


def predicted(cascade):
    """Label maps as ``trainers.predict`` writes them."""
    spacing = (SPACING, SPACING)
    return np.stack([cascade.predict(hu[None], spacing).labels[0] for hu in slices()])


@pytest.mark.long
def test_the_rules_give_different_label_maps(intensity_cascade):
    maps = [predicted(cascade_of(intensity_cascade, name, how=how)) for name, how in RULES.items()]
    for index, labels in enumerate(maps):
        assert len(np.unique(labels)) > 2
        assert all((labels != other).any() for other in maps[:index])
    hemangioma = [bool((labels == 3).any()) for labels in maps]
    assert hemangioma == [True, False, False, True, True, True]


def test_evaluate(rule):
    _, exported = rule
    records = [
        SliceRecord(hu, np.zeros(hu.shape, np.uint8), (SPACING, SPACING), "p", "c", index, "")
        for index, hu in enumerate(slices())
    ]
    answers = SlicePredictor(exported.cascade)(records)
    np.testing.assert_array_equal([each.labels for each in answers], predicted(exported.cascade))


@pytest.mark.parametrize("signature", ["serving_default", "hu_int16"])
def test_export(rule, signature):
    _, exported = rule
    hu = slices().astype(np.float32 if signature == "serving_default" else np.int16)
    answer = call_model(exported.signature(signature), hu, np.full((3, 2), SPACING))
    np.testing.assert_array_equal(answer["label_map"], predicted(exported.cascade))


def test_export_of_a_volume(rule):
    _, exported = rule
    answer = call_model(exported.signature("volume"), slices(), np.full(3, SPACING))
    expected = exported.cascade.predict(slices(), (SPACING, SPACING)).labels
    np.testing.assert_array_equal(answer["label_map"], expected)


def test_openvino(rule):
    require_openvino()
    _, exported = rule
    spacing = np.full((3, 2), SPACING, np.float32)
    answer = OpenVino(exported.folder)(slices().astype(np.float32), spacing)
    np.testing.assert_array_equal(answer["label_map"], predicted(exported.cascade))


def test_reported_probabilities_are_those_of_the_rule(rule, intensity_cascade):
    """Of corrected rules corrected, of the others as before; hemangioma is then impossible."""
    name, exported = rule
    serve = exported.signature("probabilities")
    served = call_model(serve, slices().astype(np.float32), np.full((3, 2), SPACING))
    served = served["probabilities"].astype(np.float64)
    corrected = RULES[name].corrected
    assert served[..., 3].any() != corrected
    answer = call_model(exported.signature(), slices().astype(np.float32), np.full((3, 2), SPACING))
    lesion = (answer["label_map"] > 1)[..., None]
    of_types = (served[..., 2:] * lesion).sum(axis=(1, 2))
    expected = of_types / of_types.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer["diagnosis_probability"], expected, atol=1e-3)
    plain = cascade_of(intensity_cascade, name).undecided(
        tf.constant(slices()), tf.constant(np.full((3, 2), SPACING, np.float32))
    )
    origin = plain["origin"].numpy()
    for image, (row, column), window in zip(
        served, origin, plain["probabilities"].numpy(), strict=True
    ):
        rows, columns = window.shape[:2]
        part = image[row : row + rows, column : column + columns]
        assert np.allclose(part, window, atol=1e-3) != corrected


def test_the_model_states_its_rule(rule):
    name, exported = rule
    extra = exported.folder / "assets.extra"
    meaning = json.loads((extra / "model.json").read_text())
    how = RULES[name]
    assert meaning["decision"] == how.decision
    assert meaning["postprocessing"]["corrected"] == how.corrected
    assert meaning["lesion_network"]["class_weights"] == list(WEIGHTS)
    card = (extra / "model_card.md").read_text()
    assert f"Decision rule: {how.decision}." in card.replace("\\", "")
    assert "Liver outline: liver where its probability exceeds 0.5." in card
    assert ("not corrected for the class weights" in card) != how.corrected
