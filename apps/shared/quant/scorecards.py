"""How good a group of claims was, and why a figure is empty: what all scorecards have in common."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from apps.shared.quant.calibration import Band
from apps.shared.quant.intervals import wilson
from apps.shared.quant.samples import ratio, rounded

# Below this many decided claims a rate says little; pages show it in grey.
FEW = 30

NONE_DECIDED = "Nothing is settled and decided yet."
NONE_PRICED = "Nothing settled has a price at this checkpoint."
NONE_MEASURED = "Nothing settled has candles inside its window."
NO_CONFIDENCE = "Nothing settled and decided carries a confidence."


@dataclass(frozen=True, slots=True)
class Horizon:
    """Changes in percent at one checkpoint, over what is settled: ``n`` of them are known."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """One group of claims; each app adds the figures of its own.

    ``total`` counts all, ``open`` those that are not judged for good yet. Of the settled, ``n``
    are decided, ``hits`` of these right; ``undecided`` have no verdict, ``missing`` lack a price
    at a checkpoint. Excursions are those of the settled. ``brier`` and ``reliability`` are over
    the decided that carry a confidence.
    """

    key: str
    total: int
    open: int
    n: int
    hits: int
    undecided: int
    missing: int
    max_gain: Quantiles = field(default_factory=Quantiles)
    max_loss: Quantiles = field(default_factory=Quantiles)
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
        """Too few decided claims for the rate to say much."""
        return self.n < FEW

    @property
    def reasons(self) -> dict[str, str]:
        """Why a figure is undefined, by its name."""
        empty = {
            "hit_rate": NONE_DECIDED if self.n == 0 else "",
            "max_gain": NONE_MEASURED if self.max_gain.p50 is None else "",
            "max_loss": NONE_MEASURED if self.max_loss.p50 is None else "",
            "brier": NO_CONFIDENCE if self.brier is None else "",
        }
        return {name: reason for name, reason in empty.items() if reason} | self.own_reasons()

    def own_reasons(self) -> dict[str, str]:
        """Return the same for the figures that an app adds."""
        return {}

    def figures(self) -> dict[str, Any]:
        """Return everything that the row says, what is derived included, as plain documents."""
        return asdict(self) | {
            "hit_rate": self.hit_rate,
            "hit_rate_low": self.hit_rate_low,
            "hit_rate_high": self.hit_rate_high,
            "few": self.few,
            "reliability": [each._asdict() for each in self.reliability],
            "reasons": self.reasons,
        }


def unpriced(horizons: Iterable[Horizon], *, name: str = "horizons") -> dict[str, str]:
    """Return why the changes at a checkpoint are undefined, by ``name/hours``."""
    return {f"{name}/{each.hours}": NONE_PRICED for each in horizons if each.n == 0}
