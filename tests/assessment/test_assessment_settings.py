"""Options of the assessment that contradict each other."""

from pathlib import Path

import pytest

from liver_tf.assessment.assessment_settings import EvaluateSettings
from liver_tf.options import OptionError


@pytest.mark.parametrize("output", ["run", "other/../run", "records", "liver"])
def test_a_report_is_not_written_into_an_input(output):
    inputs = {"run": (Path("run"),), "liver_run": Path("liver"), "records": Path("records")}
    assert EvaluateSettings(output=Path("report"), **inputs)
    with pytest.raises(OptionError, match="output: must be another folder than the runs"):
        EvaluateSettings(output=Path(output), **inputs)
