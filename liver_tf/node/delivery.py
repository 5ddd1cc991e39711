"""Sends the results of predicted series to their destinations, until each has stored them."""

import contextlib
import logging
import os
import threading
import time
from pathlib import Path

from liver_tf.export.scan_results import SEG, SR
from liver_tf.node.dicom_peers import Caller, NoAssociation, PeerUnavailable
from liver_tf.node.node_settings import Peer
from liver_tf.node.spool import DONE, FAILED, QUEUED, SENDING, Job, Spool
from liver_tf.refusals import Refusal

LOG = logging.getLogger("liver_tf.node")

#: Seconds between two steps.
STEP = 0.2
#: Seconds before another try; doubled by each failure of a destination.
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0


def result_files(job: Job) -> list[Path]:
    """What is sent, in this order: a report refers to the segmentation."""
    files = (job.results / SEG, job.results / SR, job.overview)
    return [path for path in files if path.exists()]


class Delivery(threading.Thread):
    """Sends in a thread of its own. What a destination stored is noted, so that it is sent once.

    If the node is killed between an answer and its note, an object is sent again, with the same
    UID.

    Attributes:
      stored: Number of objects that destinations stored.
      failures: Number of tries that failed.
    """

    def __init__(
        self, spool: Spool, destinations: list[Peer], caller: Caller, keep_seconds: float
    ) -> None:
        super().__init__(name="delivery", daemon=True)
        self._spool, self._destinations, self._caller = spool, destinations, caller
        self._keep_seconds = keep_seconds
        self.stored = self.failures = 0
        self._stopping = threading.Event()
        #: The job that is being sent.
        self._sending: Job | None = None
        #: When this process began to send a series. Not by the clock, which may jump, nor since the
        #: prediction: after a power failure a destination may start later than this node.
        self._since: dict[str, float] = {}
        #: When to try again, and the pause before it: of a destination, or a series and one.
        self._paused: dict[tuple[str, Peer], tuple[float, float]] = {}

    def run(self) -> None:
        while not self._stopping.wait(STEP):
            for job in self._spool.jobs(SENDING):
                try:
                    self._send(job)
                except Exception as error:  # of any kind: others are sent
                    if job.folder.exists():
                        LOG.error("%s: sending failed: %s", job.label, type(error).__name__)
                        self._pause(job.name, *self._destinations)
                finally:
                    self._sending = None

    def stop(self) -> None:
        """End after the object that is being sent."""
        self._stopping.set()
        self.join(60)

    def wait_for_first_answer(self, series: str) -> None:
        """Wait while results of a series are being sent and no destination has stored one.

        If a destination does not answer, this takes as long as the timeout.
        """
        while (job := self._sending) and job.series == series and self.is_alive():
            with contextlib.suppress(OSError):  # no folder: the first attempt failed
                if os.listdir(job.sent):
                    return
            time.sleep(STEP / 4)

    def _send(self, job: Job) -> None:
        missing, since = False, self._since.setdefault(job.name, time.monotonic())
        facts: dict[str, str] = {}
        for peer in self._destinations:
            files = [path for path in result_files(job) if not _mark(job, path, peer).exists()]
            if not files:
                continue
            missing = True
            paused = self._is_paused("", peer) or self._is_paused(job.name, peer)
            if paused or self._stopping.is_set():
                continue
            later = self._spool.later(job)
            if not later:
                # The order matters: results that are queued from here on state that they replace
                # these, unless this attempt fails.
                self._sending = job
                job.sent.mkdir(exist_ok=True)
                later = self._spool.later(job)
            if later:
                _forget_start(job)
                if QUEUED in [each.folder.parent.name for each in later]:
                    return  # they are sent only if the prediction of the whole series fails
                facts["superseded_by"], missing = later[0].label, False
                LOG.warning("%s: not sent, replaced by %s", job.label, later[0].label)
                break
            try:
                problems = self._caller.store(peer, files, lambda path: self._note(job, path, peer))  # noqa: B023
                _forget_start(job)
            except PeerUnavailable as error:
                if isinstance(error, NoAssociation):
                    _forget_start(job)
                self.failures += 1
                LOG.warning("%s: %s is not available", job.label, peer.title)
                self._pause("", peer)
                continue
            self._paused.pop(("", peer), None)
            for problem in problems:
                self.failures += 1
                LOG.error("%s: %s did not store %s", job.label, peer.title, problem)
                self._pause(job.name, peer)
        if not missing:
            self._spool.move(job, DONE, **facts)
            LOG.info("%s: done", job.label)
        elif time.monotonic() - since > self._keep_seconds:
            refusal = _not_sent()
            self._spool.move(job, FAILED, **refusal.to_json())
            LOG.error("%s: failed: %s", job.label, refusal.text())
        else:
            return
        del self._since[job.name]
        self._paused = {key: pause for key, pause in self._paused.items() if key[0] != job.name}

    def _note(self, job: Job, path: Path, peer: Peer) -> None:
        mark = _mark(job, path, peer)
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        self.stored += 1
        LOG.info("%s: %s stored %s", job.label, peer.title, path.name)

    def _pause(self, name: str, *peers: Peer) -> None:
        for peer in peers:
            _, before = self._paused.get((name, peer), (0.0, 0.0))
            pause = min(max(2 * before, FIRST_PAUSE), LONGEST_PAUSE)
            self._paused[name, peer] = (time.monotonic() + pause, pause)

    def _is_paused(self, name: str, peer: Peer) -> bool:
        until, _ = self._paused.get((name, peer), (0.0, 0.0))
        return time.monotonic() < until


def _forget_start(job: Job) -> None:
    """Remove the folder that records sent results, if no destination has stored one."""
    with contextlib.suppress(OSError):  # not empty
        job.sent.rmdir()


def _not_sent() -> Refusal:
    return Refusal(
        "not-sent",
        None,
        expected="destinations that store the results",
        found="one that is not available or refuses them",
        remedy="Check the destination, then send the series again.",
    )


def _mark(job: Job, path: Path, peer: Peer) -> Path:
    return job.sent / f"{path.name}.{peer.title}.{peer.host}.{peer.port}".replace("/", "_")
