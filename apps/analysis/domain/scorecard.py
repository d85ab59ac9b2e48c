"""How good a group of predictions and signals was, and why a figure is empty. Pure rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from apps.shared.quant.scorecards import NONE_DECIDED, Scorecard


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScorecardRow(Scorecard):
    """One group of predictions and signals.

    ``no_claim`` counts those among all that claim no direction, ``settled`` those that are judged
    for good, ``missing`` those of them without a price at the end of their horizon.
    ``mean_change`` and ``median_change`` are in favor of the direction claimed, in percent, over
    the decided. ``reasons`` names every figure that is undefined, and why.
    """

    no_claim: int
    settled: int
    mean_change: Decimal | None = None
    median_change: Decimal | None = None
    confident: int = 0
    undecided_reasons: Mapping[str, int] = field(default_factory=dict)

    def own_reasons(self) -> dict[str, str]:
        """Return why the figures that are only here are undefined, by their names."""
        changes = ("mean_change", "median_change") if self.n == 0 else ()
        return dict.fromkeys(changes, NONE_DECIDED)
