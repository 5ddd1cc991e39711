"""The transfer study end to end on a tiny scan: one network, trained in a process of its own."""

import csv

import nibabel
import numpy as np
import pytest
from PIL import Image

from liver_tf.model.weights_file import save_weights
from liver_tf.results.stored_results import load_results
from liver_tf.studies.transfer.scan_split import SplitDistances
from liver_tf.studies.transfer.transfer_settings import TransferSettings
from liver_tf.studies.transfer.transfer_study import run_transfer_study
from tests.builders import tiny_study

pytestmark = pytest.mark.long


@pytest.fixture
def settings(tmp_path, make_network):
    """A scan of 20 slices, 2.5 mm apart, with liver in all but the first and the last."""
    hu = np.random.default_rng(0).integers(-100, 200, (40, 36, 20)).astype(np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    labels[10:30, 8:28, 1:19] = 1
    affine = np.diag([-1.5, -1.5, 2.5, 1.0])
    for name, values in (("volume", hu), ("segmentation", labels)):
        nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / f"{name}-3.nii.gz")
    network = make_network("liver")
    network.description.save(tmp_path / "liver")
    save_weights(tmp_path / "liver" / "weights.npz", network.model)
    return TransferSettings(
        folder=tmp_path / "study",
        output=tmp_path / "report",
        data=tmp_path,
        pretrained=tmp_path / "liver",
        settings=tiny_study.settings(tmp_path, batch_size=2, epochs=1, head="old"),
        protocols=(str(tiny_study.protocol(tmp_path, "no_freezing", "none")),),
        seeds=(0,),
        slices=(2,),
        distances=SplitDistances(10, 5, 5, 7),
        validation_slices=2,
        workers=1,
    )


def test_a_study_is_trained_evaluated_and_reported_and_not_repeated(settings, capsys):
    assert run_transfer_study(settings)
    # Folds 0 and 1 are those trained at the feet and at the head.
    run = settings.folder / "finetune" / "fold1" / "seed0" / "no_freezing"
    results = load_results(run)
    rows = list(csv.DictReader((settings.output / "transfer.csv").open()))
    dice = np.mean([result.liver.dice for result in results.results])
    assert [(row["trained_end"], row["protocol"]) for row in rows] == [
        *(("feet", "phantoms only"), ("head", "phantoms only"), ("head", "no_freezing"))
    ]
    assert float(rows[2]["dice_mean"]) == pytest.approx(dice, abs=1e-4)
    page = (settings.output / "transfer.md").read_text()
    assert f"| no_freezing | {dice:.3f} |" in page
    for name in ("transfer_dice.png", "transfer_head.png"):
        assert f"]({name})" in page
        with Image.open(settings.output / name) as image:
            assert image.width > 500

    before = {path: path.stat().st_mtime_ns for path in settings.folder.rglob("*.npz")}
    capsys.readouterr()
    assert run_transfer_study(settings)
    assert {path: path.stat().st_mtime_ns for path in settings.folder.rglob("*.npz")} == before
