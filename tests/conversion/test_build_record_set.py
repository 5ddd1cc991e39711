"""Options of a conversion that contradict each other are refused before anything is read."""

import pytest

from liver_tf.command_line.flags_of_options import parse
from liver_tf.conversion.build_record_set import ConvertSettings, convert
from liver_tf.ct.pseudonyms import pseudonym
from liver_tf.labels import LITS
from liver_tf.options import OptionError
from liver_tf.phantom.phantom_folder import write_phantom
from liver_tf.phantom.phantom_plan import PhantomPlan
from liver_tf.records.folds import load_folds


def parsed(*flags):
    return parse(ConvertSettings, ["--source=slices", "--input=in.csv", "--output=set", *flags])


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--mask_values=0:background,1:spleen", "meaning of background, liver"),
        ("--mask_values=0:background,0:liver", "each value once"),
        ("--mask_values=", "expected at least one value"),
        ("--lesion_types=cyst,healthy", "'healthy' cannot be the name of a type"),
        ("--lesion_types=cyst,cyst", "a class is listed twice"),
        ("--lesion_types=", "expected at least one lesion type"),
        ("--beam_option=--runner=FlinkRunner", "beam_option: needs --engine=beam"),
        ("--window_low=300", "window_high: must be above --window_low"),
        ("--window_low=-40000", "window_low: expected -32768 to 32767"),
        ("--validation_share=nan", "validation_share: expected a finite number"),
        ("--output=in.csv", "output: must be another folder than --input"),
        ("--output=.", "output: must be another folder than --input, and not around it"),
        ("--allow_pairs=", "allow_pairs: the path is empty"),
    ],
)
def test_impossible_options_are_refused(flag, text):
    with pytest.raises(OptionError, match=text):
        parsed(flag)


def test_segments_count_for_series_only():
    assert parsed("--segments=7").segments == ("7",)
    with pytest.raises(OptionError, match="segments: expected each segment once"):
        parsed("--source=series", "--segments=7")
    assert parsed("--source=series").segment_classes()[0] == LITS


def test_a_fixed_test_cohort_makes_one_fold(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVER_TF_SITE_KEY", "a-key-for-tests-only")
    plan = PhantomPlan(seed=5, lits_volumes=0, patients=4, test_patients=3, matrix=64)
    write_phantom(tmp_path / "data", plan)
    source = {"source": "slices", "input": tmp_path / "data/sheba/slices.csv", "workers": 1}
    listed = tmp_path / "data/sheba/test_patients.txt"
    done = convert(**source, output=tmp_path / "records", test_patients=listed)
    (split,) = load_folds(tmp_path / "records/folds.json", done.manifest)
    key = b"a-key-for-tests-only"
    tested = {pseudonym(key, "patient", f"p1000{n}") for n in range(3)}
    patient_of = {entry.case: entry.patient for entry in done.manifest.cases}
    assert {patient_of[case] for case in split.test} == tested
    assert len(split.test) == 3
    assert len(split.training) + len(split.validation) == 4
    listed.write_text("p10000\np1\n")
    refused = convert(**source, output=tmp_path / "records", test_patients=listed)
    assert [refusal.code for refusal in refused.refusals] == ["test-patient-unknown"]
