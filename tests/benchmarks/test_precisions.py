"""Ours and its peers are compared in the same precision."""

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import inference
from benchmarks.kept import Rounds
from benchmarks.peer_unet import keras_unet, torch_unet


@pytest.fixture(autouse=True)
def policy():
    """Restores the global policy of Keras."""
    import keras

    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_blocks_of_keras_compute_in_the_precision(precision):
    model = keras_unet(16, 1, 3, precision)
    convolutions = [layer for layer in model.layers if "conv" in layer.name]
    assert {layer.compute_dtype for layer in convolutions[:-1]} == {precision}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.output.dtype == "float32"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_blocks_of_pytorch_compute_in_the_precision(precision):
    torch = pytest.importorskip("torch", reason="the extra bench is not installed")
    model = torch_unet(1, 3, precision).eval()
    outputs = []
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda _, __, output: outputs.append(str(output.dtype)))
    logits = model(torch.zeros(1, 1, 16, 16))
    assert set(outputs) == {f"torch.{precision}"}
    assert str(logits.dtype) == "torch.float32"
    assert {str(weight.dtype) for weight in model.parameters()} == {"torch.float32"}


def test_openvino_computes_in_the_precision(monkeypatch):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    from openvino import Core

    compiled = []
    compile_model = Core.compile_model

    def noted(self, *arguments):
        compiled.append(compile_model(self, *arguments))
        return compiled[-1]

    monkeypatch.setattr(Core, "compile_model", noted)
    for precision in ("float32", "bfloat16"):
        inference._openvino(1, 16, 1, 1, precision)
    names = [model.get_property("INFERENCE_PRECISION_HINT").get_type_name() for model in compiled]
    assert names[0] == "f32"
    # A processor without instructions for bfloat16 refuses the hint or computes in float32.
    assert names[1] in ("bf16", "f32")


@pytest.mark.long
def test_a_table_is_of_one_precision(tmp_path):
    command = [
        *(sys.executable, "-m", "benchmarks.inference", "--sizes=1x16x1", "--rounds=1"),
        *("--images=1", "--ways=liver_tf", "--precisions=float32,bfloat16"),
        f"--keep={tmp_path / 'kept'}",
    ]
    subprocess.run(command, check=True, capture_output=True)
    tables = [Rounds(**json.loads(line)) for line in (tmp_path / "kept").read_text().splitlines()]
    assert [table.work.rsplit(", ", 1)[1] for table in tables] == ["float32", "bfloat16"]
    assert all(np.isfinite(table.seen["liver_tf"]).all() for table in tables)
