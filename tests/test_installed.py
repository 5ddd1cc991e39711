"""The package installed elsewhere: from phantoms to a prediction, from an empty folder."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from liver_tf.bundled_networks import available

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script ``liver-tf`` in a fresh environment that shares only the dependencies."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    # A path file: packages of this environment are found after those that are installed below.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    source = tmp_path_factory.mktemp("source") / "liver_tf"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False
    ).stdout.split(b"\0")
    if not any(tracked):
        pytest.skip("needs a git checkout, to install no more than is tracked")
    for name in filter(None, tracked):
        path = Path(os.fsdecode(name))
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_symlink():
            (source / path).symlink_to(os.readlink(ROOT / path))
        elif (ROOT / path).is_file():
            os.link(ROOT / path, source / path)
    subprocess.run(
        [
            *(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--no-index", "--disable-pip-version-check", source),
        ],
        check=True,
    )
    return folder / "bin" / "liver-tf"


@pytest.mark.long
def test_from_phantoms_to_a_prediction_in_an_empty_folder(script, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["LIVER_TF_SITE_KEY"] = "phantom-data-need-no-secret"

    def run(*arguments, folder=tmp_path):
        done = subprocess.run(
            [script, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "  predict " in run("--help")
    run("phantom", "--output=data", "--lits_volumes=3", "--lits_slices=8", "--patients=12",
        "--matrix=64")  # fmt: skip
    run("verify", "--source=lits", "--input=data/lits")
    run("build_tfrecords", "--source=lits", "--input=data/lits", "--output=tfrecords/lits")
    run("build_tfrecords", "--source=slices", "--input=data/sheba/slices.csv",
        "--output=tfrecords/sheba")  # fmt: skip
    tiny = ("--image_size=32", "--base_filters=2", "--epochs=1", "--validation_share=0.4")
    # The shipped flag files are found by name, also below flags/.
    run("pretrain", "--flagfile=flags/pretrain_liver.flags", *tiny)
    for name in ("lits", "sheba"):
        run("make_rois", f"--input=tfrecords/{name}", f"--output=tfrecords/{name}_roi",
            "--true_liver")  # fmt: skip
    run("pretrain", "--flagfile=flags/pretrain_lesion.flags", *tiny)
    out = run("finetune", "--flagfile=hier_freeze.flags", "--dry_run")
    assert "protocol hier_freeze: 5 cycles, start: pretrained" in out
    run("finetune", "--flagfile=freeze_encoder.flags", "--epochs=1")
    out = run("predict", "--model=runs/finetune/fold0/seed0/freeze_encoder", "--output=results",
              "--input=data/lits/volume-0.nii.gz")  # fmt: skip
    assert "scan-001" in out
    assert (tmp_path / "results" / "scan-001" / "lesions.csv").is_file()
    if {"liver", "lesion"} <= set(available()):  # the networks in the package
        empty = tmp_path / "empty"
        empty.mkdir()
        out = run("predict", f"--input={tmp_path}/data/lits/volume-0.nii.gz", folder=empty)
        assert "networks of the package: liver, lesion." in out
        assert (empty / "predictions" / "scan-001" / "lesions.csv").is_file()


@pytest.mark.long
def test_the_installed_package_is_the_one_that_runs(script, tmp_path):
    python = script.with_name("python")
    code = "import liver_tf, trainers.predict; print(liver_tf.__file__)"
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).is_relative_to(script.parents[1])
    assert sys.prefix not in done.stdout
