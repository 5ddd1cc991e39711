"""The DICOM node: from series that arrive to results that are sent, one series at a time."""

from __future__ import annotations

import contextlib
import gc
import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from liver_tf.bounded_files import read_json
from liver_tf.ct.dicom_elements import read_dataset
from liver_tf.disk_full import write_errors_as_refusals
from liver_tf.export.algorithm_identity import AlgorithmIdentity
from liver_tf.export.dicom_overview import write_overview
from liver_tf.export.scan_results import JSON, SEG, SR
from liver_tf.folder_lock import held_alone
from liver_tf.node.changed_options import options_of_results, report_changed_options
from liver_tf.node.delivery import Delivery, result_files
from liver_tf.node.dicom_peers import Caller, PeerUnavailable, require_packages
from liver_tf.node.node_settings import ListenSettings
from liver_tf.node.spool import FAILED, QUEUED, SENDING, Job, Spool
from liver_tf.options import options_of
from liver_tf.prediction.bad_scans import refusal_of
from liver_tf.prediction.one_scan import predict_scan
from liver_tf.prediction.prediction_settings import FindingSettings, ResultSettings
from liver_tf.refusals import Refusal

if TYPE_CHECKING:
    from liver_tf.inference.cascade import Cascade

LOG = logging.getLogger("liver_tf.node")

#: Starts of the prediction of a series that did not end: it kills the process.
MOST_ATTEMPTS = 5
#: Seconds: between two steps; before a retry on a full disk; between two checks for expired series,
#: of which there may be thousands.
STEP, DISK_PAUSE, EXPIRY = 0.2, 60.0, 60.0


class Node:
    """A receiver, a delivery, and the series between them.

    Attributes:
      outcomes: Number of series by what became of them.
      unwritten: Number of DICOM results that could not be written, by reason code.
      last_step: ``time.monotonic()`` of the last step.
    """

    def __init__(
        self, settings: ListenSettings, cascade: Cascade, made_by: AlgorithmIdentity
    ) -> None:
        # Imported here, because it needs pynetdicom.
        from liver_tf.node.receiver import Receiver

        self._settings, self._cascade, self._made_by = settings, cascade, made_by
        names = [one.name for one in options_of(FindingSettings)]
        stated = {name: getattr(settings.findings, name) for name in names}
        self._results = ResultSettings(**stated)
        self.spool = Spool(settings.spool, settings.limits.max_slices)
        self.receiver = Receiver(settings, self.spool)
        self._caller = Caller(settings.ae_title, settings.tls, settings.limits.timeout)
        self.delivery = Delivery(
            self.spool, settings.destinations, self._caller, settings.keep_seconds
        )
        self.outcomes: Counter[str] = Counter()
        self.unwritten: Counter[str] = Counter()
        self.prediction_seconds = 0.0
        self.last_step = time.monotonic()
        #: When to check whether a series is complete, if it was not.
        self._next_check: dict[str, float] = {}
        self._paused_until = self._next_expiry = 0.0

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; a series that is being predicted is finished."""
        report_changed_options(self.spool, self._settings, self._identity)
        self.receiver.start()
        self.delivery.start()
        try:
            idle = True
            while not stop.wait(STEP if idle else 0):
                idle = True
                try:
                    idle = not self.step()
                except Exception as error:  # of any kind: the service must keep running
                    LOG.error("unexpected error: %s", type(error).__name__)
                    stop.wait(DISK_PAUSE if isinstance(error, OSError) else 1)
        finally:
            self.delivery.stop()
            self.receiver.stop()

    def step(self) -> bool:
        """Queue complete series, predict one, remove old ones; returns whether it predicted."""
        self.last_step = time.monotonic()
        for series, silence_s, interrupted in self.spool.silent():
            try:
                self._check_complete(series, silence_s, interrupted)
            except Exception as error:  # of any kind: the others are checked
                LOG.error("%s: unexpected error: %s", series[:8], type(error).__name__)
                self._next_check[series] = time.monotonic() + DISK_PAUSE
        processed = False
        if time.monotonic() >= self._paused_until:
            queued = self.spool.jobs(QUEUED)
            # One that failed to end before waits for the others.
            for job in sorted(queued, key=lambda job: job.status.get("attempts", 0))[:1]:
                self._process(job)
                processed = True
        if time.monotonic() >= self._next_expiry:
            self._next_expiry = time.monotonic() + min(EXPIRY, self._settings.keep_seconds / 10)
            for job in self.spool.expire(self._settings.keep_seconds):
                LOG.info("%s: removed after %s", job.label, self._settings.keep)
        return processed

    def _check_complete(self, series: str, silence_s: float, interrupted: bool) -> None:
        settings = self._settings
        if silence_s < settings.complete_after:
            self._next_check.pop(series, None)
            return
        if time.monotonic() < self._next_check.get(series, 0.0):
            return
        complete = self._is_confirmed(series) if settings.archive else not interrupted
        self._next_check.pop(series, None)
        if complete:
            job, is_new = self.spool.complete(series, self._identity)
            count = len(list(job.objects.iterdir()))
            if is_new:
                LOG.info("%s: queued, %d objects", job.label, count)
            else:
                self.outcomes["repeated"] += 1
                LOG.info("%s: received again with the same objects, not repeated", job.label)
                if changed := job.status.get("changed_options"):
                    LOG.warning("%s: its results are of other options: %s", job.label, changed)
        elif silence_s >= settings.incomplete_after:
            refusal = _incomplete()
            job = self.spool.incomplete(series, {"state": FAILED, **refusal.to_json()})
            self.outcomes["incomplete"] += 1
            LOG.error("%s: failed: %s", job.label, refusal.text())
        elif settings.archive:  # ask at most once in the time for which a series must be silent
            self._next_check[series] = time.monotonic() + settings.complete_after

    def _is_confirmed(self, series: str) -> bool:
        """Ask the archive whether it has no more objects than have arrived."""
        settings = self._settings
        path, arrived = self.spool.arrived(series)
        header = read_dataset(path, pixels=False, only=["StudyInstanceUID", "SeriesInstanceUID"])
        uids = str(header.get("StudyInstanceUID", "")), str(header.SeriesInstanceUID)
        try:
            count = self._caller.count(settings.archive, *uids)
        except PeerUnavailable:
            LOG.warning("%s: %s does not answer C-FIND", series[:8], settings.archive.title)
            return False
        LOG.info("%s: %d of %d objects", series[:8], arrived, count)
        return 0 < count <= arrived

    @property
    def _identity(self) -> dict[str, str]:
        return asdict(self._made_by)

    def _process(self, job: Job) -> None:
        """Predict a series; a bad one fails, and a full disk is waited for."""
        attempts = int(job.status.get("attempts", 0)) + 1
        started = time.monotonic()
        try:
            if attempts > MOST_ATTEMPTS:
                raise _killed(job)
            with write_errors_as_refusals(job.folder):
                job.note(state=QUEUED, attempts=attempts)
            facts = self._predict(job)
        except Exception as error:  # of any kind
            refusal = refusal_of(error, job.objects, job.folder)
            if refusal.code in ("disk-full", "output-unwritable"):
                LOG.error("%s: waiting: %s", job.label, refusal.text())
                with contextlib.suppress(OSError):  # this start did not kill the process
                    job.note(attempts=attempts - 1)
                self._paused_until = time.monotonic() + DISK_PAUSE
                return
            self.outcomes["failed"] += 1
            self.spool.move(job, FAILED, **refusal.to_json(), made_by=self._identity)
            LOG.error("%s: failed: %s", job.label, refusal.text())
            return
        seconds = time.monotonic() - started
        self.prediction_seconds += seconds
        self.outcomes["predicted"] += 1
        facts |= {"made_by": self._identity, "predicted_at": time.time()}
        facts["options"] = options_of_results(self._settings)
        self.spool.move(job, SENDING, seconds=round(seconds, 2), **facts)
        LOG.info("%s: predicted in %.1f s: %s", job.label, seconds, facts["result"])

    def _predict(self, job: Job) -> dict[str, Any]:
        """Write the results and the overview; returns what ``status.json`` states of them."""
        arguments = (self._cascade, job.objects, job.results, self._results, self._made_by)
        self.delivery.wait_for_first_answer(job.series)
        earlier = self.spool.predicted_before(job)
        options: dict[str, Any] = {
            "replaces": [each.results for each in earlier],
            # Without a destination, users read the results in the spool.
            "for_archive": bool(self._settings.send_to),
        }
        try:
            results = predict_scan(*arguments, **options)
        except Refusal as refusal:
            if refusal.code != "output-exists":
                raise
            shutil.rmtree(job.results)  # of other networks, before this node was started
            results = predict_scan(*arguments, **options)
        slice_file = min(job.objects.iterdir())
        write_overview(
            *(job.overview, job.results, slice_file, self._made_by), replaces=bool(earlier)
        )
        for each in earlier:
            LOG.info("%s: replaces the results of %s", job.label, each.label)
        return {
            "result": results.status,
            "lesions": len(results.lesions),
            "cautions": [caution.code for caution in results.cautions],
            "files": [path.name for path in result_files(job)],
            "not_written": self._unwritten(job),
            "replaces": [each.label for each in earlier],
        }

    def _unwritten(self, job: Job) -> dict[str, Any]:
        """Why SEG or SR could not be written, by name; counts and logs it.

        A scan without a finding has no SEG or SR (``nothing-found``), which is a result.
        """
        reasons = read_json(job.results / JSON)["not_written"]
        unwritten = {
            name: reasons[name]
            for name in (SEG, SR)
            if name in reasons and reasons[name]["code"] != "nothing-found"
        }
        for name, reason in unwritten.items():
            self.unwritten[reason["code"]] += 1
            LOG.warning("%s: no %s: [%s]", job.label, name, reason["code"])
        return unwritten


def _incomplete() -> Refusal:
    return Refusal(
        "incomplete",
        None,
        expected="a complete series",
        found="an interrupted association, or an archive that did not confirm the number",
        remedy="Send the whole series again in one association. With --find, the rest is enough.",
    )


def _killed(job: Job) -> Refusal:
    return Refusal(
        "node-killed",
        job.objects,
        expected="a series that can be predicted",
        found=f"{MOST_ATTEMPTS} starts of its prediction during which the process was killed",
        remedy="Predict it with the command predict on a machine with more memory.",
    )


def log_to_standard_error() -> None:
    """Print the log of the node, with times; nothing else is logged, as it may quote elements."""
    logging.getLogger().addHandler(logging.NullHandler())
    threading.excepthook = lambda error: LOG.warning(
        "a thread ended by an error: %s", error.exc_type.__name__
    )
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


def listen(
    settings: ListenSettings,
    stop: threading.Event,
    ready: Callable[[Node], None] = lambda node: None,
) -> None:
    """Run a DICOM node until ``stop`` is set.

    Args:
      ready: Called when associations are accepted.

    Raises:
      Refusal: ``node-packages``, ``node-port``, ``node-tls``; a run cannot be used; the spool is
        used by another process or cannot be written.
    """
    require_packages()
    from liver_tf.model.description import precision_for
    from liver_tf.node.monitor import Monitor

    with held_alone(settings.spool):
        cascade = settings.load(settings.model)
        notice = settings.notice(settings.model, cascade)
        precision = precision_for(settings.model[0], settings.precision).text()
        for line in (notice, f"precision: {precision}", f"post-processing: {cascade.how.text()}"):
            if line:
                LOG.info(line)
        made_by = AlgorithmIdentity.of_runs(settings.all_runs(settings.model))
        try:
            node = Node(settings, cascade, made_by)
            monitor = Monitor(node, settings.http_port) if settings.http_port else None
        except OSError as error:
            raise Refusal(
                "node-port",
                None,
                expected="addresses and ports that this process can listen on",
                found=error.strerror or type(error).__name__,
                remedy="Check --host, --port and --http_port.",
            ) from None
        # pynetdicom collects garbage every 60 steps of its server, which blocks everything else.
        # Freezing excludes half a million objects of imported packages from the search.
        gc.collect()
        gc.freeze()
        LOG.info("%s listens on %s:%d", settings.ae_title, settings.host, node.receiver.port)
        ready(node)
        try:
            node.run(stop)
        finally:
            if monitor:
                monitor.stop()
