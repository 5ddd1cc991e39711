"""The model card: data, measures, intended use and limits of an exported model.

After Mitchell et al., "Model cards for model reporting" (2019). Text: ``model_card.md.jinja``.
"""

from __future__ import annotations

from pathlib import Path

import jinja2

from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.report.tables.paper_table import FEW, format_interval
from liver_tf.statistics.bootstrap_intervals import LEAST_PATIENTS, Interval

#: Measures on the card, by name in ``measures.json``.
_MEASURES = ("success", "dice1", "dice2", "accuracy", "healthy_false_positive_rate")
_TEMPLATE = Path(__file__).with_suffix(".md.jinja")


def model_card(meaning: dict, measures: dict | None) -> str:
    """The model card in Markdown.

    Args:
      meaning: The contents of ``model.json``, see ``saved_model.write_saved_model``.
      measures: As of ``model_card_facts.measures_of``; None if there are none.
    """
    template = jinja2.Template(
        _TEMPLATE.read_text(encoding="utf-8"),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return template.render(
        meaning=meaning,
        lesion=meaning["lesion_network"],
        postprocessing=PostProcessing(**meaning["postprocessing"]).text(),
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
