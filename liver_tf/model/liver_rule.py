"""How the output of a liver network becomes an outline (``liver_rule`` in ``model.json``)."""

import math
from dataclasses import dataclass

#: Smallest and largest size of a view.
ZOOM_LIMITS = (0.5, 2.0)
MOST_VIEWS = 9


@dataclass(frozen=True)
class LiverRule:
    """By default a pixel is liver if its probability in the view of the whole slice exceeds 0.5.

    A network trained on phantoms misses part of a patient's liver; a lower threshold and several
    views (test-time augmentation) recover some of it.

    Attributes:
      probability: A pixel is liver if the mean probability over the views exceeds this.
      zooms: Sizes of the views, as multiples of the square around the whole slice; all views are
        squares around its centre. A pixel outside a view is averaged over the other views.
    """

    probability: float = 0.5
    zooms: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "zooms", tuple(self.zooms))
        if not 0 < self.probability < 1:  # NaN fails too
            raise ValueError(f"probability: expected above 0 and below 1, found {self.probability}")
        low, high = ZOOM_LIMITS
        valid = all(math.isfinite(zoom) and low <= zoom <= high for zoom in self.zooms)
        if not (valid and 1 <= len(self.zooms) <= MOST_VIEWS and max(self.zooms) >= 1):
            raise ValueError(
                f"zooms: expected 1 to {MOST_VIEWS} numbers from {low:g} to {high:g}, one of them "
                f"1 or more, found {self.zooms}"
            )

    def text(self) -> str:
        """The rule in words."""
        views = ", ".join(f"{zoom:g}" for zoom in self.zooms)
        mean = f", mean over views of {views} times the slice" if self.zooms != (1.0,) else ""
        return f"liver where its probability exceeds {self.probability:g}{mean}"

    def stated(self) -> dict[str, str]:
        """The entry that identifies the rule in results.

        Absent for the default rule, as in results of earlier versions.
        """
        return {} if self == LiverRule() else {"liver_rule": self.text()}


WHOLE_SLICE = LiverRule()
