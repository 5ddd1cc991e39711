"""The model card: provenance, data, measures, intended use and limits of an exported model.

After Mitchell et al., "Model cards for model reporting" (2019). Text: ``model_card.md.jinja``.
"""

from pathlib import Path
from typing import Any

import jinja2

from liver_tf import run_files
from liver_tf.bounded_files import read_json
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.model.description import liver_identity
from liver_tf.model.liver_rule import LiverRule
from liver_tf.model.weights_file import stored_hash
from liver_tf.refusals import Refusal
from liver_tf.report.findings import COUNTS
from liver_tf.report.page.render_markdown import escape
from liver_tf.report.tables.paper_table import FEW, format_interval
from liver_tf.statistics.bootstrap_intervals import LEAST_PATIENTS, Interval
from liver_tf.trained_on import CascadeTrainedOn

#: Measures on the card, by name in ``measures.json``.
_MEASURES = ("success", "dice1", "dice2", "accuracy", "healthy_false_positive_rate")
_TEMPLATE = Path(__file__).with_suffix(".md.jinja")

#: Entries of ``measures.json`` that must match the exported model, and their names in messages.
_COMPARED = {
    "weights": "weights",
    "liver_weights": "liver network",
    "liver_rule": "rule of the liver network",
    "postprocessing": "post-processing",
}


def model_card(meaning: dict, measures: dict | None) -> str:
    """The model card in Markdown.

    Args:
      meaning: The contents of ``model.json``, see ``saved_model.write_saved_model``.
      measures: As of ``measures_of``; None if there are none.
    """
    environment = jinja2.Environment(
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        finalize=lambda value: escape(value) if isinstance(value, str) else value,
    )
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        meaning=meaning,
        lesion=meaning["lesion_network"],
        trained_ranges=CascadeTrainedOn.from_json(meaning["trained_on"]).ranges,
        postprocessing=PostProcessing(**meaning["postprocessing"]).text(),
        liver_rule=LiverRule(**meaning.get("liver_rule", {})).text(),
        measures=measures,
        rows=_rows(measures) if measures else [],
        few=FEW,
        least_patients=LEAST_PATIENTS,
    )


def _rows(measures: dict) -> list[tuple[str, str]]:
    """Title and value of each measure that could be computed."""
    values = {name: Interval(**value) for name, value in measures["measures"].items()}
    names = [name for name in _MEASURES if name in values] or sorted(values)
    return [
        (measures["titles"].get(name, name), format_interval(values[name]))
        for name in names
        if values[name].value is not None
    ]


def provenance_of(
    runs: list[Path], liver_run: Path, outline_run: Path | None = None
) -> dict[str, str]:
    """Fold, seed and protocol of the runs (from their folders), weights and numbers of cases."""
    provenance = {}
    for number, run in enumerate(runs, 1):
        name = f"run {number}" if len(runs) > 1 else "run"
        provenance[name] = "/".join(run.resolve().parts[-3:])
        provenance |= _run_facts(name, run)
    for name, run in (("liver run", liver_run), ("outline run", outline_run)):
        if run is not None:
            provenance |= {name: run.resolve().name, **_run_facts(name, run)}
    return provenance


def _run_facts(name: str, run: Path) -> dict[str, str]:
    """Weights and numbers of cases; cases are patients, or scans of patients."""
    facts = {f"{name}, weights": stored_hash(run / run_files.WEIGHTS)}
    try:
        split = run_files.read_identity(run)["split"]
        parts = [f"{len(split[part])} {part}" for part in ("training", "validation", "test")]
    except (OSError, ValueError, KeyError, TypeError):
        return facts
    return {**facts, f"{name}, cases": ", ".join(parts)}


def measures_of(path: Path, runs: list[Path], liver_run: Path, cascade: Cascade) -> dict[str, Any]:
    """The measures of an exported run in ``measures.json``, for its model card.

    They must have been computed with the same weights, liver network and post-processing, without
    flips and outline network, and with lesions in the liver only.

    Raises:
      Refusal: ``measures-unreadable``; ``measures-other-run`` if the file has no measures of the
        model, or if several runs are exported, whose average is not evaluated.
    """
    try:
        report = read_json(path)
        protocols = report["protocols"]
        shared = {name: report[name] for name in ("data", "level", "titles", "cautions")}
        for each in protocols.values():
            _check_protocol(shared, each)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(
            "measures-unreadable",
            path,
            expected="a measures.json of liver-tf evaluate",
            found="a missing file or one with other contents",
            remedy="Name the measures.json that liver-tf evaluate wrote.",
        ) from None
    if len(runs) > 1:
        raise _not_of_model(path, "several exported runs, whose average was not measured")
    facts = cascade.facts()
    deviations = ["test-time flips"] if facts["flips"] else []
    if not facts["in_liver_only"]:
        deviations.append("lesions outside the liver")
    if cascade.outline:
        deviations.append("the outline network")
    if deviations:
        raise _not_of_model(path, f"measures made without {' and '.join(deviations)}")
    exported = {
        "weights": stored_hash(runs[0] / run_files.WEIGHTS),
        "liver_rule": None,  # the default one
        **liver_identity(liver_run),
        "postprocessing": cascade.how.text(),
    }
    # The protocol of this name first: another protocol's run may be a copy of this one.
    name = runs[0].resolve().name
    ordered = [each for _, each in sorted(protocols.items(), key=lambda item: item[0] != name)]
    measured = [(each, network) for each in ordered for network in each.get("networks") or []]
    for protocol, network in measured:
        if all(network.get(key) == value for key, value in exported.items()):
            return {**shared, "counts": protocol["counts"], "measures": protocol["measures"]}
    same = [network for _, network in measured if network.get("weights") == exported["weights"]]
    if same:
        other = [text for key, text in _COMPARED.items() if same[-1].get(key) != exported[key]]
        raise _not_of_model(path, f"measures of these weights with another {' and '.join(other)}")
    if all(each.get("networks") for each in ordered):
        raise _not_of_model(path, "measures of other weights")
    raise _not_of_model(path, "measures that do not state their weights")


def _check_protocol(shared: dict[str, Any], protocol: dict[str, Any]) -> None:
    """Raise an error unless the card can show the protocol, and its networks can be compared."""
    float(shared["level"])
    _rows({**shared, "measures": protocol["measures"]})
    for name in COUNTS:
        int(protocol["counts"][name])
    for network in protocol.get("networks") or ():
        network.keys()


def _not_of_model(path: Path, found: str) -> Refusal:
    return Refusal(
        "measures-other-run",
        path,
        expected="measures of the model that is exported",
        found=found,
        remedy="Omit --measures, or evaluate the run as it is exported (liver-tf evaluate).",
    )
