"""All benchmarks against other libraries in one table; ``make bench`` runs it.

    pip install -e '.[bench,openvino]' -c constraints.txt
    python -m benchmarks.everything

Runs the benchmarks one after the other, each as a separate command, and prints one table. Takes
about twenty minutes on a machine without other load.
"""

import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from absl import app, flags

from benchmarks.kept import HEADING, kept

FLAGS = flags.FLAGS
BENCHMARKS = ("augmentation", "conversion", "training_step", "inference", "components", "start_up")


def main(argv: list[str]) -> int:
    del argv
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for name in FLAGS.only or BENCHMARKS:
            path = Path(folder) / f"{name}.json"
            command = [sys.executable, "-m", f"benchmarks.{name}", f"--keep={path}"]
            if name == "conversion":
                command.append(f"--work={folder}/conversion")
            if FLAGS.rounds:
                command.append(f"--rounds={FLAGS.rounds}")
            print(f"$ python -m benchmarks.{name}", file=sys.stderr, flush=True)
            # A benchmark that fails leaves its rows out; the others go on.
            failed = subprocess.run(command, stdout=sys.stderr).returncode
            if failed or not path.exists():
                lines.append(f"| {name} | failed |  |  |")
                continue
            lines += [line for rounds in kept(path) for line in rounds.rows()]
    print(f"\n{machine()}\n\n{HEADING}\n" + "\n".join(lines))
    return int(any("| failed |" in line for line in lines))


def machine() -> str:
    """Processor, cores, memory and versions, in a line."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if os.name == "posix" else ""
    names = [line.split(":")[1].strip() for line in info.splitlines() if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{names[0] if names else platform.processor()}, {len(os.sched_getaffinity(0))} cores, "
        f"{memory:.0f} GiB; Python {platform.python_version()}, "
        f"TensorFlow {version('tensorflow')}, Keras {version('keras')}"
    )


if __name__ == "__main__":
    flags.DEFINE_list("only", [], "Benchmarks to run; default: all.")
    flags.DEFINE_integer("rounds", 0, "Rounds per benchmark; 0: its default.", lower_bound=0)
    app.run(main)
