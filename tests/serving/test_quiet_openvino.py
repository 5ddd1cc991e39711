"""OpenVINO reports nothing to its vendor."""

import subprocess
import sys

from tests.builders.served import require_openvino

PROGRAM = """
import sys
import threading
from liver_tf.serving.quiet_openvino import import_openvino

def no_connection(event, arguments):
    if event.startswith("socket."):
        print(event, arguments)

sys.addaudithook(no_connection)
assert import_openvino().Core()
print(*[name for name, module in sys.modules.items() if module and "openvino_telemetry" in name])
assert threading.active_count() == 1
"""


def test_openvino_is_imported_without_its_telemetry():
    require_openvino()
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr
