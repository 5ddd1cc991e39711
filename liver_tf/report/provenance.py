"""Provenance of a report's figures: data, weights, versions and arguments of its runs."""

import datetime
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from liver_tf import __version__
from liver_tf.counted import counted
from liver_tf.machine import machine
from liver_tf.report.page.page_parts import Table
from liver_tf.report.tables.paper_table import ABSENT
from liver_tf.results.study_inventory import EVALUATED, StudyRun
from liver_tf.results.training_history import trained_cycles
from liver_tf.run_files import INNER, TEST_FOLD
from liver_tf.trained_on import TrainedOn, training_notice

_LISTED = 3

#: Entries of ``run.json`` that are reported elsewhere or list patients.
_NOT_ARGUMENTS = ("split", "versions", "fold", "seed", "validation", "protocol")

#: Settings of a cycle and their headings.
_CYCLE = {
    "learning_rate": "learning rate",
    "epochs": "maximum epochs",
    "patience": "patience",
    "batch_size": "batch size",
    "monitor": "early stopping on",
    "norm": "batch normalisation of frozen blocks",
}


def learned_from(runs: Sequence[StudyRun]) -> str:
    """A sentence on what the networks of the runs learned from; empty if a file is damaged."""
    stored = [run.model.get("trained_on") for run in runs]
    try:
        networks = [each and TrainedOn.from_json(each) for each in stored]
    except (ValueError, TypeError, KeyError, AttributeError):  # of a damaged model.json
        return ""
    return training_notice({"lesion networks": networks})


def facts(runs: Sequence[StudyRun]) -> dict[str, str]:
    """Facts about data, weights, training and versions, as far as the runs record them.

    The names are keys of ``measures.json``.
    """
    trained_with = (cycle.machine for run in runs for cycle in run.cycles)
    facts = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "runs": f"{sum(run.state == EVALUATED for run in runs)} of {len(runs)} evaluated",
        "records measured on, fingerprint": _each(_made_of(runs, "records")),
        "records trained on, fingerprint": _each(r.identity.get("data_fingerprint") for r in runs),
        "liver network, weights": _each(_made_of(runs, "liver_weights")),
        "liver network, rule": _each(_made_of(runs, "liver_rule")),
        "liver network trained on": _each(
            (run.model.get("roi") or {}).get("liver_data_fingerprint") for run in runs
        ),
        "pre-trained weights": _each(run.identity.get("pretrained_weights") for run in runs),
        "folds": _each(sorted({run.fold for run in runs})),
        "seeds": _each(map(str, sorted({run.seed for run in runs}))),
        "network": _each(_architecture(run.identity) for run in runs),
        "early stopping": _early_stopping(runs),
        "temperature of the type": _temperatures(runs),
        "training": _training(runs),
        "machine in training": _each(trained_with),
        "machine in reporting": machine(),
        "versions in training": _each(_versions(run.identity) for run in runs),
        "versions in measuring": _each(f"liver_tf {each}" for each in _made_of(runs, "program")),
        "versions in reporting": f"liver_tf {__version__}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}",
    }
    return {name: text for name, text in facts.items() if text}


def cautions_of(runs: Sequence[StudyRun]) -> tuple[str, ...]:
    """Warnings about runs that are not evaluated, and about the choice of post-processing."""
    cautions = []
    rest = {run.name: run.state for run in runs if run.state != EVALUATED}
    if rest:
        cautions.append(
            f"STUDY INCOMPLETE: {len(runs) - len(rest)} of {len(runs)} runs are evaluated. "
            "Protocols may have different patients; comparisons use the folds and seeds that both "
            f"protocols have. {_some(rest)}."
        )
    warned = {run.name: " ".join(run.choice_warnings) for run in runs if run.choice_warnings}
    if warned:
        cautions.append(
            f"POST-PROCESSING: chosen with a warning in {len(warned)} of {len(runs)} runs. "
            f"{_some(warned)}."
        )
    return tuple(cautions)


def _some(texts: Mapping[str, str]) -> str:
    """The first eight texts by run, and the number of the others."""
    named = "; ".join(f"{name}: {text.removesuffix('.')}" for name, text in [*texts.items()][:8])
    return named + (f"; and {len(texts) - 8} more" if len(texts) > 8 else "")


def protocols_table(runs: Sequence[StudyRun]) -> Table:
    """The cycles of each protocol and their settings."""
    rows = []
    for run in runs:
        protocol = run.identity.get("protocol", {})
        start = _plain(protocol.get("start"))
        for number, cycle in enumerate(protocol.get("cycles", ()), 1):
            frozen = ", ".join(cycle.get("fixed", ())) or "none"
            settings = (_plain(cycle.get(name)) for name in _CYCLE)
            rows.append((run.protocol, start, str(number), frozen, *settings, _decay(cycle)))
    headers = ("protocol", "start", "cycle", "frozen blocks", *_CYCLE.values())
    return Table((*headers, "learning-rate decay"), tuple(dict.fromkeys(rows)), words=True)


def _decay(cycle: Mapping[str, Any]) -> str:
    if "decay" not in cycle:
        return ABSENT
    times, every, floor = (_plain(cycle.get(n)) for n in ("decay", "decay_epochs", "floor"))
    return f"x {times} every {every} epochs, not below {floor}"


def arguments_table(runs: Sequence[StudyRun]) -> Table:
    """Training arguments; several values if they differ between runs."""
    values: dict[str, dict[str, None]] = {}
    for run in runs:
        arguments = {k: v for k, v in run.identity.items() if k not in _NOT_ARGUMENTS}
        for name, value in _flat(arguments):
            values.setdefault(name, {})[_plain(value)] = None
    rows = []
    for name, texts in values.items():
        more = [f"and {len(texts) - _LISTED} more"] if len(texts) > _LISTED else []
        rows.append((name, " | ".join([*[*texts][:_LISTED], *more])))
    return Table(("argument", "value"), tuple(rows), words=True)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, inner


def _plain(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(item) for item in value)
    return str(value)


def _each(values: Iterable[object]) -> str:
    """The distinct known values, in order."""
    return "; ".join(dict.fromkeys(str(value) for value in values if value))


def _made_of(runs: Sequence[StudyRun], name: str) -> list[str]:
    values = [run.results.made_of.get(name) for run in runs if run.results is not None]
    return [value for value in values if value]


def _architecture(identity: Mapping[str, Any]) -> str:
    shape = identity.get("architecture", {})
    if not {"image_size", "base_filters"} <= set(shape):
        return ""
    return f"{shape['image_size']} x {shape['image_size']} pixels, {shape['base_filters']} filters"


def _versions(identity: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in identity.get("versions", {}).items())


def _early_stopping(runs: Sequence[StudyRun]) -> str:
    ways = {run.validation for run in runs if run.results is not None}
    if ways <= {INNER}:
        return "on inner validation patients; test patients were not used"
    some = "" if ways == {TEST_FOLD} else " in some of the runs"
    return f"ON THE TEST FOLD ITSELF{some}: the figures are optimistically biased"


def _temperatures(runs: Sequence[StudyRun]) -> str:
    evaluated = [run for run in runs if run.results is not None]
    fitted = [run.results.temperature for run in evaluated if run.results.temperature]
    if not fitted:
        return "none: no validation slice to fit it to"
    values = [t.value for t in fitted]
    basis = _each(f"fitted on the {t.fitted_on} patients" for t in fitted)
    text = f"{min(values):.2f} to {max(values):.2f}" if len(fitted) > 1 else f"{values[0]:.2f}"
    at_bound = sum(t.at_bound for t in fitted)
    if at_bound:
        text += f", at a limit of the search range in {counted(at_bound, 'run')}"
    if len(fitted) < len(evaluated):
        text += f", none in {counted(len(evaluated) - len(fitted), 'run')}"
    return f"{text}, {basis}; values by run in the table of runs"


def _training(runs: Sequence[StudyRun]) -> str:
    trained = [run.cycles for run in runs if run.cycles]
    if not trained:
        return ""
    cycles = trained_cycles(trained)
    spent, alone = sum(cycle.seconds for cycle in cycles), sum(run.seconds for run in runs)
    text = f"{_duration(spent)} for {counted(len(trained), 'run')}, without evaluation"
    if core_s := sum(cycle.core_seconds for cycle in cycles):
        text += f", {core_s / 60:.0f} core-minutes"
    if alone - spent > 1:
        text += f"; runs that share cycles saved {_duration(alone - spent)}"
    wall = [run.wall_s for run in runs if run.wall_s]
    if wall:
        total = sum(sum(seconds.values()) for seconds in wall)
        text += (
            f"; sum of wall-clock times including start-up and evaluation: {_duration(total)} for "
            f"{counted(len(wall), 'run')}, some of which may have run in parallel"
        )
    return text


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
