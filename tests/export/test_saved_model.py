"""The exported SavedModel equals the cascade; versions are never overwritten."""

import errno
import json
import resource
import subprocess
import sys
import threading
from concurrent import futures
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from liver_tf.export.saved_model import write_saved_model
from liver_tf.export.signatures import signatures_of
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.refusals import Refusal
from tests.builders.label_maps import label_maps
from tests.builders.served import call_model, draw_slices
from tests.builders.unwritable import forbid_files_in

OUTPUTS = {
    "label_map",
    "found_liver",
    "found_lesion",
    "diagnosis",
    "diagnosis_probability",
    "liver_area_mm2",
    "lesion_area_mm2",
    "model_id",
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_the_reloaded_model_equals_the_cascade(exported, count, size):
    cascade, serve = exported.cascade, exported.signature()
    hu, spacing = draw_slices(count, *size), np.full((count, 2), 0.8, np.float32)
    answer = call_model(serve, hu, spacing)
    expected = label_maps(cascade, hu, spacing)
    np.testing.assert_array_equal(answer["label_map"], expected)
    if count == 3:
        assert len(np.unique(expected)) > 2
    # The rest follows from the label map.
    lesion = expected > 1
    counts = np.stack([(expected == label).sum(axis=(1, 2)) for label in (2, 3, 4)], axis=1)
    np.testing.assert_array_equal(answer["found_lesion"], lesion.any(axis=(1, 2)))
    majority = np.where(lesion.any(axis=(1, 2)), counts.argmax(axis=1) + 2, 0)
    np.testing.assert_array_equal(answer["diagnosis"], majority)
    np.testing.assert_allclose(answer["lesion_area_mm2"], lesion.sum(axis=(1, 2)) * 0.64, rtol=1e-5)
    shares = answer["diagnosis_probability"]
    assert shares.shape == (count, 3)
    np.testing.assert_allclose(shares.sum(axis=1), lesion.any(axis=(1, 2)), atol=1e-5)


@pytest.mark.long
def test_post_processing_and_ensembles_are_in_the_exported_graph(make_network, tmp_path):
    how = PostProcessing(
        0.4, fill_holes=True, least_area_mm2=15.0, rim_pixels=-1, least_height=0.3, whole_liver=True
    )
    networks = [make_network("lesion"), make_network("lesion", seed=2)]
    cascade = Cascade(LiverFinder(make_network("liver")), networks, how=how)
    write_saved_model(cascade, tmp_path / "1", {})
    serve = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    hu, spacing = draw_slices(3, 64, 64), np.full((3, 2), 0.8, np.float32)
    answer = call_model(serve, hu, spacing)
    expected = label_maps(cascade, hu, spacing)
    np.testing.assert_array_equal(answer["label_map"], expected)
    plain = label_maps(Cascade(cascade.liver, networks), hu, spacing)
    assert (plain != expected).any()
    meaning = json.loads((tmp_path / "1" / "assets.extra" / "model.json").read_text())
    assert meaning["lesion_networks"] == 2
    assert meaning["postprocessing"]["least_area_mm2"] == 15.0


@pytest.mark.long
def test_half_precision_changes_no_type_of_a_signature(exported, make_network, tmp_path):
    lesion, liver = (make_network(kind, precision="bfloat16") for kind in ("lesion", "liver"))
    write_saved_model(Cascade(LiverFinder(liver), lesion), tmp_path / "1", {})
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    assert set(loaded.signatures) == set(exported.loaded.signatures)
    for name, serve in loaded.signatures.items():
        expected = exported.signature(name)
        assert serve.structured_input_signature == expected.structured_input_signature
        assert serve.structured_outputs == expected.structured_outputs
    meaning = json.loads((tmp_path / "1" / "assets.extra" / "model.json").read_text())
    assert meaning["precision"] == "bfloat16"
    hu, spacing = draw_slices(3, 64, 64), [[0.8, 0.8]]
    maps = [
        call_model(s, hu, spacing)["label_map"]
        for s in (loaded.signatures["serving_default"], exported.signature())
    ]
    assert np.mean(maps[0] == maps[1]) > 0.95


def test_outputs_and_inputs_are_named(exported):
    serve = exported.signature()
    assert set(serve.structured_outputs) == OUTPUTS
    specs = serve.structured_input_signature[1]
    assert {name: (spec.shape.rank, spec.dtype) for name, spec in specs.items()} == {
        "hu": (3, tf.float32),
        "spacing_mm": (2, tf.float32),
    }


def test_the_graph_has_no_random_or_training_operations(exported):
    folder = exported.folder
    stored = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = stored.meta_graphs[0].graph_def
    operations = {node.op for node in graph.node}
    operations |= {node.op for function in graph.library.function for node in function.node_def}
    assert "Conv2D" in operations
    unexpected = ("Random", "Dropout", "Assign", "PyFunc", "Gradient", "Apply")
    matches = {name for name in operations for part in unexpected if part in name}
    # Saving and restoring assign what was read from the file.
    assert matches <= {"AssignVariableOp"}


def test_unknown_spacing_has_no_areas(exported):
    cascade, serve = exported.cascade, exported.signature()
    hu = draw_slices(2, 64, 64)
    answer = call_model(serve, hu, [[0, 0], [0.8, 0.8]])
    assert np.isnan(answer["liver_area_mm2"]).tolist() == [True, False]
    assert np.isnan(answer["lesion_area_mm2"]).tolist() == [True, False]
    expected = label_maps(cascade, hu, np.float32([[np.nan, np.nan], [0.8, 0.8]]))
    np.testing.assert_array_equal(answer["label_map"], expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_hu_that_are_not_finite_are_refused(exported, value):
    hu = draw_slices(2, 64, 64)
    hu[1, 5, 5] = value
    with pytest.raises(tf.errors.InvalidArgumentError, match="hu: expected finite Hounsfield"):
        call_model(exported.signature(), hu, [[1, 1], [1, 1]])


def test_unusual_requests_get_an_answer_or_a_clear_error(exported):
    serve = exported.signature()
    for shape in ((0, 64, 64), (1, 0, 64), (1, 64, 0)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="hu: expected at least one slice"):
            call_model(serve, np.zeros(shape, np.float32), np.ones((shape[0], 2)))
    for shape in ((1, 1, 300), (1, 700, 3), (1, 2, 1)):
        hu = np.resize(np.float32([-1000, 60]), shape)
        answer = call_model(serve, hu, [[0, 0]])
        assert answer["label_map"].shape == shape
        assert answer["label_map"].max() <= 4
    with pytest.raises(tf.errors.InvalidArgumentError, match="dimension"):
        call_model(serve, np.zeros((64, 64), np.float32), [[1, 1]])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"spacing_mm: expected \[batch, 2\]"):
        call_model(serve, draw_slices(2, 64, 64), np.ones((3, 2)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, 3000], "values that look unscaled: apply RescaleSlope"),  # stored values
        ([-0.5, 0.5], "values that look unscaled"),  # normalised
        ([40, 40], "values that look unscaled"),
        ([-1000, 3e5], "from -32768 to 32767, found others. Check slope and intercept"),
    ],
)
def test_values_that_cannot_be_hu_are_refused(exported, values, words):
    hu = np.concatenate([draw_slices(1, 64, 64), np.resize(np.float32(values), (1, 64, 64))])
    for name in ("serving_default", "probabilities"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            call_model(exported.signature(name), hu, [[1, 1]])
    if np.abs(hu).max() < 2**15:
        whole = np.round(hu).astype(np.int16)
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            call_model(exported.signature("hu_int16"), whole, [[1, 1]])
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            exported.signature("volume")(hu=tf.constant(whole[1:]), spacing_mm=tf.ones([3]))
    # A scan is judged as a whole: a slice of lung alone, or of liver, is no error in it.
    scan = np.stack([np.full((64, 64), 40, np.int16), draw_slices(1, 64, 64)[0].astype(np.int16)])
    answer = exported.signature("volume")(hu=tf.constant(scan), spacing_mm=tf.ones([3]))
    assert answer["label_map"].shape == scan.shape


@pytest.mark.parametrize(
    ("spacing", "words"),
    [
        ((0.0008, 0.0008), "0.01 to 20 mm, or 0 where it is unknown"),  # metres
        ((0.8, 20.5), "0.01 to 20 mm"),
        ((100, 100), "0.01 to 20 mm"),
        ((np.inf, 0.8), "0.01 to 20 mm"),
        ((np.nan, 0.8), "0.01 to 20 mm"),
        ((-0.8, -0.8), "0.01 to 20 mm"),
        ((1e-12, 1e-12), "0.01 to 20 mm"),
        ((0.08, 0.08), "longer side is 30 to 2000 mm"),  # centimetres, of 64 pixels
        ((0.01, 0.01), "longer side is 30 to 2000 mm"),
    ],
)
def test_spacings_outside_the_limits_of_ct_are_refused(exported, spacing, words):
    hu = draw_slices(2, 64, 64)
    for name in ("serving_default", "probabilities"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"spacing_mm: .*{words}"):
            call_model(exported.signature(name), hu, [[0.8, 0.8], spacing])
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"spacing_mm: .*{words}"):
        call_model(exported.signature("volume"), hu.round().astype(np.int16), [2.0, *spacing])


def test_spacings_at_the_limits_are_accepted(exported):
    hu = np.resize(draw_slices(1, 64, 64), (1, 64, 3000))
    assert call_model(exported.signature(), hu, [[20, 0.01]])["label_map"].shape == hu.shape


@pytest.mark.parametrize("apart", [-2.0, np.nan, np.inf, 1e-12])
def test_invalid_slice_spacings_are_refused(exported, apart):
    hu = draw_slices(2, 64, 64).round().astype(np.int16)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"spacing_mm: expected 0\.01 to 20"):
        call_model(exported.signature("volume"), hu, [apart, 0.8, 0.8])


def test_scales_of_another_batch_size_are_refused(exported):
    stored = tf.zeros([3, 8, 8], tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="slope, intercept: expected"):
        exported.signature("dicom_pixels")(
            stored=stored,
            slope=tf.ones([2]),
            intercept=tf.ones([3]),
            spacing_mm=tf.ones([1, 2]),
        )


def test_a_slice_without_liver_has_an_empty_answer(make_network, tmp_path):
    never = LiverFinder(make_network("liver", favoured=[1e4, -1e4]))
    cascade = Cascade(never, make_network("lesion", favoured=[0, 0, 1e4, 0, 0]))
    serve = signatures_of(cascade)["serving_default"]
    answer = serve(tf.constant(draw_slices(1, 64, 64)), tf.ones([1, 2]))
    assert not answer["label_map"].numpy().any()
    assert answer["found_liver"].numpy().tolist() == [False]
    assert answer["found_lesion"].numpy().tolist() == [False]
    assert answer["diagnosis"].numpy().tolist() == [0]
    assert answer["diagnosis_probability"].numpy().tolist() == [[0, 0, 0]]
    assert answer["liver_area_mm2"].numpy().tolist() == [0]


def test_a_version_is_never_overwritten(exported):
    cascade, folder = exported.cascade, exported.folder
    before = (folder / "saved_model.pb").read_bytes()
    with pytest.raises(Refusal, match=r"\[version-exists\] expected a version that does not exist"):
        write_saved_model(cascade, folder, {})
    assert (folder / "saved_model.pb").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def save_stub(module, path, **options):
    """In place of ``tf.saved_model.save``, which takes long."""
    Path(path).mkdir(exist_ok=True)
    (Path(path) / "saved_model.pb").write_bytes(b"stub")


def test_an_outline_network_is_stated_and_identified(intensity_cascade, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.saved_model, "save", save_stub)
    numbers = set()
    for version, outline in enumerate((None, (-60, 110, 60), (-60, 110, 61)), 1):
        folder = tmp_path / str(version)
        write_saved_model(intensity_cascade(outline=outline), folder, {})
        meaning = json.loads((folder / "assets.extra/model.json").read_text())
        card = (folder / "assets.extra/model_card.md").read_text()
        numbers.add(meaning["model_id"])
        assert ("outline_network" in meaning) == ("Outline network: records" in card)
        assert ("outline_network" in meaning) == (meaning.get("outline_networks") == 1)
    assert meaning["outline_network"]["label_set"]["classes"] == ["background", "liver", "lesion"]
    assert len(numbers) == 3


def export_twice_at_once(cascade, folder):
    """How each of two simultaneous exports of one version ended."""
    start = threading.Barrier(2)

    def run():
        start.wait()
        try:
            write_saved_model(cascade, folder, {})
        except Refusal as refusal:
            return refusal.code
        return "written"

    with futures.ThreadPoolExecutor(2) as pool:
        return sorted(job.result() for job in [pool.submit(run) for _ in range(2)])


@pytest.mark.long
def test_a_full_disk_and_a_forbidden_folder_are_refused(exported, tmp_path, monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # counts as a full disk
    try:
        with pytest.raises(Refusal, match=r"\[disk-full\]"):
            write_saved_model(exported.cascade, tmp_path / "1", {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    forbid_files_in(monkeypatch, tmp_path)
    with pytest.raises(Refusal, match=r"\[output-unwritable\].*Permission denied"):
        write_saved_model(exported.cascade, tmp_path / "1", {})


def test_one_of_two_simultaneous_exports_is_refused(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.saved_model, "save", save_stub)
    folder = tmp_path / "liver" / "1"
    ends = export_twice_at_once(exported.cascade, folder)
    assert ends in (["output-busy", "written"], ["version-exists", "written"])
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


@pytest.mark.long
def test_the_other_of_two_simultaneous_exports_is_complete(exported, tmp_path):
    folder = tmp_path / "liver" / "1"
    assert "written" in export_twice_at_once(exported.cascade, folder)
    hu = draw_slices(1, 64, 64)
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    for name, value in call_model(exported.signature(), hu, [[0.8, 0.8]]).items():
        np.testing.assert_array_equal(call_model(serve, hu, [[0.8, 0.8]])[name], value)


def test_an_export_does_not_wait_for_another_process(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.saved_model, "save", save_stub)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, os, sys\n"
            "fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)\n"
            "print('held', flush=True)\n"
            "sys.stdin.read()",
            tmp_path,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Refusal, match=r"\[output-busy\]"):
            write_saved_model(exported.cascade, tmp_path / "1", {})
        assert list(tmp_path.iterdir()) == []
    finally:
        holder.communicate()
    write_saved_model(exported.cascade, tmp_path / "1", {})


@pytest.mark.parametrize("name", ["latest", "1.0", "v1", "-1", "0", "01", "٣", "²", "1" * 19])
def test_a_version_that_is_not_an_integer_is_refused(exported, tmp_path, name):
    with pytest.raises(
        Refusal, match=rf"\[version-name\] expected a version number .*found '{name}'"
    ):
        write_saved_model(exported.cascade, tmp_path / name, {})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_no_files(exported, tmp_path, monkeypatch):
    def full_disk(servable, path, **more):
        tf.io.gfile.makedirs(path)
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full_disk)
    with pytest.raises(Refusal, match="disk-full"):
        write_saved_model(exported.cascade, tmp_path / "2", {})
    assert list(tmp_path.iterdir()) == []


def test_model_json_states_labels_and_provenance(exported):
    meaning = json.loads((exported.folder / "assets.extra" / "model.json").read_text())
    assert meaning["labels"] == ["background", "liver", "cyst", "hemangioma", "metastasis"]
    assert meaning["provenance"] == {"protocol": "hier_freeze"}
    assert meaning["lesion_network"]["window"] == [-160, 240]
    assert meaning["tensorflow"] == tf.__version__
