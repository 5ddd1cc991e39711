"""Stores the figures of a benchmark for the table of ``benchmarks.everything``."""

import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from absl import flags

FLAGS = flags.FLAGS


@dataclass(frozen=True)
class Rounds:
    """Ways of doing the same work, side by side in one run.

    Attributes:
      work: what is done, with its size.
      unit: of the figures. more_is_better: rates; else seconds.
      ours: which of the ways is ours.
      seen: for each way, its figure in every round.
    """

    work: str
    unit: str
    more_is_better: bool
    ours: str
    seen: dict[str, list[float]]

    def ratios(self, way: str) -> list[float]:
        """How many times as fast ours was, round by round."""
        pairs = zip(self.seen[self.ours], self.seen[way], strict=True)
        return [a / b if self.more_is_better else b / a for a, b in pairs]

    def rows(self) -> list[str]:
        """Lines of a Markdown table, ours first."""
        lines = []
        for way in sorted(self.seen, key=lambda way: way != self.ours):
            figures = self.seen[way]
            times = ""
            if way != self.ours:
                ratios = self.ratios(way)
                times = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            lines.append(
                f"| {self.work if way == self.ours else ''} | {way} "
                f"| {brief(statistics.median(figures))} ({brief(min(figures))} to "
                f"{brief(max(figures))}) {self.unit} | {times} |"
            )
        return lines


HEADING = (
    "| work | way | median (least to greatest) | ours is faster, times |\n"
    "| --- | --- | ---: | ---: |"
)


def brief(value: float) -> str:
    """Three figures."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def define_flag() -> None:
    flags.DEFINE_string(
        "keep", None, "Append the figures to this file, one line of JSON per table."
    )


def keep(rounds: Rounds) -> None:
    """Add to the file of ``--keep``, if one is named."""
    if FLAGS.keep:
        with open(FLAGS.keep, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(rounds)) + "\n")


def kept(path: Path) -> list[Rounds]:
    return [Rounds(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
