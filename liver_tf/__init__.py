"""Joint liver lesion segmentation and classification in CT by hierarchical fine-tuning.

The functions that the commands call. They take a configuration dataclass, or its options by name,
as listed in ``docs/commands.md``. Names are imported on first use: ``import liver_tf`` does not
import TensorFlow.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if sys.version_info < (3, 11):  # noqa: UP036 - any Python may start a checkout
    sys.exit(
        "liver_tf needs Python 3.11 or newer; this is Python "
        f"{sys.version_info[0]}.{sys.version_info[1]}: {sys.executable}"
    )

if TYPE_CHECKING:
    from liver_tf.assessment.assessment_settings import EvaluateSettings
    from liver_tf.assessment.evaluate import evaluate
    from liver_tf.command_line.flags_of_options import load_settings
    from liver_tf.conversion.build_record_set import ConvertSettings, convert
    from liver_tf.conversion.roi_set_settings import RoiSetSettings, make_roi_set
    from liver_tf.export.export_model import ExportSettings, export_model
    from liver_tf.inspection.verify_data_set import VerifySettings, verify
    from liver_tf.model.description import load_network
    from liver_tf.options import OptionError
    from liver_tf.prediction.many_scans import predict
    from liver_tf.prediction.prediction_settings import PredictSettings
    from liver_tf.refusals import Refusal, TrainingStopped
    from liver_tf.training.finetuning import finetune
    from liver_tf.training.pretraining import pretrain
    from liver_tf.training.training_settings import FinetuneSettings, PretrainSettings

__version__ = "0.1.0"

#: The module of each public name.
_MODULES = {
    "convert": "liver_tf.conversion.build_record_set",
    "verify": "liver_tf.inspection.verify_data_set",
    "make_roi_set": "liver_tf.conversion.roi_set_settings",
    "pretrain": "liver_tf.training.pretraining",
    "finetune": "liver_tf.training.finetuning",
    "evaluate": "liver_tf.assessment.evaluate",
    "predict": "liver_tf.prediction.many_scans",
    "export_model": "liver_tf.export.export_model",
    "load_network": "liver_tf.model.description",
    "load_settings": "liver_tf.command_line.flags_of_options",
    "ConvertSettings": "liver_tf.conversion.build_record_set",
    "VerifySettings": "liver_tf.inspection.verify_data_set",
    "RoiSetSettings": "liver_tf.conversion.roi_set_settings",
    "PretrainSettings": "liver_tf.training.training_settings",
    "FinetuneSettings": "liver_tf.training.training_settings",
    "EvaluateSettings": "liver_tf.assessment.assessment_settings",
    "PredictSettings": "liver_tf.prediction.prediction_settings",
    "ExportSettings": "liver_tf.export.export_model",
    "OptionError": "liver_tf.options",
    "Refusal": "liver_tf.refusals",
    "TrainingStopped": "liver_tf.refusals",
}

__all__ = [
    "ConvertSettings",
    "EvaluateSettings",
    "ExportSettings",
    "FinetuneSettings",
    "OptionError",
    "PredictSettings",
    "PretrainSettings",
    "Refusal",
    "RoiSetSettings",
    "TrainingStopped",
    "VerifySettings",
    "__version__",
    "convert",
    "evaluate",
    "export_model",
    "finetune",
    "load_network",
    "load_settings",
    "make_roi_set",
    "predict",
    "pretrain",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
