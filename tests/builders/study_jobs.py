"""Jobs of a study without networks: only the files that record their state."""

import json

from liver_tf.results.study_inventory import CELLS, OUTCOME
from liver_tf.studies.run_process import DONE, StudyJob

MADE_OF = {"settings": ["--epochs=2"], "records": "a" * 64, "protocol": ["--protocol=mine"]}


def job_of(study, seed=0, made_of=MADE_OF, command="trainers.cell"):
    """A job of the protocol ``mine`` on fold 0."""
    name = f"fold0/mine/seed{seed}"
    run = study / "finetune" / "fold0" / f"seed{seed}" / "mine"
    return StudyJob(name, study / CELLS / name, run, ("--nonsense",), made_of, command)


def mark_done(job, **changes):
    """Write the files of a finished job."""
    (job.run / "measures").mkdir(parents=True, exist_ok=True)
    (job.run / "measures" / "test.json").write_text("{}")
    (job.run / "run.json").write_text("{}")
    job.folder.mkdir(parents=True, exist_ok=True)
    status = {"state": DONE, "made_of": job.made_of, "seconds": {}, **changes}
    (job.folder / OUTCOME).write_text(json.dumps(status))
