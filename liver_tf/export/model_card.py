"""The model card: data, measures, intended use and limits of an exported model.

After Mitchell et al., "Model cards for model reporting" (2019).
"""

from __future__ import annotations

from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.report.tables.paper_table import FEW, format_interval
from liver_tf.statistics.bootstrap_intervals import LEAST_PATIENTS, Interval

#: Measures on the card, by name in ``measures.json``.
_MEASURES = ("success", "dice1", "dice2", "accuracy", "healthy_false_positive_rate")


def model_card(meaning: dict, measures: dict | None) -> str:
    """The model card in Markdown.

    Args:
      meaning: The contents of ``model.json``, see ``saved_model.export``.
      measures: As of ``model_card_facts.measures_of``; None if there are none.
    """
    liver, lesion = meaning["liver_network"], meaning["lesion_network"]
    return "\n".join(
        [
            "# Model card: liver lesions in CT",
            "",
            "Finds the liver in axial CT slices, and segments and classifies the lesions in it. "
            "Two U-Nets in a cascade after Heker, Ben-Cohen and Greenspan (arXiv 1907.13409); "
            f"made by liver_tf {meaning['liver_tf']} with TensorFlow {meaning['tensorflow']}.",
            "",
            "## Data",
            f"- Liver network: records `{liver['data_fingerprint'][:16]}`.",
            f"- Lesion network{'s' if meaning['lesion_networks'] > 1 else ''} "
            f"({meaning['lesion_networks']}): records `{lesion['data_fingerprint'][:16]}`.",
            *(f"- {name}: {value}" for name, value in sorted(meaning["provenance"].items())),
            "- Source, scanners and contrast phase of the training data: unknown, not stored in "
            "the records.",
            f"- HU window {lesion['window'][0]} to {lesion['window'][1]}; standardised by the "
            f"liver HU of the training data: mean {lesion['mean_hu']:.1f} HU, "
            f"SD {lesion['sd_hu']:.1f} HU.",
            f"- Classes: {', '.join(meaning['labels'])}.",
            "",
            "## From probabilities to lesions",
            f"- Post-processing: {PostProcessing(**meaning['postprocessing']).text()}.",
            f"- Lesions outside the detected liver: "
            f"{'removed' if meaning['in_liver_only'] else 'kept'}.",
            f"- Test-time flips: {'yes' if meaning['flips'] else 'no'}.",
            "- `diagnosis` is the majority type of the lesion pixels, `diagnosis_probability` the "
            "mean over these pixels; the two may name different types.",
            "",
            "## Measures",
            *_measured(measures),
            "",
            "## Intended use",
            "Research: outlines and types to be checked by a radiologist, in CT similar to the "
            "training data.",
            "",
            "## Limits",
            "- Not a medical device; not for diagnosis without a radiologist.",
            "- Only the lesion types above are known: every lesion is assigned one of them.",
            "- Measures apply to data similar to the test data; other scanners, contrast phases, "
            "ages and diseases were not tested.",
            "- A slice in which no liver is found is not searched for lesions. Its result is "
            "empty, which does not mean that it is healthy.",
            f"- If the pixel spacing is unknown, {meaning['spacing_unknown']}.",
            "",
        ]
    )


def _measured(measures: dict | None) -> list[str]:
    if measures is None:
        return ["None were supplied with the export: the performance of this model is unknown."]
    counts = measures["counts"]
    lines = [
        f"On **{measures['data']}**: {counts['images']} slices ({counts['lesion_images']} with a "
        f"lesion, {counts['healthy_images']} healthy) of {counts['patients']} test patients, "
        f"with {measures['level']:.0%} intervals by bootstrap over patients. {FEW}: fewer than "
        f"{LEAST_PATIENTS} patients contribute to the measure, and no interval is shown.",
        *(
            [
                f"Pooled over {counts['networks']} networks of different folds or seeds, of which "
                "this is one."
            ]
            if counts["networks"] > 1
            else []
        ),
        "",
        "| measure | value |",
        "| --- | --- |",
    ]
    named = [name for name in _MEASURES if name in measures["measures"]]
    for name in named or sorted(measures["measures"]):
        value = Interval(**measures["measures"][name])
        if value.value is not None:
            title = measures["titles"].get(name, name)
            lines.append(f"| {title} | {format_interval(value)} |")
    return [*lines, *(f"\n**{caution}**" for caution in measures.get("cautions", ()))]
