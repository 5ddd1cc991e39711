"""Networks whose outputs are NaN or infinite give an error, not a healthy liver."""

import numpy as np
import pytest

from liver_tf.assessment.slice_predictor import SlicePredictor
from liver_tf.export.saved_model import write_saved_model
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.records.record_schema import SliceRecord
from liver_tf.refusals import Refusal
from liver_tf.serving.model_clients import Loaded, OpenVino
from tests.builders.served import draw_slices

NOT_FINITE = r"\[output-not-finite\]"


@pytest.fixture(params=[np.nan, pytest.param(np.inf, marks=pytest.mark.long)])
def cascade(request, make_network):
    """Everything is liver, and the lesion network answers with what is not finite."""
    liver = LiverFinder(make_network("liver", favoured=[0.0, 9.0]))
    return Cascade(liver, make_network("lesion", favoured=[0.0, 0.0, request.param, 0.0, 0.0]))


def test_a_scan_is_refused(cascade, make_network):
    hu = draw_slices(2, 64, 64)
    with pytest.raises(Refusal, match=NOT_FINITE):
        cascade.predict(hu, None)
    finder = LiverFinder(make_network("liver", favoured=[0.0, np.nan]))
    with pytest.raises(Refusal, match=NOT_FINITE):
        finder.find(hu)


def test_an_evaluation_is_refused(cascade):
    image = draw_slices(1, 64, 64)[0].astype(np.int16)
    record = SliceRecord(image, np.zeros_like(image, np.uint8), None, "c", "p", 0, "")
    with pytest.raises(Refusal, match=NOT_FINITE):
        SlicePredictor(cascade)([record])


def test_an_exported_model_gives_an_error(make_network, tmp_path):
    liver = LiverFinder(make_network("liver", favoured=[0.0, np.nan]))
    write_saved_model(Cascade(liver, make_network("lesion")), tmp_path / "1", {})
    for client in (Loaded(tmp_path / "1"), OpenVino(tmp_path / "1")):
        with pytest.raises(Refusal, match=NOT_FINITE):
            client(draw_slices(1, 64, 64), np.zeros((1, 2)))


@pytest.mark.long
def test_openvino_does_not_answer_from_a_lesion_network_that_is_not_finite(cascade, tmp_path):
    write_saved_model(cascade, tmp_path / "1", {})
    with pytest.raises(Refusal, match=NOT_FINITE):
        OpenVino(tmp_path / "1")(draw_slices(1, 64, 64), np.zeros((1, 2)))


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [
        {"outline": (-60, 110, np.nan)},
        pytest.param(
            {"outline": (-60, 110, 60), "means": (-60, 110, np.nan, 170, 60)},
            marks=pytest.mark.long,
        ),
    ],
)
def test_nor_with_an_outline_network(changes, intensity_cascade, tmp_path):
    cascade = intensity_cascade(**changes)
    hu, spacing = draw_slices(1, 64, 64), np.zeros((1, 2))
    with pytest.raises(Refusal, match=NOT_FINITE):
        cascade.predict(hu, None)
    write_saved_model(cascade, tmp_path / "1", {})
    with pytest.raises(Refusal, match=NOT_FINITE):
        OpenVino(tmp_path / "1")(hu, spacing)
