"""Make a damaged file by its number, read it on one path of the program, and judge the outcome."""

from __future__ import annotations

import shutil
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liver_tf.conversion.cases import CaseTask
from liver_tf.conversion.convert_cases import Target, convert_case
from liver_tf.inspection.fingerprint import Facts, facts_of_case
from liver_tf.records.pixel_encoding import ENCODINGS
from liver_tf.records.shard_reader import read_case
from liver_tf.refusals import Refusal
from tests.builders.mutations import mutate
from tests.campaigns.fuzz_kinds import CANARY, Kind, find_table, make_kinds
from tests.campaigns.reason_codes import codes_in_source

#: Most files go to the plain reader, fewer to ``verify``, the fewest to the conversion.
ROUTES = (*["read"] * 5, *["facts"] * 2, *(f"convert {encoding}" for encoding in ENCODINGS))

#: Limit of processor time, independent of other load. (CharLS needs 3 s for some broken JPEG-LS
#: files of any image size.)
LONGEST_S = 10.0


@dataclass(frozen=True)
class Mutant:
    """Damaged file ``number`` of a seed; ``inner``: the damage has a valid checksum."""

    number: int
    kind: str
    route: str
    data: bytes
    inner: bool


@dataclass(frozen=True)
class Verdict:
    """The outcome of a mutant.

    Attributes:
      outcome: ``refused``, ``equal`` (accepted with the pixels of the good file), ``changed``
        (accepted with other pixels, in a format without a checksum), or ``trouble``.
      codes: Reason codes.
      seconds: Processor time.
      trouble: The defect of the program, or empty.
    """

    number: int
    kind: str
    route: str
    outcome: str
    codes: tuple[str, ...] = ()
    seconds: float = 0.0
    trouble: str = ""


def make_mutant(kinds: dict[str, Kind], seed: int, number: int) -> Mutant:
    """Mutant determined by kinds, seed and number."""
    kind = list(kinds.values())[number % len(kinds)]
    random = np.random.default_rng([seed, number])
    route = ROUTES[random.integers(len(ROUTES))]
    if kind.task is None and kind.name != "csv":
        route = "read"
    inner = kind.inner is not None and bool(random.integers(2))
    data = kind.good
    while data in (kind.good, kind.donor):
        if inner:
            data = kind.inner(kind.good, random, kind.donor)
            continue
        for _ in range(1 if random.integers(4) else 2):
            data = mutate(data, random, kind.donor, kind.header)
    return Mutant(number, kind.name, route, data, inner)


class Judge:
    """Reads mutants in its own folder and judges the outcome."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._known = set(codes_in_source())
        self.kinds = make_kinds(folder)
        self._good = {
            (name, route): self._read_on_route(kind, route)[0]
            for name, kind in self.kinds.items()
            for route in dict.fromkeys(ROUTES)
            if route == "read" or kind.task is not None or name == "csv"
        }

    def judge(self, number: int) -> Verdict:
        """Make, read and judge a mutant; catches everything except the death of the process."""
        mutant = make_mutant(self.kinds, self._seed, number)
        kind = self.kinds[mutant.kind]
        kind.victim.write_bytes(mutant.data)
        began = time.process_time()
        outcome, codes, trouble = "trouble", (), ""
        try:
            with warnings.catch_warnings(record=True) as caught_warnings:
                warnings.simplefilter("always")
                result, refusals, text = self._read_on_route(kind, mutant.route)
            text += "".join(str(warning.message) for warning in caught_warnings)
            codes = tuple(refusal.code for refusal in refusals)
            if refusals:
                outcome = "refused"
            else:
                outcome = (
                    "equal" if _same(result, self._good[kind.name, mutant.route]) else "changed"
                )
            trouble = self._complaint(refusals, text)
            if outcome == "changed" and kind.checked and not mutant.inner:
                trouble = "changed pixels were accepted although the format has a checksum"
            if time.process_time() - began > LONGEST_S:
                trouble = f"it took more than {LONGEST_S:g} s"
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            trouble = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
        finally:
            seconds = time.process_time() - began
            kind.victim.write_bytes(kind.good)
        return Verdict(
            number,
            kind.name,
            mutant.route,
            "trouble" if trouble else outcome,
            codes,
            seconds,
            trouble,
        )

    def _complaint(self, refusals: list[Refusal], text: str) -> str:
        for refusal in refusals:
            if refusal.code == "unexpected-error":
                return f"an unforeseen error: {refusal.found}"
            if refusal.code not in self._known:
                return f"the reason code {refusal.code} is not in the source"
            text += refusal.text()
        return "the output repeats content of the file" if CANARY in text else ""

    def _read_on_route(self, kind: Kind, route: str):
        """Return the result of a path for comparison, its refusals, and all of its text."""
        if route == "read":
            try:
                reading = kind.read(kind.victim)
            except Refusal as refusal:
                return None, [refusal], ""
            return reading.pixels, [], reading.text
        if kind.name == "csv":
            tasks, refusals = find_table(kind.victim)
        else:
            tasks, refusals = [kind.task], []
        if route == "facts":
            return _facts(tasks, refusals)
        return self._convert(tasks, refusals, route.removeprefix("convert "))

    def _convert(self, tasks: list[CaseTask], refusals: list[Refusal], encoding: str):
        output = self._folder / "converted"
        shutil.rmtree(output, ignore_errors=True)
        made, text = [], ""
        for task in tasks:
            result = convert_case((task, Target(output, encoding=encoding)))
            refusals = [*refusals, *result.refusals]
            if result.entry is not None:
                made.append((result.entry.sha256, result.entry.statistics))
                text += repr(result.entry)
                if len(list(read_case(output, result.entry))) != result.entry.records:
                    raise AssertionError("the shard and its entry differ")
        for path in output.rglob("*") if output.is_dir() else ():
            text += path.name
            if path.is_file():
                text += path.read_bytes().decode("latin-1")
            if path.name.startswith(".partial-"):
                raise AssertionError("a partial file was left")
        return made, refusals, text


def _facts(tasks: list[CaseTask], refusals: list[Refusal]):
    total = Facts()
    for task in tasks:
        total += facts_of_case(task)
    refusals = [*refusals, *total.refusals]
    made = (total.slices, total.class_pixels, total.hu)
    total.refusals = []
    return made, refusals, repr(total)


def _same(made, good) -> bool:
    if isinstance(good, np.ndarray):
        return made.dtype == good.dtype and np.array_equal(made, good)
    return made == good
