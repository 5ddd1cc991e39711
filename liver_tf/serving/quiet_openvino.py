"""Import OpenVINO without its telemetry."""

import sys
from types import ModuleType

from liver_tf.extras import install_extra
from liver_tf.refusals import Refusal


def import_openvino() -> ModuleType:
    """The module ``openvino``; raises ``Refusal`` ``extra-missing`` if it is not installed.

    OpenVINO reports every import to its vendor, unless the user has opted out on this machine or
    the module that sends the reports is missing, as it seems to be here.
    """
    sys.modules.setdefault("openvino_telemetry", None)
    try:
        import openvino
    except ImportError:
        raise Refusal(
            "extra-missing",
            None,
            expected="OpenVINO",
            found="an installation without it",
            remedy=install_extra("openvino"),
        ) from None
    return openvino
