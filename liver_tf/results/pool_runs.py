"""Pool the results of runs into protocols, folds and seeds together."""

from collections.abc import Sequence
from dataclasses import replace

from liver_tf.measures.slice_result import SliceResult
from liver_tf.records.manifest import DATA, Manifest
from liver_tf.refusals import Refusal
from liver_tf.results.run_results import LOOSE, RunResults
from liver_tf.trained_on import IMPLANTED, IMPLANTED_LABEL, MIXED, PHANTOM, PHANTOM_LABEL


def pool_runs(runs: Sequence[RunResults]) -> dict[str, tuple[SliceResult, ...]]:
    """Results of runs by protocol.

    If only some runs were validated on the test fold, the names of their protocols end in
    ``LOOSE``, so that they are not confused with the others.

    Raises:
      Refusal: ``runs-not-one-study``: two runs of the same protocol, fold and seed; different label
        sets or record sets; folds that share a patient; or runs of one fold with different test
        slices.
    """
    mixed = len({run.clean for run in runs}) > 1
    _check_one_study(runs)
    pooled: dict[str, list[SliceResult]] = {}
    networks: set[tuple[str, str, int]] = set()
    fold_of: dict[tuple[str, str], str] = {}
    for run in runs:
        name = f"{run.protocol}, {LOOSE}" if mixed and not run.clean else run.protocol
        if (name, run.fold, run.seed) in networks:
            raise _not_one_study("every protocol, fold and seed once", f"{run.name} twice")
        networks.add((name, run.fold, run.seed))
        for result in run.results:
            if fold_of.setdefault((name, result.patient), run.fold) != run.fold:
                raise _not_one_study(
                    "folds with disjoint test patients", f"a patient in two folds of {name}"
                )
        pooled.setdefault(name, []).extend(
            replace(result, fold=run.fold, seed=run.seed) for result in run.results
        )
    return {name: tuple(results) for name, results in pooled.items()}


def pool_argmax(runs: Sequence[RunResults]) -> dict[str, tuple[SliceResult, ...]]:
    """As ``pool_runs``, by argmax without post-processing; protocols of which all runs have it."""
    known = [replace(r, results=r.by_argmax) for r in runs if r.by_argmax is not None]
    unknown = {(r.protocol, r.clean) for r in runs if r.by_argmax is None}
    names = pool_runs(runs)
    return {
        name: slices
        for name, slices in pool_runs(known).items()
        if name in names and not {(name, True), (name.removesuffix(f", {LOOSE}"), False)} & unknown
    }


def default_label(manifest: Manifest) -> str:
    """Name of a record set in reports, by the kind of its data."""
    learned = manifest.trained_on([entry.case for entry in manifest.cases], typed=False)
    labels = {PHANTOM: PHANTOM_LABEL, MIXED: IMPLANTED_LABEL}
    return labels.get(learned.kind if learned else "", "your data")


def data_label_of(runs: Sequence[RunResults], data_label: str) -> str:
    """Name of the data in the report, marked if all runs were validated on the test fold."""
    return data_label if any(run.clean for run in runs) else f"{data_label}, {LOOSE}"


def cautions_of_runs(runs: Sequence[RunResults]) -> tuple[str, ...]:
    """Warnings that belong above all figures."""
    cautions = []
    loose = [run.name for run in runs if not run.clean]
    if loose:
        cautions.append(
            f"{LOOSE}: early stopping, post-processing and temperature of {', '.join(loose)} were "
            "chosen on the test patients. These figures are optimistically biased and must not be "
            "compared with those of clean runs."
        )
    implanted = [run.name for run in runs if run.made_of.get(DATA) == IMPLANTED]
    if implanted:
        cautions.append(
            f"COMPUTED LESIONS: {', '.join(implanted)} were evaluated on lesions that were "
            "implanted into real scans. These figures say nothing about real lesions."
        )
    repeated = [f"{run.name} ({run.looks} times)" for run in runs if run.looks > 1]
    if repeated:
        cautions.append(
            f"TEST FOLD EVALUATED MORE THAN ONCE: {', '.join(repeated)}, with different settings. "
            "If settings were chosen after the first evaluation, the figures are biased."
        )
    return tuple(cautions)


def _check_one_study(runs: Sequence[RunResults]) -> None:
    slices_of: dict[str, frozenset[tuple[str, str, int]]] = {}
    for run in runs:
        tested = frozenset(result.image for result in run.results)
        if slices_of.setdefault(run.fold, tested) != tested:
            raise _not_one_study(
                "runs of one fold with the same test slices", f"different slices in {run.name}"
            )
    for name, values in (
        ("label set", {run.label_set.classes for run in runs}),
        ("record set", {run.made_of.get("records") for run in runs}),
    ):
        if len(values) > 1:
            raise _not_one_study(f"runs on one {name}", f"{len(values)} {name}s")


def _not_one_study(expected: str, found: str) -> Refusal:
    return Refusal(
        "runs-not-one-study",
        None,
        expected=expected,
        found=found,
        remedy="Report on runs of one record set and one set of folds, each listed once.",
    )
