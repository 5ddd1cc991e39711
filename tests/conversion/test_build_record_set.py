"""Options of a conversion that contradict each other are refused before anything is read."""

import pytest

from liver_tf.command_line.flags_of_options import parse
from liver_tf.conversion.build_record_set import ConvertSettings
from liver_tf.labels import LITS
from liver_tf.options import OptionError


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
