"""Cells in other hands are waited for; cells of other settings are refused; the time left."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from liver_tf import folder_lock
from liver_tf.folder_lock import locked_folder
from liver_tf.refusals import Refusal
from liver_tf.studies.cell_process import BUSY, DONE, FAILED, MEMO, CellJob, Outcome, carry_out
from liver_tf.studies.engines import Local
from liver_tf.studies.study_identity import CELLS, refuse_others
from liver_tf.studies.study_progress import Pace, Progress, Work, duration, last_epoch
from liver_tf.studies.study_run import carry_out_all

MADE_OF = {"settings": ["--epochs=2"], "records": "a" * 64, "protocol": ["--protocol=mine"]}


def job_of(study, seed=0, made_of=MADE_OF):
    name = f"fold0/mine/seed{seed}"
    run = study / "finetune" / "fold0" / f"seed{seed}" / "mine"
    return CellJob(name, study / CELLS / name, run, ("--nonsense",), Path.cwd(), made_of)


def mark_done(job, **changes):
    (job.run / "measures").mkdir(parents=True, exist_ok=True)
    (job.run / "measures" / "test.json").write_text("{}")
    (job.run / "run.json").write_text("{}")
    job.folder.mkdir(parents=True, exist_ok=True)
    memo = {"state": DONE, "made_of": job.made_of, "seconds": {}, **changes}
    (job.folder / MEMO).write_text(json.dumps(memo))


def test_done_means_the_same_settings_and_measures_that_are_there(tmp_path):
    job = job_of(tmp_path)
    assert not job.is_done()
    mark_done(job)
    assert job.is_done()
    assert carry_out(job) == Outcome(job.name, DONE)
    mark_done(job, state=FAILED)
    assert not job.is_done()
    mark_done(job, made_of={**MADE_OF, "settings": []})
    assert not job.is_done()
    mark_done(job)
    (job.run / "measures" / "test.json").unlink()
    assert not job.is_done()
    assert job.state() == "stale"
    mark_done(job)
    assert job.state() == DONE
    mark_done(job, state=FAILED)
    assert job.state() == FAILED
    (job.folder / MEMO).write_text("{")
    assert not job.is_done()
    assert job.state() == "-"


def test_a_process_that_outlives_its_parent_holds_the_cell(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(folder_lock, "_PATIENCE_SECONDS", 0.1)
    job = job_of(tmp_path)
    job.folder.mkdir(parents=True)
    with locked_folder(job.folder) as lock:
        orphan = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    try:
        assert carry_out(job).state == BUSY
        # Carried out once that ends, and not before; by then it is done.
        progress, engine = Progress([job], {job.name: Work((10,))}), Local(1)
        began = time.monotonic()
        ending = subprocess.Popen(["sh", "-c", f"sleep 1.7; kill {orphan.pid}"])
        mark_done(job)
        assert carry_out_all([job], engine, progress) == []
        assert time.monotonic() - began > 1.6
        engine.close()
        progress.close()
        ending.wait()
        # Without a terminal the wait is told too, and once.
        waits, done = capsys.readouterr().out.splitlines()
        assert waits == f"{job.name}: another process has it; waiting until that ends"
        assert done.startswith(f"{job.name}: done")
    finally:
        orphan.kill()
        orphan.wait()


def test_cells_of_other_settings_are_refused_and_the_difference_shown(tmp_path):
    mark_done(job_of(tmp_path))
    refuse_others(tmp_path)
    refuse_others(tmp_path, {"mine": MADE_OF})
    # Another protocol beside it is no other setting.
    refuse_others(tmp_path, {"other": {**MADE_OF, "protocol": ["--protocol=other"]}})
    for changes, told in (
        ({"settings": ["--epochs=3"]}, "settings: --epochs=2 then, --epochs=3 now"),
        ({"settings": ["--epochs=2", "--zoom=0"]}, "settings: nothing then, --zoom=0 now"),
        ({"records": "b" * 64}, f"records: {'a' * 16} then, {'b' * 16} now"),
        ({"protocol": ["--cycle=none"]}, "mine: --protocol=mine then, --cycle=none now"),
    ):
        with pytest.raises(Refusal) as refused:
            refuse_others(tmp_path, {"mine": {**MADE_OF, **changes}})
        assert refused.value.code == "study-differs"
        assert refused.value.found == told
    # A report holds the cells against each other.
    mark_done(job_of(tmp_path, seed=1, made_of={**MADE_OF, "records": "c" * 64}))
    with pytest.raises(Refusal, match="records: cccccccccccccccc then, aaaaaaaaaaaaaaaa now"):
        refuse_others(tmp_path)
    # A cell that came to nothing, for a slip in its settings, binds nobody.
    (job_of(tmp_path, seed=1).run / "run.json").unlink()
    refuse_others(tmp_path)


def test_the_pace_is_that_of_what_was_done():
    pace = Pace()
    assert pace.seconds(100) is None
    pace.learn(Work((100, 100)), {"training": 50.0, "measuring": 5.0})
    pace.learn(Work((0, 200)), {"training": 30.0, "measuring": 7.0})
    pace.learn(Work((1000,)), {})  # gone on with: tells nothing
    # 80 s for 400 slices, and 6 s a cell.
    assert pace.seconds(100) == pytest.approx(20 + 6)
    assert pace.seconds(0) == pytest.approx(6)


def test_epochs_count_in_the_cycle_that_is_being_trained(tmp_path):
    log = tmp_path / "log.txt"
    assert last_epoch(log) is None
    log.write_text("mine 1/3, fixed: enc1-enc5,dec4: epoch 4 of 10, loss 1.2\nmine 2/3: copied\n")
    assert last_epoch(log) == (1, 4, 10)
    work = Work((100, 0, 200))
    assert work.until(0, (1, 4, 10)) == 40
    # A line of a cycle that has ended since counts no more.
    assert work.until(1, (1, 4, 10)) == work.until(2, (1, 4, 10)) == 100
    assert work.until(2, (3, 5, 10)) == 200
    assert work.until(3, (3, 5, 10)) == 300


def test_before_a_cell_has_ended_the_epochs_tell_the_time(tmp_path, capsys, monkeypatch):
    job, other = job_of(tmp_path), job_of(tmp_path, 1)
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = Progress([job, other], {job.name: Work((100,)), other.name: Work((100,))})
    job.folder.mkdir(parents=True)
    job.log.write_text("mine 1/1, fixed: none: epoch 5 of 10, loss 1.2, val_loss 1\n")
    now[0] = 60.0
    # A quarter in a minute; the cell that is done was only found done.
    progress.ended(Outcome(other.name, DONE))
    progress.close()
    assert capsys.readouterr().out == f"{other.name}: done (1 of 2 cells, about 20 s left)\n"


def test_the_time_left_follows_what_was_got_done(tmp_path, capsys, monkeypatch):
    jobs = [job_of(tmp_path, seed) for seed in range(4)]
    work = {job.name: Work((0, 100)) for job in jobs}
    mark_done(jobs[0], seconds={"training": 90.0, "measuring": 10.0})
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = Progress(jobs, work)
    assert [job.name for job in progress.left] == [job.name for job in jobs[1:]]
    # 100 s a cell is known; two at a time do two in 110 s.
    now[0] = 110.0
    progress.ended(Outcome(jobs[1].name, DONE, seconds={"training": 90.0, "measuring": 10.0}))
    progress.ended(Outcome(jobs[2].name, DONE, seconds={"training": 90.0, "measuring": 10.0}))
    progress.ended(Outcome(jobs[3].name, FAILED, "what it said"))
    progress.close()
    first, second, *_ = out = capsys.readouterr().out.splitlines()
    assert first == f"{jobs[1].name}: done in 1 min 40 s (2 of 4 cells, about 3 min 40 s left)"
    assert second == f"{jobs[2].name}: done in 1 min 40 s (3 of 4 cells, about 55 s left)"
    assert f"{jobs[3].name}: FAILED, what it said" in out


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")]
)
def test_durations_are_told_in_two_units(seconds, text):
    assert duration(seconds) == text
