"""The model card: what a servable is, what it was measured on, and what it is not for.

After Mitchell et al., "Model cards for model reporting" (2019).
"""

from __future__ import annotations

from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.report.tables.paper_table import FEW, format_interval
from liver_tf.statistics.bootstrap_intervals import LEAST_PATIENTS, Interval

#: Told in the card, by their names in ``measures.json``.
_TOLD = ("success", "dice1", "dice2", "accuracy", "healthy_false_positive_rate")


def model_card(meaning: dict, measures: dict | None) -> str:
    """A Markdown text.

    Args:
      meaning: ``model.json``, as :func:`liver_tf.export.saved_model.export` writes it.
      measures: what was measured of the exported run: ``data``, ``level``, ``titles``, ``counts``
        and ``measures`` (value, low, high and samples by name); None where nothing was.
    """
    liver, lesion = meaning["liver_network"], meaning["lesion_network"]
    return "\n".join(
        [
            "# Model card: liver lesions in CT",
            "",
            "Finds the liver in axial CT slices, outlines lesions in it and names their type. "
            "Two U-Nets in a cascade after Heker, Ben-Cohen and Greenspan (arXiv 1907.13409); "
            f"made by liver_tf {meaning['liver_tf']} with TensorFlow {meaning['tensorflow']}.",
            "",
            "## Data",
            f"- Liver network: records `{liver['data_fingerprint'][:16]}`.",
            f"- Lesion network{'s' if meaning['lesion_networks'] > 1 else ''} "
            f"({meaning['lesion_networks']}): records `{lesion['data_fingerprint'][:16]}`.",
            *(f"- {name}: {value}" for name, value in sorted(meaning["provenance"].items())),
            "- Source, scanners and phase of contrast of the training data: not known; records "
            "keep none of them.",
            f"- HU window {lesion['window'][0]} to {lesion['window'][1]}; standardised by the "
            f"training data's liver: mean {lesion['mean_hu']:.1f} HU, SD {lesion['sd_hu']:.1f} HU.",
            f"- Classes: {', '.join(meaning['labels'])}.",
            "",
            "## From probabilities to lesions",
            f"- Post-processing: {PostProcessing(**meaning['postprocessing']).text()}.",
            f"- Lesions outside the liver that was found: "
            f"{'dropped' if meaning['in_liver_only'] else 'kept'}.",
            f"- Mirror images averaged: {'yes' if meaning['flips'] else 'no'}.",
            "- `diagnosis` is the type that most lesion pixels have, `diagnosis_probability` the "
            "mean over these pixels: they may name two types.",
            "",
            "## Measures",
            *_measured(measures),
            "",
            "## Intended use",
            "Research: outlines and types that a radiologist checks, in CT like that of the "
            "training data.",
            "",
            "## Limits",
            "- Not a medical device; not for diagnosis without a radiologist.",
            "- It knows the lesion types above and no other: any lesion is given one of them.",
            "- Measures hold for data like those they were measured on; other scanners, phases of "
            "contrast, ages or diseases were not looked at.",
            "- Where no liver is found nothing is looked for: such a slice comes back empty, which "
            "is no proof of health.",
            f"- Where the pixel spacing is unknown, {meaning['spacing_unknown']}.",
            "",
        ]
    )


def _measured(measures: dict | None) -> list[str]:
    if measures is None:
        return ["None came with the export: nothing is known of how well this model does."]
    counts = measures["counts"]
    lines = [
        f"On **{measures['data']}**: {counts['images']} slices ({counts['lesion_images']} with a "
        f"lesion, {counts['healthy_images']} healthy) of {counts['patients']} test patients, "
        f"with {measures['level']:.0%} intervals by bootstrap over patients. {FEW}: fewer than "
        f"{LEAST_PATIENTS} patients carry the measure, and no interval is shown.",
        *(
            [
                f"Pooled over {counts['networks']} networks of other folds or seeds, of which this "
                "is one."
            ]
            if counts["networks"] > 1
            else []
        ),
        "",
        "| measure | value |",
        "| --- | --- |",
    ]
    named = [name for name in _TOLD if name in measures["measures"]]
    for name in named or sorted(measures["measures"]):
        value = Interval(**measures["measures"][name])
        told = format_interval(value)
        if value.value is not None:
            lines.append(f"| {measures['titles'].get(name, name)} | {told} |")
    return [*lines, *(f"\n**{caution}**" for caution in measures.get("cautions", ()))]
