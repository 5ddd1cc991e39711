"""How the figures of a report came about, as the folders of its runs tell it."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from liver_tf import __version__
from liver_tf.report.page.page_parts import Table
from liver_tf.report.tables.paper_table import ABSENT
from liver_tf.results.study_inventory import MEASURED, StudyRun
from liver_tf.results.training_history import seconds_spent
from liver_tf.run_files import INNER, TEST_FOLD

_SHOWN = 3

#: Parts of ``run.json`` that are told elsewhere, or are lists of patients.
_NOT_ARGUMENTS = ("split", "versions", "fold", "seed", "validation", "protocol")

#: Settings of a cycle, and what they are called.
_CYCLE = {
    "learning_rate": "learning rate",
    "epochs": "epochs at most",
    "patience": "patience",
    "batch_size": "batch",
    "monitor": "early stopping by",
    "norm": "batch normalisation of fixed blocks",
}


def facts(cells: Sequence[StudyRun]) -> dict[str, str]:
    """What a reviewer must know, by name; only what the runs tell."""
    told = {
        "runs": f"{sum(cell.state == MEASURED for cell in cells)} of {len(cells)} measured",
        "records measured on, fingerprint": _each(_made_of(cells, "records")),
        "records trained on, fingerprint": _each(c.identity.get("data_fingerprint") for c in cells),
        "liver network, weights": _each(_made_of(cells, "liver_weights")),
        "liver network trained on": _each(
            (cell.model.get("roi") or {}).get("liver_data_fingerprint") for cell in cells
        ),
        "pre-trained weights": _each(c.identity.get("pretrained_weights") for c in cells),
        "folds": _each(sorted({cell.fold for cell in cells})),
        "seeds": _each(map(str, sorted({cell.seed for cell in cells}))),
        "network": _each(_size(cell.identity) for cell in cells),
        "early stopping": _early_stopping(cells),
        "temperature of the type": _temperatures(cells),
        "training": _training(cells),
        "versions in training": _each(_versions(cell.identity) for cell in cells),
        "versions in measuring": _each(f"liver_tf {one}" for one in _made_of(cells, "program")),
        "versions in reporting": f"liver_tf {__version__}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}",
    }
    return {name: text for name, text in told.items() if text}


def cautions_of(cells: Sequence[StudyRun]) -> tuple[str, ...]:
    """Told in red: runs that are missing, failed or not measured."""
    rest = [cell for cell in cells if cell.state != MEASURED]
    if not rest:
        return ()
    named = "; ".join(f"{cell.name}: {cell.state}" for cell in rest[:8])
    more = f"; and {len(rest) - 8} more" if len(rest) > 8 else ""
    return (
        f"STUDY NOT COMPLETE: {len(cells) - len(rest)} of {len(cells)} runs are measured. "
        "Protocols may stand on different patients; comparisons use the runs that both have. "
        f"{named}{more}.",
    )


def protocols_table(cells: Sequence[StudyRun]) -> Table:
    """How each protocol trains: from what it starts, its cycles and their settings."""
    rows: dict[tuple[str, ...], None] = {}
    for cell in cells:
        protocol = cell.identity.get("protocol", {})
        for number, cycle in enumerate(protocol.get("cycles", ()), 1):
            rows[
                (
                    cell.protocol,
                    _plain(protocol.get("start")),
                    str(number),
                    ", ".join(cycle.get("fixed", ())) or "none",
                    *(_plain(cycle.get(name)) for name in _CYCLE),
                    _decay(cycle),
                )
            ] = None
    headers = (
        "protocol",
        "start",
        "cycle",
        "blocks held fixed",
        *_CYCLE.values(),
        "decay of the rate",
    )
    return Table(headers, tuple(rows), words=True)


def _decay(cycle: Mapping[str, Any]) -> str:
    if "decay" not in cycle:
        return ABSENT
    times, every, floor = (_plain(cycle.get(n)) for n in ("decay", "decay_epochs", "floor"))
    return f"x {times} every {every} epochs, not below {floor}"


def arguments_table(cells: Sequence[StudyRun]) -> Table:
    """Arguments of training; those that differ between runs show all their values."""
    values: dict[str, dict[str, None]] = {}
    for cell in cells:
        for name, value in _flat(cell.identity):
            values.setdefault(name, {})[_plain(value)] = None
    rows = tuple((name, _few(list(own))) for name, own in values.items())
    return Table(("argument", "value"), rows, words=True)


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if not before and name in _NOT_ARGUMENTS:
            continue
        full = f"{before}.{name}" if before else name
        if isinstance(inner, Mapping):
            yield from _flat(inner, full)
        else:
            yield full, inner


def _plain(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(one) for one in value)
    return str(value)


def _few(values: Sequence[str]) -> str:
    if len(values) <= _SHOWN:
        return " | ".join(values)
    return f"{' | '.join(values[:_SHOWN])} | and {len(values) - _SHOWN} more"


def _each(values) -> str:
    """The different values that are known, in order."""
    return "; ".join(dict.fromkeys(str(value) for value in values if value))


def _made_of(cells: Sequence[StudyRun], name: str) -> list[str]:
    found = [cell.results.made_of.get(name) for cell in cells if cell.results is not None]
    return [value for value in found if value]


def _size(identity: Mapping[str, Any]) -> str:
    shape = identity.get("architecture", {})
    if not {"image_size", "base_filters"} <= set(shape):
        return ""
    return f"{shape['image_size']} x {shape['image_size']} pixels, {shape['base_filters']} filters"


def _versions(identity: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {one}" for name, one in identity.get("versions", {}).items())


def _early_stopping(cells: Sequence[StudyRun]) -> str:
    ways = {cell.validation for cell in cells if cell.results is not None}
    if ways <= {INNER}:
        return "on the inner validation patients; the test patients took no part"
    some = "" if ways == {TEST_FOLD} else ", in some of the runs"
    return f"ON THE TEST FOLD ITSELF{some}: the figures are optimistic"


def _temperatures(cells: Sequence[StudyRun]) -> str:
    measured = [cell for cell in cells if cell.results is not None]
    found = [cell.results.temperature for cell in measured if cell.results.temperature]
    if not found:
        return "none: no validation slice to fit it on"
    values = [one.value for one in found]
    fitted = _each(f"fitted on the {one.fitted_on} patients" for one in found)
    text = f"{min(values):.2f} to {max(values):.2f}" if len(found) > 1 else f"{values[0]:.2f}"
    at_bound = sum(one.at_bound for one in found)
    if at_bound:
        text += f", at the end of what was sought in {at_bound} run(s)"
    if len(found) < len(measured):
        text += f", none in {len(measured) - len(found)} run(s)"
    return f"{text}, {fitted}; by run in the table of runs"


def _training(cells: Sequence[StudyRun]) -> str:
    trained = [cell.cycles for cell in cells if cell.cycles]
    if not trained:
        return ""
    spent, alone = seconds_spent(trained), sum(cell.seconds for cell in cells)
    text = f"{_duration(spent)} for {len(trained)} run(s), measuring not counted"
    if alone - spent > 1:
        text += f"; {_duration(alone - spent)} more without the cycles that runs share"
    wall = [cell.wall_s for cell in cells if cell.wall_s]
    if wall:
        total = sum(sum(own.values()) for own in wall)
        text += (
            f"; start-up and measuring counted, by the clock and added up: {_duration(total)} for "
            f"{len(wall)} run(s), some of them side by side perhaps"
        )
    return text


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
