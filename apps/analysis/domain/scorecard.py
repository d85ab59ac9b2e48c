"""How good a group of predictions and signals was, and why a figure is empty. Pure rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from apps.shared.quant.calibration import Band
from apps.shared.quant.intervals import wilson
from apps.shared.quant.samples import ratio, rounded

# Below this many decided claims a rate says little; pages show it in grey.
FEW = 30

NONE_DECIDED = "No claim is settled and decided yet."
NONE_MEASURED = "No settled claim has candles between its time and its horizon."
NO_CONFIDENCE = "No settled and decided claim carries a confidence."


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Nearest-rank quantiles: values that occurred, in percent."""

    p10: Decimal | None = None
    p50: Decimal | None = None
    p90: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ModelScorecardRow:
    """One group of predictions and signals.

    ``total`` counts all, ``no_claim`` those among them that claim no direction. ``settled`` are
    judged for good: ``n`` of them decided, ``hits`` of those moved in their favor; ``undecided``
    have no verdict, ``missing`` no price at the end of their horizon. ``mean_change`` and
    ``median_change`` are in favor of the direction claimed, in percent, over the decided.
    ``reasons`` names every figure that is undefined, and why.
    """

    key: str
    total: int
    open: int
    no_claim: int
    settled: int
    n: int
    hits: int
    undecided: int
    missing: int
    mean_change: Decimal | None = None
    median_change: Decimal | None = None
    max_gain: Quantiles = field(default_factory=Quantiles)
    max_loss: Quantiles = field(default_factory=Quantiles)
    confident: int = 0
    brier: Decimal | None = None
    reliability: Sequence[Band] = ()
    undecided_reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def hit_rate(self) -> Decimal | None:
        """Hits over n, 0 to 1."""
        return ratio(self.hits, self.n)

    @property
    def hit_rate_low(self) -> Decimal | None:
        """Lower end of the Wilson 95 % interval of the hit rate."""
        interval = wilson(self.hits, self.n)
        return rounded(interval.low) if interval else None

    @property
    def hit_rate_high(self) -> Decimal | None:
        """Upper end of the Wilson 95 % interval of the hit rate."""
        interval = wilson(self.hits, self.n)
        return rounded(interval.high) if interval else None

    @property
    def few(self) -> bool:
        """Too few decided claims for the rate to say much."""
        return self.n < FEW

    @property
    def reasons(self) -> dict[str, str]:
        """Why a figure is undefined, by its name."""
        found = {}
        if self.n == 0:
            for name in ("hit_rate", "mean_change", "median_change"):
                found[name] = NONE_DECIDED
        if self.max_gain.p50 is None:
            found["max_gain"] = NONE_MEASURED
        if self.max_loss.p50 is None:
            found["max_loss"] = NONE_MEASURED
        if self.brier is None:
            found["brier"] = NO_CONFIDENCE
        return found
