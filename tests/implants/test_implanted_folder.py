"""A folder of implanted scans: readable, marked, and of the same patients as its hosts."""

import json

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from data_prep import implant as implant_command
from liver_tf.conversion.build_record_set import convert
from liver_tf.inspection.leak_search import LeakSearchSettings, search_leaks
from liver_tf.records.leakage import SHARED
from liver_tf.records.manifest import implanted, load_manifest
from liver_tf.refusals import Refusal

SHAPE = (80, 76, 30)
X, Y, Z = np.indices(SHAPE) * 2.0 - np.reshape([80, 76, 30], (3, 1, 1, 1))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """Volumes 3 and 7, of 2 mm, stored as LAS; volume 7 has a lesion."""
    folder = tmp_path_factory.mktemp("hosts")
    affine = np.diag([-2.0, 2, 2, 1])
    for number in (3, 7):
        body = (X / 75) ** 2 + (Y / 70) ** 2 < 1
        liver = (X / 60) ** 2 + (Y / 58) ** 2 + (Z / 29) ** 2 < 1
        hu = np.where(body, np.where(liver, 105, -90), -1000.0)
        hu += np.random.default_rng(number).normal(0, 8, SHAPE)
        labels = liver.astype(np.uint8)
        labels[38:42, 36:40, 14:16] += number == 7
        nibabel.save(
            nibabel.Nifti1Image(hu.astype(np.int16), affine), folder / f"volume-{number}.nii.gz"
        )
        nibabel.save(nibabel.Nifti1Image(labels, affine), folder / f"segmentation-{number}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def output(hosts, tmp_path_factory, command):
    folder = tmp_path_factory.mktemp("implanted") / "out"
    line = (f"--input={hosts}", f"--output={folder}", "--seed=2", "--types=cyst,metastasis")
    assert command(implant_command, *line) == 0
    return folder


def voxels(folder, name, number):
    image = nibabel.load(folder / f"{name}-{number}.nii.gz")
    return np.asarray(image.dataobj), image.affine


@pytest.fixture(scope="module")
def set_folders(hosts, output, tmp_path_factory):
    """Record sets of the hosts and of the implanted scans."""
    work = tmp_path_factory.mktemp("sets")
    (work / "key").write_text("0123456789abcdef")
    options = {"source": "lits", "workers": 1, "folds": 1, "site_key_file": work / "key"}
    for name, folder in (("hosts", hosts), ("implanted", output)):
        convert(input=folder, output=work / name, **options)
    return work / "hosts", work / "implanted"


@pytest.fixture(scope="module")
def sets(set_folders):
    """Their manifests."""
    return [load_manifest(folder) for folder in set_folders]


def test_files_are_on_the_grid_of_the_hosts(hosts, output):
    marked = json.loads((output / "implanted.json").read_text())
    assert [each["name"] for each in marked["scans"]] == ["3", "7"]
    assert str(hosts) not in json.dumps(marked)
    for scan in marked["scans"]:
        before, affine = voxels(hosts, "volume", scan["name"])
        after, affine_after = voxels(output, "volume", scan["name"])
        np.testing.assert_array_equal(affine_after, affine)
        old, _ = voxels(hosts, "segmentation", scan["name"])
        new, _ = voxels(output, "segmentation", scan["name"])
        assert (new[old == 2] == 2).all()
        assert ((new > 0) == (old > 0)).all()
        added = (new == 2) & (old == 1)
        assert scan["lesions"]
        volume = sum(lesion["volume_ml"] for lesion in scan["lesions"])
        assert volume == pytest.approx(added.sum() * 0.008, abs=0.01)
        assert before[added].mean() - after[added].mean() > 12
        assert (before == after)[old == 0].mean() > 0.98


def test_the_page_shows_every_lesion(output):
    page = (output / "overlays.html").read_text()
    scans = json.loads((output / "implanted.json").read_text())["scans"]
    assert page.count("<figure>") == sum(len(scan["lesions"]) for scan in scans)
    assert "not for tests on real lesions" in page


def test_records_are_marked(sets):
    before, after = sets
    assert after.made_by["data"] == "implanted"
    assert implanted(after) == {"data": "implanted"}
    assert implanted(before) == {}
    codes = [{code for code, _ in entry.cautions} for entry in after.cases]
    assert all("implanted" in each for each in codes)


def test_an_implanted_scan_is_the_patient_of_its_host(sets):
    before, after = sets
    assert [entry.patient for entry in after.cases] == [entry.patient for entry in before.cases]


def test_the_leakage_guard_finds_the_hosts(sets, set_folders):
    search = search_leaks(LeakSearchSettings(records=set_folders))
    patients = {entry.patient for entry in sets[0].cases}
    shared = [leak for leak in search.leaks if leak.kind == SHARED]
    assert len(shared) >= len(patients) == 2


def test_a_volume_copied_from_its_folder_stays_marked(hosts, output, tmp_path):
    for name in ("volume-3.nii.gz", "segmentation-3.nii.gz"):
        (tmp_path / name).write_bytes((output / name).read_bytes())
    (tmp_path / "key").write_text("0123456789abcdef")
    manifest = convert(
        source="lits",
        input=tmp_path,
        output=tmp_path / "set",
        workers=1,
        folds=1,
        site_key_file=tmp_path / "key",
    ).manifest
    assert manifest.made_by["data"] == "real"
    cases = [entry.case for entry in manifest.cases]
    assert manifest.trained_on(cases, typed=False).kind == "mixed"
    assert implanted(manifest) == {"data": "implanted"}


def test_without_a_network_every_volume_needs_a_segmentation(hosts, tmp_path, command, capsys):
    (tmp_path / "in").mkdir()
    for name in ("volume-3.nii.gz", "segmentation-3.nii.gz", "volume-7.nii.gz"):
        (tmp_path / "in" / name).write_bytes((hosts / name).read_bytes())
    assert command(implant_command, f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'a'}") == 1
    assert "[pair-no-segmentation]" in capsys.readouterr().err
    assert (tmp_path / "a/volume-3.nii.gz").exists()
    (tmp_path / "in/volume-3.nii.gz").unlink()
    assert command(implant_command, f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'b'}") == 1
    assert not (tmp_path / "b").exists()


def test_a_network_outlines_the_liver(hosts, tmp_path, monkeypatch):
    from liver_tf.implants import implanted_folder
    from liver_tf.implants.implant_settings import ImplantSettings

    (tmp_path / "in").mkdir()
    (tmp_path / "in/volume-3.nii.gz").write_bytes((hosts / "volume-3.nii.gz").read_bytes())
    monkeypatch.setattr(implanted_folder, "_liver_finder", lambda run: lambda scan: scan.hu > 60)
    settings = ImplantSettings(
        input=tmp_path / "in", output=tmp_path / "out", liver_run=tmp_path / "run"
    )
    lesions, refusals = implanted_folder.write_implanted(settings)
    assert (lesions > 0, refusals) == (True, [])
    (scan,) = json.loads((tmp_path / "out/implanted.json").read_text())["scans"]
    assert scan["liver_outlined_by"] == "network"
    liver, _ = voxels(tmp_path / "out", "segmentation", 3)
    rim = (liver > 0) & ~ndimage.binary_erosion(liver > 0, np.ones((3, 3, 1)))
    assert not (liver[rim] == 2).any()


def test_an_existing_folder_is_refused(hosts, output):
    from liver_tf.implants.implant_settings import ImplantSettings
    from liver_tf.implants.implanted_folder import write_implanted

    with pytest.raises(Refusal, match=r"\[output-exists\]"):
        write_implanted(ImplantSettings(input=hosts, output=output))
