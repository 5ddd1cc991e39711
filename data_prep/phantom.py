"""Write a phantom LiTS and a phantom Sheba: computed abdomens in real file formats.

python -m data_prep.phantom --output=DIR
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import app, flags

_OUTPUT = flags.DEFINE_string("output", None, "folder to write to", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "decides every patient, lesion and grain of noise")
_LITS_VOLUMES = flags.DEFINE_integer("lits_volumes", 12, "LiTS-like volumes")
_LITS_SLICES = flags.DEFINE_integer(
    "lits_slices", 24, "slices in each volume; they cover the liver, so fewer means thicker"
)
_PATIENTS = flags.DEFINE_integer(
    "patients", 140, "patients with typed lesions or none; 140 gives the paper's 332 slices"
)
_MATRIX = flags.DEFINE_integer("matrix", 512, "rows and columns of an image")
_WORKERS = flags.DEFINE_integer("workers", 1, "processes; the files do not depend on it")


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"expected flags only; got {' '.join(argv[1:])}")
    from tqdm import tqdm

    from liver_tf.phantom.phantom_folder import DONE, PhantomPlan, write_phantom
    from liver_tf.refusals import Refusal

    output = Path(_OUTPUT.value)
    try:
        plan = PhantomPlan(
            seed=_SEED.value,
            lits_volumes=_LITS_VOLUMES.value,
            lits_slices=_LITS_SLICES.value,
            patients=_PATIENTS.value,
            matrix=_MATRIX.value,
        )
        written = write_phantom(
            output,
            plan,
            _WORKERS.value,
            lambda steps, total: tqdm(steps, total=total, desc="phantom", unit="patient"),
        )
    except Refusal as refusal:
        print(refusal.text_with_path(), file=sys.stderr)
        return 1
    found = output / DONE
    print(f"wrote {found}" if written else f"{found} is there already: nothing to do")
    return 0


if __name__ == "__main__":
    app.run(main)
