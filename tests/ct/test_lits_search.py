"""LiTS pairs are found in both layouts; files without a counterpart are refused."""

from __future__ import annotations

import pytest

from liver_tf.ct.lits_search import find_lits_cases, source_group


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_the_challenge_layout_is_found_at_any_depth(tmp_path):
    touch(
        tmp_path,
        "batch 1/volume-10.nii",
        "batch 2/deep/volume-2.nii.gz",
        "masks/segmentation-10.nii.gz",
        "masks/segmentation-2.nii",
        "batch 1/._volume-10.nii",
        "batch 1/test-volume-10.nii",
        ".trash/volume-10.nii",
        "readme.txt",
    )
    cases, refusals = find_lits_cases(tmp_path)
    assert refusals == []
    assert [case.number for case in cases] == [2, 10]
    assert cases[1].volume == tmp_path / "batch 1" / "volume-10.nii"
    assert cases[1].segmentation == tmp_path / "masks" / "segmentation-10.nii.gz"


def test_the_decathlon_layout_is_found(tmp_path):
    touch(
        tmp_path,
        "Task03_Liver/imagesTr/liver_0.nii.gz",
        "Task03_Liver/labelsTr/liver_0.nii.gz",
        "Task03_Liver/imagesTr/._liver_0.nii.gz",
        "Task03_Liver/imagesTs/liver_1.nii.gz",
    )
    (case,), refusals = find_lits_cases(tmp_path)
    assert refusals == []
    assert case.volume.parent.name == "imagesTr"
    assert case.segmentation.parent.name == "labelsTr"


def test_files_without_a_counterpart_and_duplicates_are_refused(tmp_path):
    touch(
        tmp_path,
        "volume-0.nii",
        "segmentation-0.nii",
        "volume-1.nii",
        "segmentation-2.nii",
        "a/volume-3.nii",
        "b/volume-3.nii.gz",
        "segmentation-3.nii",
        "volume-04.nii",
        "volume-4.nii",
        "segmentation-4.nii",
    )
    cases, refusals = find_lits_cases(tmp_path)
    assert [case.number for case in cases] == [0]
    assert [(refusal.code, refusal.path.name) for refusal in refusals] == [
        ("pair-no-segmentation", "volume-1.nii"),
        ("pair-no-volume", "segmentation-2.nii"),
        ("pair-duplicate", "volume-3.nii"),
        ("pair-duplicate", "volume-3.nii.gz"),
        ("pair-duplicate", "segmentation-3.nii"),
        ("pair-duplicate", "volume-04.nii"),
        ("pair-duplicate", "volume-4.nii"),
        ("pair-duplicate", "segmentation-4.nii"),
    ]
    assert "2 volumes and 1 segmentation" in refusals[2].text()
    for refusal in refusals:
        assert refusal.path.name not in refusal.text()


def test_an_empty_and_a_missing_folder_are_refused(tmp_path):
    assert find_lits_cases(tmp_path)[1][0].code == "lits-empty"
    assert find_lits_cases(tmp_path / "none")[1][0].code == "file-missing"


@pytest.mark.parametrize(
    ("number", "group"),
    [(26, "lits-26"), (27, "3D-IRCADb"), (48, "3D-IRCADb"), (49, "lits-49"), (0, "lits-0")],
)
def test_ircadb_volumes_share_a_source_group(number, group):
    assert source_group(number) == group


def test_volumes_of_nnu_net_have_a_channel(tmp_path):
    touch(
        tmp_path,
        "imagesTr/liver_0_0000.nii.gz",
        "labelsTr/liver_0.nii.gz",
        "imagesTr/liver_1_0001.nii.gz",
        "labelsTr/liver_2_0000.nii.gz",
    )
    (case,), refusals = find_lits_cases(tmp_path)
    assert case.number == 0
    assert case.volume == tmp_path / "imagesTr/liver_0_0000.nii.gz"
    assert refusals == []
