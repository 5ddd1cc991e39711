"""The public names: imported on demand, the functions that the commands call."""

import inspect
import subprocess
import sys

import pytest

import liver_tf
from liver_tf.options import OptionError


def test_import_loads_no_tensorflow():
    code = (
        "import sys, liver_tf; liver_tf.FinetuneSettings; liver_tf.load_settings; "
        "liver_tf.convert; liver_tf.verify; dir(liver_tf); "
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", liver_tf.__all__)
def test_every_public_name_exists_and_is_documented(name):
    value = getattr(liver_tf, name)
    if not isinstance(value, str):
        assert inspect.getdoc(value)


FUNCTIONS = (
    *("convert", "verify", "make_roi_set", "pretrain", "finetune", "evaluate", "predict"),
    "export_model",
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_options_by_name_and_refuse_others(name):
    function = getattr(liver_tf, name)
    with pytest.raises(OptionError, match=r"colour: .* has no such option"):
        function(colour="red")
    for part in ("Args:", "Raises:"):
        assert part in inspect.getdoc(function)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'segment'"):
        liver_tf.segment  # noqa: B018
