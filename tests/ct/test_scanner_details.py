"""Scanner details: known names are kept, everything else becomes ``other``."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from liver_tf.ct.scanner_details import details_of


def details(**elements):
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return details_of(dataset, Path("x.dcm"))


@pytest.mark.parametrize(
    ("value", "expected"),
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
        # A name, a device number, a number without a name, text after the model name.
        ("Smith John", "other"),
        ("Sensation 64 Smith", "other"),
        ("Sensation 104711", "other"),
        ("64", "other"),
        ("Aquilion\\Smith", "other"),
        ("Sensation " * 9, "other"),
    ],
)
def test_only_known_models_are_kept(value, expected):
    assert details(ManufacturerModelName=value)["model"] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
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
def test_only_known_kernels_are_kept(value, expected):
    assert details(ConvolutionKernel=value)["kernel"] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Ultravist 370 given by Smith", "agent named"),
        ("NONE", "no agent named"),
        ("No contrast", "no agent named"),
        ("", "no agent named"),
    ],
)
def test_contrast_agents_are_not_repeated(value, expected):
    assert details(ContrastBolusAgent=value)["contrast"] == expected


def test_absent_elements_give_no_details():
    assert details() == {"manufacturer": "unknown"}
    assert details(ManufacturerModelName="", StationName="CT1", DeviceSerialNumber="4711") == {
        "manufacturer": "unknown"
    }
