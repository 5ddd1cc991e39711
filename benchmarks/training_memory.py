"""Whether the memory of a training run stays constant over many epochs.

    python -m benchmarks.training_memory

Trains a small network on phantoms for 50 epochs with ``trainers.pretrain`` and reads its resident
memory after every epoch. Growth: mean of the last ten epochs relative to that of epochs 6 to 15.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from absl import app, flags

from benchmarks.start_up import SMALL, make_records

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    del argv
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_records(folder)
        command = [
            *(sys.executable, "-m", "trainers.pretrain", "--network=liver", *SMALL),
            *(f"--records={folder}/lits", f"--run={folder}/run", "--validation_share=0.3"),
            *(f"--epochs={FLAGS.epochs}", f"--patience={FLAGS.epochs}"),
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        seen = [_resident_mib(process.pid) for line in process.stdout if ": epoch " in line]
        if process.wait():
            raise RuntimeError(f"training ended with status {process.returncode}")
    early, late = statistics.mean(seen[5:15]), statistics.mean(seen[-10:])
    print(f"{len(seen)} epochs; resident MiB after epoch 1, 6, 11, ...: {seen[::5]}")
    print(
        f"epochs 6 to 15: {early:.0f} MiB; last ten: {late:.0f} MiB; growth {late / early - 1:+.2%}"
    )
    return 0


def _resident_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    flags.DEFINE_integer("epochs", 50, "Epochs.", lower_bound=16)
    app.run(main)
