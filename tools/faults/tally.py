"""What became of one fault: how often it was done, the figures, and every breach of what must hold."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Filled while the fault is repeated."""

    times: int = 0
    figures: dict[str, str] = field(default_factory=dict)
    breaches: list[str] = field(default_factory=list)
    _series: dict[str, list[float]] = field(default_factory=dict)

    def took(self, what: str, seconds: float | None, *, at_most_s: float) -> None:
        """A duration with its bound; None: it never came."""
        if seconds is None or seconds > at_most_s:
            shown = "never" if seconds is None else f"after {seconds:.2f} s"
            self.breaches.append(f"{what} {shown}, allowed are {at_most_s:g} s (repeat {self.times})")
        if seconds is not None:
            self._series.setdefault(what, []).append(seconds)

    def same(self, what: str, before: int, after: int, *, spare: int = 0) -> None:
        """A count that must not have grown, such as threads."""
        self.figures[what] = f"{before} → {after}"
        if after > before + spare:
            self.breaches.append(f"{what} grew from {before} to {after}")

    def summary(self) -> str:
        """All figures on one line; durations as median and worst."""
        spans = [f"{what} {statistics.median(s):.2f} s (worst {max(s):.2f} s)" for what, s in self._series.items()]
        return "; ".join([*spans, *(f"{what} {figure}" for what, figure in self.figures.items())])
