"""What the page of one prediction or signal tells: its price path, and what came of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings

from apps.analysis.choices import Direction, OutcomeStatus
from apps.analysis.models import ModelOutcome, ModelSignal, Prediction
from apps.market.choices import Granularity
from apps.market.models import Candle
from apps.shared import display
from apps.shared.admin.charts import Marker, PriceLine, candle_chart

# How much of the time before the claim stands in the chart, as a part of its horizon.
BEFORE_SHARE = 4
LEAST_BARS_BEFORE = 6
MOST_BARS = 1_500
NOT_JUDGED = "Not known yet: its horizon is still to come."


class ClaimStory:
    """What the page of a prediction or signal tells of it: its price path, and what came of it."""

    def __init__(self, claim: Prediction | ModelSignal) -> None:
        self.claim = claim
        self.outcome: ModelOutcome | None = getattr(claim, "outcome", None)
        named = self.outcome.horizon_hours if self.outcome else claim.horizon_hours
        self.hours = named or settings.CLAIM_HORIZON_HOURS
        self.until = claim.timestamp + timedelta(hours=self.hours)

    @property
    def why_empty(self) -> str:
        return (self.outcome.note if self.outcome else "") or NOT_JUDGED

    @cached_property
    def series(self) -> tuple[str, str]:
        """Return source and granularity that it is judged on, else those freshest then."""
        judged = self.outcome
        if judged is not None and judged.source:
            return judged.source, judged.granularity
        point = Candle.objects.close_at(self.claim.symbol, self.claim.timestamp)
        return (point.source, point.granularity) if point else ("", "")

    @cached_property
    def bars(self) -> Sequence[Any]:
        """Return the candles from some time before it to the end of its horizon."""
        source, granularity = self.series
        if not source:
            return []
        step = Granularity(granularity).width
        before = max(timedelta(hours=self.hours) / BEFORE_SHARE, LEAST_BARS_BEFORE * step)
        start, end = self.claim.timestamp - before, self.until + step
        if (end - start) / step <= MOST_BARS:
            window = Candle.objects.range(
                self.claim.symbol, start, end, source=source, granularity=granularity
            )
            return list(window.only("timestamp", "open", "high", "low", "close", "volume"))
        coarser = next(
            (
                each
                for each in Granularity
                if not each.width % step and (end - start) / each.width <= MOST_BARS
            ),
            Granularity.W1,
        )
        return Candle.objects.resampled(
            self.claim.symbol, start, end, source, granularity, coarser.value
        )

    @property
    def chart(self) -> dict[str, Any]:
        return candle_chart(self.bars, lines=self.lines, markers=self.markers)

    @property
    def lines(self) -> list[PriceLine]:
        judged = self.outcome
        forecast = getattr(self.claim, "price_prediction", None) or (
            judged.claimed_price if judged else None
        )
        found = [
            (judged.entry_price if judged else None, "Then", "info"),
            (forecast, "Forecast", "warning"),
        ]
        return [PriceLine(price, title, tone) for price, title, tone in found if price]

    @property
    def markers(self) -> list[Marker]:
        judged = self.outcome
        direction = judged.direction if judged else ""
        long = direction == Direction.LONG
        words = Direction(direction).label if direction else "Said"
        made = Marker(self.bar_at(self.claim.timestamp), words, "info", below=long, arrow=True)
        if judged is None or judged.status != OutcomeStatus.SETTLED:
            return [made]
        said = {True: ("Hit", "success"), False: ("Miss", "danger"), None: ("?", "warning")}
        words, tone = said[judged.is_hit]
        if judged.percentage_change is not None:
            words += f" {display.pct_words(judged.percentage_change)}"
        return [made, Marker(self.bar_at(self.until), words, tone)]

    def bar_at(self, moment: datetime) -> datetime:
        """Return the start of the last bar at or before a moment, the first one else."""
        before = [bar.timestamp for bar in self.bars if bar.timestamp <= moment]
        return max(before) if before else min((b.timestamp for b in self.bars), default=moment)
