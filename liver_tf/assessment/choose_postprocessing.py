"""Choose post-processing on the validation patients of a run, never on its test patients."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from liver_tf import run_files
from liver_tf.assessment.assessment_settings import ChooseSettings, SearchSettings
from liver_tf.assessment.postprocessing_search import best_of, combinations, measure_combinations
from liver_tf.assessment.split_cases import cases_of_part
from liver_tf.counted import counted
from liver_tf.folder_lock import held_alone, require_writable
from liver_tf.inference import postprocessing
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.decision_rules import ARGMAX, PRIOR_CORRECTED
from liver_tf.inference.liver_finder import LiverFinder
from liver_tf.inference.postprocessing import PostProcessing
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.model.description import liver_identity, load_description, precision_for
from liver_tf.model.precision_settings import FLOAT32
from liver_tf.progress import with_progress
from liver_tf.records.manifest import load_manifest
from liver_tf.records.shard_reader import check_shards, read_case
from liver_tf.refusals import Refusal

MEASURE = (
    "dice2: mean lesion Dice over the validation slices with a lesion; false_positive_rate: share "
    "of the validation slices without a lesion in which one is detected"
)


def choose_and_save(settings: ChooseSettings) -> Iterator[str]:
    """Choose the post-processing of each run and save it there; yields a summary of each choice.

    Raises:
      Refusal: As ``choose_postprocessing``; ``output-busy`` if another process uses the run;
        ``output-unwritable`` before anything is computed.
    """
    for run in settings.run:
        load_description(run)
        require_writable(run)
    for run in settings.run:
        with held_alone(run):
            how, chosen = choose_postprocessing(
                *(run, settings.liver_run, settings.records, settings.search),
                in_liver_only=settings.in_liver_only,
                precision=settings.precision,
            )
            postprocessing.save(run, how, chosen)
        summary = choice_summary(how, chosen)
        yield f"{run / run_files.POSTPROCESSING}: {how.text()}\n{summary}"


def choose_postprocessing(
    run: Path,
    liver_run: Path,
    records: Path,
    search: SearchSettings = SearchSettings(),  # noqa: B008
    *,
    in_liver_only: bool = True,
    precision: str = FLOAT32,
) -> tuple[PostProcessing, dict[str, Any]]:
    """The combination with the best Dice2 and few false positives on the validation patients.

    Slices are processed one by one, as in the evaluation. Probabilities are corrected for the class
    weights of the loss, except by ``argmax`` and in runs whose class weights are unknown.

    Args:
      records: record set of complete slices from which the run's ROIs were cut.
      in_liver_only: remove predicted lesions outside the predicted liver.
      precision: of both networks; see ``load_network``.

    Returns:
      The settings, and how they were chosen, for ``postprocessing.save``; ``table`` holds the
      measures of every combination.

    Raises:
      Refusal: as ``cases_of_part``; ``validation-no-lesion``; ``class-weights-unknown`` for
        ``prior_corrected``.
    """
    manifest = load_manifest(records)
    cases = cases_of_part(run, manifest, "validation")
    if search.decision == PRIOR_CORRECTED:
        postprocessing.require_class_weights(run)
    known = load_description(run).class_weights is not None
    check_shards(records, manifest, cases)
    tried = combinations(search.decision, known and search.decision != ARGMAX)
    precision = precision_for(run, precision).name
    cascade = Cascade(
        LiverFinder.of_run(liver_run, precision=precision),
        TrainedNetwork.of_run(run, "lesion", precision=precision),
        in_liver_only=in_liver_only,
        how=tried[0],
    )
    selected = set(cases)
    entries = [entry for entry in manifest.cases if entry.case in selected]
    slices = (read_case(records, entry) for entry in with_progress(entries, "choose", "patient"))
    dice, detected = measure_combinations(cascade, tried, slices)
    if not len(dice):
        raise Refusal(
            "validation-no-lesion",
            run,
            expected="at least one validation slice with a lesion",
            found=f"{counted(len(detected), 'slice')}, none of them with a lesion",
            remedy="Use the run without this step, or fine-tune with folds whose validation "
            "patients have lesions.",
        )
    choice = best_of(tried, dice, detected, search.max_false_positive_rate)
    warnings = choice.warnings
    if search.decision != ARGMAX and not known:
        warnings.append(
            "The class weights of the loss are unknown: the threshold is one of uncorrected "
            "probabilities."
        )
    return choice.how, {
        "measure": MEASURE,
        "max_false_positive_rate": search.max_false_positive_rate,
        "warnings": warnings,
        "chosen_on": {
            "part": "validation",
            "cases": [entry.case for entry in entries],
            "slices_with_lesion": len(dice),
            "slices_without": len(detected),
            "records": manifest.fingerprint,
            **liver_identity(liver_run),
            "in_liver_only": in_liver_only,
            "precision": precision,
        },
        "table": choice.table,
    }


def choice_summary(how: PostProcessing, chosen: dict[str, Any]) -> str:
    """The chosen settings compared with the plain rule, for a terminal."""
    plain = PostProcessing(how.lesion_probability and 0.5, corrected=how.corrected)
    basis = chosen["chosen_on"]
    width = max(len(how.text()), len(plain.text()))
    lines = [
        f"{len(chosen['table'])} combinations on "
        f"{counted(len(basis['cases']), 'validation patient')}: "
        f"{counted(basis['slices_with_lesion'], 'slice')} with a lesion, "
        f"{basis['slices_without']} without",
        f"  {'':{width}}  Dice2   false-positive rate on healthy slices",
    ]
    for each in dict.fromkeys((plain, how)):
        row = next(row for row in chosen["table"] if row.items() >= asdict(each).items())
        rate = row["false_positive_rate"]
        share = "-" if rate is None else f"{rate:.4f}"
        lines.append(f"  {each.text():{width}}  {row['dice2']:.4f}  {share}")
    return "\n".join([*lines, *(f"  CAUTION. {warning}" for warning in chosen["warnings"])])
