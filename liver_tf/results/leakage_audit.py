"""Whether a network was tested on what it was trained on: the guard's comparison, once more.

Training refuses leaks before it begins. A report does not take that for granted: it compares the
test slices of every measured run with ``seen.json`` in its folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from liver_tf import run_files
from liver_tf.atomic_files import sha256_of
from liver_tf.records.leakage import SHARED, HashedCase, Leak, SplitPart, find_leaks
from liver_tf.records.training_data_file import load_training_data
from liver_tf.refusals import Refusal
from liver_tf.results.study_inventory import StudyRun

_SHOWN = 3


@dataclass(frozen=True)
class LeakageAudit:
    """What the comparison has found.

    Attributes:
      compared: runs whose test part was compared. unknown: runs that do not tell what they were
        trained on. loose: runs validated on the test fold, whose validation patients are their
        test patients; they are not counted as leaks.
      test_cases, hashed_cases: cases tested in all, and those of them whose slices have a hash in
        some run's ``seen.json`` (with several folds all have: what one fold tests another trains
        on). The others were compared by patient alone.
      seen_cases: cases trained on by any run.
      shared, alike: pairs of cases that share a patient; whose slices are the same or nearly so.
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
        """The result in words."""
        if not self.compared:
            return "not made: no measured run tells what it was trained on"
        found = (
            f"{_pairs(len(self.shared))} of a training and a test case with the same patient, "
            f"{_pairs(len(self.alike))} with the same or nearly the same slice"
        )
        parts = [
            f"test cases of {len(self.compared)} run(s) against all that their networks were "
            f"trained on ({self.test_cases} and {self.seen_cases} cases): {found}"
        ]
        if self.hashed_cases < self.test_cases:
            parts.append(
                f"slices of {self.hashed_cases} of the {self.test_cases} test cases could be "
                "compared here, all by patient; trainers.finetune compares all slices before "
                "training"
            )
        if self.loose:
            parts.append(
                f"{len(self.loose)} run(s) validated on their test patients by intention: "
                "compared with what was trained on before"
            )
        if self.unknown:
            named = ", ".join(self.unknown[:_SHOWN])
            more = f" and {len(self.unknown) - _SHOWN} more" if len(self.unknown) > _SHOWN else ""
            parts.append(f"NOT COMPARED, not told what was trained on: {named}{more}")
        return "; ".join(parts)

    def cautions(self) -> tuple[str, ...]:
        """What must be read before any figure."""
        found = []
        if self.shared:
            found.append(
                f"LEAK: {_pairs(len(self.shared))} of a training and a test case share a patient. "
                "The figures of these runs mean nothing."
            )
        if self.alike:
            found.append(
                f"POSSIBLE LEAK: {_pairs(len(self.alike))} of a training and a test case have the "
                "same or nearly the same slice. Training refuses this unless the pairs were "
                "allowed by name."
            )
        return tuple(found)


def audit_leakage(cells: Sequence[StudyRun]) -> LeakageAudit:
    """Compare every measured run's test cases with what its network has seen."""
    seen_of: dict[str, tuple[SplitPart, ...]] = {}
    unknown = []
    # The runs of a fold hold the same list, and reading one takes longer than telling it again.
    read: dict[str, tuple[SplitPart, ...]] = {}
    for cell in cells:
        if cell.results is None:
            continue
        path = cell.run / run_files.TRAINING_DATA
        try:
            content = sha256_of(path)
            if content not in read:
                read[content] = load_training_data(path)
            seen_of[cell.name] = read[content]
        except (Refusal, OSError):
            unknown.append(cell.name)
    known = {
        case.case: (case, part.site_key)
        for parts in seen_of.values()
        for part in parts
        for case in part.cases
    }
    done: dict[tuple, list[Leak]] = {}
    tested: set[str] = set()
    loose = []
    for cell in cells:
        if cell.name not in seen_of:
            continue
        own, *before = seen_of[cell.name]
        cases = {r.case: r.patient for r in cell.results.results}
        tested |= set(cases)
        parts = tuple(before if not cell.results.clean else (own, *before))
        if not cell.results.clean:
            loose.append(cell.name)
        test = SplitPart(
            "test",
            own.site_key,
            tuple(
                known[case][0] if case in known else HashedCase(case, patient, patient, ())
                for case, patient in sorted(cases.items())
            ),
        )
        # All protocols of a fold have seen the same: they are compared once.
        key = (parts, test)
        if key not in done:
            done[key] = find_leaks((part, test) for part in parts)
    leaks = {(leak.kind, leak.left, leak.right): leak for found in done.values() for leak in found}
    return LeakageAudit(
        compared=tuple(seen_of),
        unknown=tuple(unknown),
        loose=tuple(loose),
        test_cases=len(tested),
        hashed_cases=len(tested & set(known)),
        seen_cases=len(known),
        shared=tuple(leak for leak in leaks.values() if leak.kind == SHARED),
        alike=tuple(leak for leak in leaks.values() if leak.kind != SHARED),
    )


def _pairs(count: int) -> str:
    return "no pair" if count == 0 else "1 pair" if count == 1 else f"{count} pairs"
