"""How good a group of alerts was: the figures, and why one of them is empty. Pure rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from apps.shared.quant.scorecards import Horizon, Scorecard, unpriced

NO_TARGET_REACHED = "No settled alert touched its target first."


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorecardRow(Scorecard):
    """One group of alerts.

    ``missing`` counts the settled with at least one checkpoint missing. ``touched_target``,
    ``touched_stop``, ``ambiguous`` and ``untouched`` count first touches of settled alerts.
    ``seconds_to_target`` is the median time from the alert to the start of the candle that
    touched its target first. ``reasons`` names every figure that is undefined, and why.
    """

    touched_target: int
    touched_stop: int
    ambiguous: int
    untouched: int
    horizons: Sequence[Horizon] = ()
    seconds_to_target: Decimal | None = None

    def own_reasons(self) -> dict[str, str]:
        """Return why the figures that are only here are undefined, by their names."""
        reached = self.seconds_to_target is not None
        return unpriced(self.horizons) | (
            {} if reached else {"seconds_to_target": NO_TARGET_REACHED}
        )
