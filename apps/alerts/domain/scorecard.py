"""How good a group of alerts was: the figures, and why one of them is empty. Pure rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from apps.shared.quant.calibration import Band
from apps.shared.quant.intervals import wilson
from apps.shared.quant.samples import ratio, rounded

# Below this many decided alerts a rate says little; pages show it in grey.
FEW = 30

NONE_DECIDED = "No alert is settled and decided yet."
NONE_PRICED = "No settled alert has a price at this checkpoint."
NONE_MEASURED = "No settled alert has candles inside its window."
NO_TARGET_REACHED = "No settled alert touched its target first."
NO_CONFIDENCE = "No settled and decided alert carries a confidence."


@dataclass(frozen=True, slots=True)
class Horizon:
    """Changes in percent at one checkpoint, over settled alerts."""

    hours: int
    n: int
    missing: int
    mean: Decimal | None
    median: Decimal | None


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Nearest-rank quantiles: values that occurred, in percent."""

    p10: Decimal | None = None
    p50: Decimal | None = None
    p90: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ScorecardRow:
    """One group of alerts.

    ``n`` counts the settled and decided, ``hits`` those among them that succeeded;
    ``undecided`` are settled without a verdict, ``missing`` settled with at least one
    checkpoint missing. ``touched_target``, ``touched_stop``, ``ambiguous`` and ``untouched``
    count first touches of settled alerts. ``seconds_to_target`` is the median time from the
    alert to the start of the candle that touched its target first. ``reasons`` names every
    figure that is undefined, and why.
    """

    key: str
    total: int
    open: int
    n: int
    hits: int
    undecided: int
    missing: int
    touched_target: int
    touched_stop: int
    ambiguous: int
    untouched: int
    horizons: Sequence[Horizon] = ()
    max_gain: Quantiles = field(default_factory=Quantiles)
    max_loss: Quantiles = field(default_factory=Quantiles)
    seconds_to_target: Decimal | None = None
    brier: Decimal | None = None
    reliability: Sequence[Band] = ()

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
        """Too few decided alerts for the rate to say much."""
        return self.n < FEW

    @property
    def reasons(self) -> dict[str, str]:
        """Why a figure is undefined, by its name."""
        found = {}
        if self.n == 0:
            found["hit_rate"] = NONE_DECIDED
        for horizon in self.horizons:
            if horizon.n == 0:
                found[f"horizons/{horizon.hours}"] = NONE_PRICED
        if self.max_gain.p50 is None:
            found["max_gain"] = NONE_MEASURED
        if self.max_loss.p50 is None:
            found["max_loss"] = NONE_MEASURED
        if self.seconds_to_target is None:
            found["seconds_to_target"] = NO_TARGET_REACHED
        if self.brier is None:
            found["brier"] = NO_CONFIDENCE
        return found
