"""The phantom study's commands are ones that the program takes, in an order that works."""

import subprocess
import sys
from pathlib import Path

import pytest

from liver_tf.studies.phantom_study import PhantomStudy, phantom_study_steps

ROOT = Path(__file__).parents[2]

PLAN = phantom_study_steps(PhantomStudy(Path("somewhere")))


@pytest.mark.parametrize("step", PLAN, ids=lambda step: step.name)
def test_a_step_is_a_command_with_flags_that_it_has(step):
    done = subprocess.run(
        [sys.executable, "-m", *step.command, "--only_check_args"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_a_step_reads_was_made_before_it():
    made = set()
    for step in PLAN:
        for argument in step.command:
            name, _, value = argument.partition("=")
            if name in ("--input", "--records", "--roi_records", "--pretrained", "--liver_run"):
                assert any(Path(value).is_relative_to(Path(one).parent) for one in made), argument
        made.add(step.product)
