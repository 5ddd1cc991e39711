"""Scanner and settings: known names are kept, everything else becomes ``other``."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from liver_tf.ct.scanner_details import details_of


def found(**elements):
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return details_of(dataset, Path("x.dcm"))


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("Sensation 64", "sensation 64"),
        ("SOMATOM Definition AS+", "somatom definition as+"),
        ("LightSpeed VCT", "lightspeed vct"),
        ("Revolution CT", "revolution ct"),
        ("Brilliance 64", "brilliance 64"),
        ("iCT 256", "ict 256"),
        ("Aquilion ONE", "aquilion one"),
        ("uCT 760", "uct 760"),
        ("Sensation Cardio 64", "sensation cardio 64"),
        # A name, a number of a device, a number alone, text behind a model's name.
        ("Smith John", "other"),
        ("Sensation 64 Smith", "other"),
        ("Sensation 104711", "other"),
        ("64", "other"),
        ("Aquilion\\Smith", "other"),
        ("Sensation " * 9, "other"),
    ],
)
def test_models(written, told):
    assert found(ManufacturerModelName=written)["model"] == told


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("B30f", "B30f"),
        ("Br40d", "other"),
        ("Br40", "Br40"),
        (["I30f", "3"], "I30f"),
        ("FC08", "FC08"),
        ("STANDARD", "STANDARD"),
        ("C", "C"),
        ("SMITH", "other"),
        ("B30f Smith", "other"),
        ("JS12", "other"),
    ],
)
def test_kernels(written, told):
    assert found(ConvolutionKernel=written)["kernel"] == told


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("Ultravist 370 given by Smith", "agent named"),
        ("NONE", "no agent named"),
        ("No contrast", "no agent named"),
        ("", "no agent named"),
    ],
)
def test_contrast_agents_are_not_repeated(written, told):
    assert found(ContrastBolusAgent=written)["contrast"] == told


def test_absent_elements_give_no_details():
    assert found() == {"manufacturer": "unknown"}
    assert found(ManufacturerModelName="", StationName="CT1", DeviceSerialNumber="4711") == {
        "manufacturer": "unknown"
    }
