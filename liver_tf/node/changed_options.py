"""Options that were changed between two starts, and the series that were predicted before.

Such a series keeps its results. This is stated in the log and in its ``status.json``.
"""

import contextlib
import logging
from collections import Counter
from typing import Any

from liver_tf.inference.cascade_settings import ModelSettings
from liver_tf.node.node_settings import ListenSettings
from liver_tf.node.spool import DONE, SENDING, Spool
from liver_tf.options import options_of
from liver_tf.prediction.prediction_settings import FindingSettings

LOG = logging.getLogger("liver_tf.node")

REMEDY = "To apply them, delete its folder in the spool and send the series again."
#: They choose the networks, which are compared by their weights.
_NETWORKS = ("liver_run", "model", "types")


def options_of_results(settings: ListenSettings) -> dict[str, Any]:
    """The options that decide what the results of a series are, and where they are sent."""
    names = [one.name for one in options_of(ModelSettings) if one.name not in _NETWORKS]
    stated = {name: getattr(settings, name) for name in names}
    for one in options_of(FindingSettings):
        stated[one.name] = getattr(settings.findings, one.name)
    return {**stated, "send_to": sorted(settings.send_to)}


def report_changed_options(spool: Spool, settings: ListenSettings, made_by: dict[str, str]) -> None:
    """Log and note which options do not apply to predicted series.

    Results that are not sent yet go to the destinations of this start. A series of an earlier
    version of the program, which stored no options, is compared by its networks only.
    """
    options = options_of_results(settings)
    found: Counter[tuple[str, ...]] = Counter()
    for state in (SENDING, DONE):
        for job in spool.jobs(state):
            status = job.status
            stored = status.get("options", {})
            changed = [f"--{name}" for name, value in stored.items() if options.get(name) != value]
            if state == SENDING and "--send_to" in changed:
                changed.remove("--send_to")
            if status.get("made_by", made_by) != made_by:
                changed.append("networks")
            if changed != status.get("changed_options", []):
                with contextlib.suppress(OSError):  # the disk may be full
                    job.annotate(changed_options=changed, changed_options_remedy=REMEDY)
            if changed:
                found[tuple(changed)] += 1
    for names, count in found.items():
        LOG.warning(
            "changed options do not apply to %d predicted series: %s. %s",
            *(count, ", ".join(names), REMEDY),
        )
