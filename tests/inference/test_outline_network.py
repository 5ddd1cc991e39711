"""An outline network: where lesions are by one network, of which type by others.

The expected results are computed with NumPy from the formulas.
"""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from liver_tf.export.model_card import measures_of, provenance_of
from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade, typed_within
from liver_tf.inference.decision_rules import ARGMAX, PRIOR_CORRECTED
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.labels import LESION_TYPES, LITS, LIVER_ONLY
from liver_tf.model import unet
from liver_tf.model.architecture import Architecture
from liver_tf.model.weights_file import save_weights
from liver_tf.prediction.prediction_settings import PredictSettings
from liver_tf.refusals import Refusal
from tests.builders.label_maps import label_maps

#: Means in HU of background, liver and lesion; and of the classes of two typed networks.
OUTLINE = (-63, 110, 60)
TYPED = (-60, 110, 10, 170, 60), (-60, 110, 30, 150, 95)


def probabilities_of(means_hu, hu):
    """Those of the networks of ``intensity_cascade``: softmax of -2 (x - mean)^2 + 2 x^2."""
    x = (hu.astype(np.float64)[..., None] - 100) / 30
    means = (np.float64(means_hu) - 100) / 30
    logits = 4 * means * x - 2 * means**2
    values = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return values / values.sum(axis=-1, keepdims=True)


def within(outline, typed):
    """The formula, pixel by pixel."""
    expected = np.empty_like(typed)
    for place in np.ndindex(outline.shape[:-1]):
        background, liver, lesion = outline[place]
        types = typed[place][2:]
        expected[place] = background, liver, *(lesion * types / types.sum())
    return expected


def scan():
    """A liver that fills two slices of 32 x 32, so that nothing is resampled, with ramps of HU."""
    hu = np.full((2, 32, 32), 110, np.int16)
    hu[0, 4:28, 4:28] = np.linspace(-50, 235, 24).astype(np.int16)
    hu[1, 4:28, 4:28] = np.linspace(30, 120, 24 * 24).reshape(24, 24).astype(np.int16)
    return hu


@pytest.mark.parametrize(
    ("networks", "least"),
    [
        *((1, None), (2, 0.7)),
        *(pytest.param(*each, marks=pytest.mark.long) for each in ((1, 0.3), (1, 0.7))),
        *(pytest.param(*each, marks=pytest.mark.long) for each in ((2, None), (2, 0.3))),
    ],
)
def test_outlines_of_one_network_and_types_of_others(intensity_cascade, networks, least):
    how = PostProcessing(least)
    each = [
        intensity_cascade(margin_mm=0.0, outline=OUTLINE, means=means, how=how)
        for means in TYPED[:networks]
    ]
    cascade = Cascade(
        each[0].liver, [one.lesion_network for one in each], outline=each[0].outline, how=how
    )
    hu = scan()
    outline = probabilities_of(OUTLINE, hu)
    expected = [within(outline, probabilities_of(means, hu)) for means in TYPED[:networks]]
    mean = np.mean(expected, axis=0)
    lesion = outline.argmax(axis=-1) == 2 if least is None else outline[..., 2] >= least
    labels = np.where(lesion, mean[..., 2:].argmax(axis=-1) + 2, outline[..., :2].argmax(axis=-1))
    assert len(np.unique(labels)) >= 4
    prediction = cascade.predict(hu, (2.0, 2.0))
    assert [(box.row, box.column, box.side) for box in prediction.boxes] == [(0, 0, 32)] * 2
    np.testing.assert_array_equal(prediction.labels, labels)
    kept = np.stack(expected, axis=-2)[labels > 1][..., 2:]
    np.testing.assert_allclose(prediction.probabilities, kept, atol=1e-3)
    np.testing.assert_array_equal(label_maps(cascade, hu, np.full((2, 2), 2.0, np.float32)), labels)
    # Typed alone, the lesions would be others.
    alone = Cascade(each[0].liver, cascade.lesion_networks, how=how).predict(hu, (2.0, 2.0))
    assert ((alone.labels > 1) != lesion).any()


def test_shares_are_equal_without_types_and_nan_stays():
    outline = np.float32([[0.1, 0.3, 0.6], [0.0, 0.0, 0.0], [0.2, 0.2, 0.6], [np.nan] * 3])
    typed = np.float32(
        [[0.5, 0.5, 0, 0, 0], [0] * 5, [0.1, 0.1, np.nan, 0.2, 0.2], [0.2, 0.2, 0.3, 0.3, 0]]
    )
    result = typed_within(tf.constant(outline), tf.constant(typed)).numpy()
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0], [0.1, 0.3, 0.2, 0.2, 0.2], rtol=1e-6)
    assert not result[1].any()
    assert np.isnan(result[2:, 2:]).all()


def test_facts_training_data_and_constants_include_it(intensity_cascade):
    plain, outlined = intensity_cascade(), intensity_cascade(outline=OUTLINE)
    assert outlined.facts() == {**plain.facts(), "outline_networks": 1}
    assert len(plain.trained_on.lesion_networks) == 1
    assert len(outlined.trained_on.lesion_networks) == 2
    constants = outlined.with_constants()
    assert constants.outline is not outlined.outline
    hu = scan()
    np.testing.assert_array_equal(
        constants.predict(hu, None).labels, outlined.predict(hu, None).labels
    )


def test_class_weights_are_corrected_in_all_networks(intensity_cascade):
    weights = (0.3, 0.6, 4.0, 1.0, 9.0)
    how = PostProcessing(corrected=True)
    cascade = intensity_cascade(margin_mm=0.0, outline=OUTLINE, class_weights=weights, how=how)
    assert cascade.corrects
    hu = scan()
    outline, typed = (
        probabilities_of(means, hu) / weights[: len(means)] for means in (OUTLINE, TYPED[0])
    )
    outline /= outline.sum(axis=-1, keepdims=True)
    mean = within(outline, typed)
    lesion = outline.argmax(axis=-1) == 2
    labels = np.where(lesion, mean[..., 2:].argmax(axis=-1) + 2, outline[..., :2].argmax(axis=-1))
    np.testing.assert_array_equal(cascade.predict(hu, None).labels, labels)


@pytest.fixture(scope="module")
def runs(save_runs, make_network, tmp_path_factory):
    """Folders of a liver run, of two typed runs, and ``outline``, with post-processing."""
    folder = save_runs(tmp_path_factory.mktemp("runs"))
    description = dataclasses.replace(
        make_network("lesion").description,
        architecture=Architecture(32, 2, 3),
        label_set=LITS,
        class_weights=(1.0, 1.0, 2.0),
    )
    description.save(folder / "outline")
    save_weights(folder / "outline" / "weights.npz", unet.build(description.architecture, 3))
    postprocessing.save(folder / "outline", PostProcessing(0.4, least_area_mm2=12.0), {})
    postprocessing.save(folder / "one", PostProcessing(0.2), {})
    return folder


def test_the_rule_is_that_of_the_outline_run(runs):
    typed, outline = runs / "one", runs / "outline"
    load = Cascade.of_runs
    assert load(runs / "liver", typed).how == PostProcessing(0.2)
    outlined = load(runs / "liver", typed, outline, flips=True)
    assert outlined.how == PostProcessing(0.4, least_area_mm2=12.0)
    assert outlined.outline.flips
    assert load(runs / "liver", typed, outline, decision=ARGMAX).how == PostProcessing()
    with pytest.raises(Refusal, match="class-weights-unknown"):
        load(runs / "liver", typed, outline, decision=PRIOR_CORRECTED)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"window": (-100, 240)}, "window"),
        ({"mean_hu": 90.0}, "mean and SD"),
        ({"sd_hu": 31.0}, "mean and SD"),
        ({"roi": {"rule": {"margin_mm": 7.0}}}, "ROI rule"),
        ({"architecture": Architecture(64, 2, 3)}, "image size"),
        ({"label_set": LESION_TYPES}, "expected classes background, liver and one of lesions"),
        ({"label_set": LIVER_ONLY, "kind": "liver"}, r"found background, liver \(0 of lesions\)"),
    ],
)
def test_an_outline_network_that_differs_is_refused(runs, tmp_path, changes, words):
    cascade = Cascade.of_runs(runs / "liver", runs / "one", runs / "outline")
    changes = {"class_weights": None, **changes}
    description = dataclasses.replace(cascade.outline.description, **changes)
    other = tmp_path / "other"
    description.save(other)
    (other / "weights.npz").write_bytes((runs / "outline" / "weights.npz").read_bytes())
    with pytest.raises(Refusal, match=rf"\[outline-differs\].*{words}") as refused:
        Cascade.of_runs(runs / "liver", runs / "one", other)
    assert "--outline_model" in refused.value.remedy
    network = TrainedNetwork(cascade.outline.model, description)
    with pytest.raises(ValueError, match="outline network"):
        Cascade(cascade.liver, cascade.lesion_network, outline=network)


def test_networks_without_types_are_refused(runs):
    with pytest.raises(Refusal, match=r"\[outline-differs\] expected a lesion network with types"):
        Cascade.of_runs(runs / "liver", runs / "outline", runs / "outline")


@pytest.mark.long
def test_results_are_kept_only_for_the_same_outline_network(
    runs, tiny_phantom, command, tmp_path, capsys
):
    from trainers import predict

    line = [
        f"--input={tiny_phantom}/lits/volume-0.nii.gz",
        *(f"--liver_run={runs}/liver", f"--model={runs}/one", "--pictures=0"),
        f"--output={tmp_path}/out",
    ]
    outlined = [*line, f"--outline_model={runs}/outline"]
    assert command(predict, *line) == 0
    plain = json.loads((tmp_path / "out/scan-001/lesions.json").read_text())
    assert "outline_networks" not in plain["method"]
    assert command(predict, *outlined) == 1
    assert "[output-exists]" in capsys.readouterr().err
    assert command(predict, *outlined[:-2], f"--output={tmp_path}/new", outlined[-1]) == 0
    assert "post-processing: lesion where its probability is 0.4" in capsys.readouterr().out
    stored = json.loads((tmp_path / "new/scan-001/lesions.json").read_text())
    assert stored["method"]["outline_networks"] == 1
    assert stored["made_by"]["model"] != plain["made_by"]["model"]
    assert command(predict, *outlined[:-2], f"--output={tmp_path}/new", outlined[-1]) == 0
    assert "kept, finished before" in capsys.readouterr().out


def test_measures_of_the_typed_network_alone_are_not_those_of_the_export(runs, tmp_path):
    cascade = Cascade.of_runs(runs / "liver", runs / "one", runs / "outline")
    file = tmp_path / "measures.json"
    report = {"protocols": {}, "data": "", "level": 0.95, "titles": {}, "cautions": []}
    file.write_text(json.dumps(report))
    with pytest.raises(Refusal, match=r"\[measures-other-run\].*without the outline network"):
        measures_of(file, [runs / "one"], runs / "liver", cascade)
    facts = provenance_of([runs / "one"], runs / "liver", runs / "outline")
    assert facts["outline run"] == "outline"
    assert facts["outline run, weights"] != facts["run, weights"]


def test_an_empty_option_is_none():
    settings = PredictSettings.of(input=["scan.nii.gz"], outline_model="")
    assert settings.outline_model is None
