"""Leakage audit of evaluated runs: test cases against training data, checked again for the report.

Training already refuses leakage. A report does not rely on this: it compares the test slices of
every evaluated run with the training data recorded in the run's folder (``seen.json``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from liver_tf import run_files
from liver_tf.atomic_files import sha256_of
from liver_tf.counted import counted
from liver_tf.records.leakage import SHARED, HashedCase, Leak, SplitPart, find_leaks
from liver_tf.records.training_data_file import load_training_data
from liver_tf.refusals import Refusal
from liver_tf.results.study_inventory import StudyRun

_LISTED = 3


@dataclass(frozen=True)
class LeakageAudit:
    """Outcome of the audit.

    Attributes:
      compared: runs whose test part was compared.
      unknown: runs without a record of their training data.
      loose: runs validated on the test fold. Their validation patients are their test patients,
        which does not count as a leak.
      hashed_cases: test cases whose slices have a hash in the ``seen.json`` of some run (with
        several folds all have: the test cases of one fold are training cases of another). The
        others are compared by patient only.
      seen_cases: number of cases that any run was trained on.
      shared: pairs of cases of the same patient.
      alike: pairs of cases with identical or nearly identical slices.
    """

    compared: tuple[str, ...]
    unknown: tuple[str, ...]
    loose: tuple[str, ...]
    test_cases: int
    hashed_cases: int
    seen_cases: int
    shared: tuple[Leak, ...]
    alike: tuple[Leak, ...]

    def text(self) -> str:
        """The outcome in words."""
        if not self.compared:
            return "not done: no evaluated run has a record of its training data"
        parts = [
            f"{self.test_cases} test cases of {counted(len(self.compared), 'run')} were compared "
            f"with the {self.seen_cases} cases their networks were trained on: "
            f"{_pairs(len(self.shared))} of a training and a test case from the same patient, "
            f"{_pairs(len(self.alike))} with identical or nearly identical slices"
        ]
        if self.hashed_cases < self.test_cases:
            parts.append(
                f"all test cases were compared by patient, {self.hashed_cases} of "
                f"{self.test_cases} also by the hashes of their slices; liver-tf finetune compares "
                "all slices before training"
            )
        if self.loose:
            parts.append(
                f"{counted(len(self.loose), 'run')} with deliberate validation on the test "
                "patients; these were compared with the pre-training data only"
            )
        if self.unknown:
            names, more = ", ".join(self.unknown[:_LISTED]), len(self.unknown) - _LISTED
            names += f" and {more} more" if more > 0 else ""
            parts.append(f"NOT COMPARED, training data unknown: {names}")
        return "; ".join(parts)

    def cautions(self) -> tuple[str, ...]:
        """Warnings that belong above all figures."""
        cautions = []
        if self.shared:
            cautions.append(
                f"LEAKAGE: {_pairs(len(self.shared))} of a training and a test case from the same "
                "patient. The figures of these runs are invalid."
            )
        if self.alike:
            cautions.append(
                f"POSSIBLE LEAKAGE: {_pairs(len(self.alike))} of a training and a test case with "
                "identical or nearly identical slices. Training refuses such pairs unless they are "
                "listed as allowed."
            )
        return tuple(cautions)


def audit_leakage(runs: Sequence[StudyRun]) -> LeakageAudit:
    """Compare the test cases of every evaluated run with the training data of its network."""
    seen, unknown = _training_data(runs)
    known = {case.case: case for parts in seen.values() for part in parts for case in part.cases}
    tested: set[str] = set()
    loose = []
    # The protocols of a fold have the same training data: they are compared once.
    comparisons: dict[tuple[tuple[SplitPart, ...], SplitPart], None] = {}
    for run in runs:
        if run.results is None or run.name not in seen:
            continue
        training, *pretraining = seen[run.name]
        cases = {r.case: r.patient for r in run.results.results}
        tested |= set(cases)
        if not run.results.clean:
            loose.append(run.name)
        hashed = tuple(
            known.get(case, HashedCase(case, patient, patient, ()))
            for case, patient in sorted(cases.items())
        )
        parts = (training, *pretraining) if run.results.clean else tuple(pretraining)
        comparisons[parts, SplitPart("test", training.site_key, hashed)] = None
    leaks = {
        (leak.kind, leak.left, leak.right): leak
        for parts, test in comparisons
        for leak in find_leaks((part, test) for part in parts)
    }
    return LeakageAudit(
        compared=tuple(seen),
        unknown=tuple(unknown),
        loose=tuple(loose),
        test_cases=len(tested),
        hashed_cases=len(tested & set(known)),
        seen_cases=len(known),
        shared=tuple(leak for leak in leaks.values() if leak.kind == SHARED),
        alike=tuple(leak for leak in leaks.values() if leak.kind != SHARED),
    )


def _training_data(
    runs: Sequence[StudyRun],
) -> tuple[dict[str, tuple[SplitPart, ...]], list[str]]:
    """Training data by name of the evaluated runs, and the names of runs without a record."""
    seen: dict[str, tuple[SplitPart, ...]] = {}
    unknown = []
    # The runs of a fold have identical files, and loading one takes longer than hashing it.
    loaded: dict[str, tuple[SplitPart, ...]] = {}
    for run in runs:
        if run.results is None:
            continue
        path = run.run / run_files.TRAINING_DATA
        try:
            content = sha256_of(path)
            if content not in loaded:
                loaded[content] = load_training_data(path)
            seen[run.name] = loaded[content]
        except (Refusal, OSError):
            unknown.append(run.name)
    return seen, unknown


def _pairs(count: int) -> str:
    return counted(count, "pair") if count else "no pair"
