"""Progress of a study: one bar for all runs, with the time left.

The progress of a run in training is read from the files that training writes after every epoch.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tqdm import tqdm

from liver_tf.counted import counted
from liver_tf.results.study_inventory import durations
from liver_tf.run_files import finished_epochs
from liver_tf.studies.command_chain import format_duration
from liver_tf.studies.run_process import DONE, JobResult, StudyJob


@dataclass(frozen=True)
class PlannedWork:
    """Work of a run, measured in slices shown to the network.

    Attributes:
      slices: in one epoch, training and validation together.
      epochs: maximum of each cycle; 0 for a cycle that is copied from another run.
    """

    slices: int
    epochs: tuple[int, ...]

    @property
    def total(self) -> int:
        return self.slices * sum(self.epochs)

    def done(self, cycles: int, epochs: int = 0) -> int:
        """Slices shown after that many finished cycles, and epochs of the next cycle."""
        open_cycle = self.epochs[cycles] if cycles < len(self.epochs) else 0
        return self.slices * (sum(self.epochs[:cycles]) + min(epochs, open_cycle))


@dataclass
class RunDurations:
    """Estimates the duration of a run from finished runs.

    Training time is proportional to the planned slices (early stopping included). The time for
    post-processing and evaluation is the same for every run.
    """

    slices: int = 0
    training_s: float = 0.0
    measuring_s: list[float] = field(default_factory=list)

    def add(self, work: PlannedWork, seconds: Mapping[str, float]) -> None:
        """Add a finished run; ``seconds`` as in ``JobResult.seconds``, ignored if empty."""
        if seconds:
            self.measuring_s.append(seconds["measuring"])
            self.slices += work.total
            self.training_s += seconds["training"]

    def estimate(self, slices: int) -> float | None:
        """Seconds for the remaining slices of a run and its evaluation; None without data."""
        if not self.measuring_s:
            return None
        measuring = sum(self.measuring_s) / len(self.measuring_s)
        return measuring + (slices * self.training_s / self.slices if self.slices else 0.0)


class StudyProgress:
    """Shows a bar on a terminal, otherwise one line for each run that ends."""

    def __init__(self, jobs: Sequence[StudyJob], work: Mapping[str, PlannedWork]) -> None:
        self._count, self._work = len(jobs), work
        self._remaining = {job.name: job for job in jobs if not job.is_done()}
        self._done = self._count - len(self._remaining)
        self._durations = RunDurations()
        for job in jobs:
            self._durations.add(work[job.name], durations(job.status()))
        self._start = time.monotonic()
        self._reported_waiting: set[str] = set()
        self._slices_at_start = self._remaining_slices()
        self._bar = tqdm(
            total=max(sum(work[job.name].total for job in jobs), 1),
            disable=None,
            bar_format="{percentage:3.0f}%|{bar:40}| {desc}",
        )
        self.update()

    @property
    def remaining(self) -> list[StudyJob]:
        """The jobs that have not ended."""
        return list(self._remaining.values())

    def finish(self, result: JobResult) -> None:
        """Record that a job is done or has failed."""
        job = self._remaining.pop(result.name)
        self._done += result.state == DONE
        self._durations.add(self._work[job.name], result.seconds)
        self.update()
        if result.state != DONE:
            self._bar.write(f"{result.name}: FAILED, {result.error}")
        elif self._bar.disable:
            took = f" in {format_duration(sum(result.seconds.values()))}" if result.seconds else ""
            print(f"{result.name}: done{took} ({self._text()})", flush=True)

    def update(self, waiting_for: Sequence[str] = ()) -> None:
        """Refresh the display; ``waiting_for``: jobs that another process is executing."""
        self._bar.n = self._bar.total - min(sum(self._remaining_slices()), self._bar.total)
        self._bar.set_description_str(self._text(waiting_for))
        if self._bar.disable:
            for name in (name for name in waiting_for if name not in self._reported_waiting):
                print(f"{name}: waiting for another process that is executing it", flush=True)
            self._reported_waiting.update(waiting_for)

    def close(self) -> None:
        self._bar.close()

    def _text(self, waiting_for: Sequence[str] = ()) -> str:
        seconds = self._seconds_left()
        parts = [f"{self._done} of {counted(self._count, 'run')}"]
        if failed := self._count - self._done - len(self._remaining):
            parts.append(f"{failed} failed")
        if self._remaining and seconds is not None:
            parts.append(f"about {format_duration(seconds)} left")
        if waiting_for:
            parts.append(f"another process is executing {', '.join(waiting_for)}")
        return ", ".join(parts)

    def _seconds_left(self) -> float | None:
        """Estimated from the progress since the start, so it holds for any number of workers."""
        slices = self._remaining_slices()
        elapsed = time.monotonic() - self._start
        now = [self._durations.estimate(count) for count in slices]
        then = [self._durations.estimate(count) for count in self._slices_at_start]
        if None not in now and None not in then:
            gained = sum(then) - sum(now)
            return sum(now) * (elapsed / gained if gained > 0 else 1.0)
        # No run has ended yet: estimate from the slices shown.
        shown = sum(self._slices_at_start) - sum(slices)
        return sum(slices) * elapsed / shown if shown > 0 else None

    def _remaining_slices(self) -> list[int]:
        """Slices that each remaining job has still to show."""
        work = [(self._work[name], job.run) for name, job in self._remaining.items()]
        return [planned.total - planned.done(*finished_epochs(run)) for planned, run in work]
