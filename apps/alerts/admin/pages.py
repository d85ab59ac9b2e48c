"""What the page of one alert tells: its price path, its checkpoints, its figures."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings

from apps.alerts.choices import COLORS, CheckpointStatus, Direction, FirstTouch, PerformanceStatus
from apps.alerts.domain.tracking import checkpoint_hours
from apps.alerts.models import Alert, AlertPerformance, TrackedPrice
from apps.market.choices import Granularity
from apps.market.models import Candle
from apps.shared import display
from apps.shared.admin.charts import Marker, PriceLine, candle_chart

BEFORE = timedelta(hours=1)
# Coarse candles: an hour would hold none of them.
LEAST_BARS_BEFORE = 6
MOST_BARS = 1_500

DEFINITIONS = {
    "max_gain": "Greatest change in the alert's favor over all candles of the window,"
    " by highs for a long and lows for a short.",
    "max_loss": "Least favorable change over all candles of the window,"
    " by lows for a long and highs for a short.",
    "checkpoints": "The same over the prices at the checkpoints alone.",
    "return": "Change in the alert's favor from entry to the close of the last candle that was"
    " known at that time.",
    "first_touch": "Whether target or stop was touched first, candle by candle."
    " Both in one candle: ambiguous, never a win.",
}


class AlertStory:
    """Everything the template of an alert's page asks for, each read once."""

    definitions = DEFINITIONS

    def __init__(self, alert: Alert, *, now: datetime) -> None:
        self.alert = alert
        self.now = now
        self.performance: AlertPerformance | None = getattr(alert, "performance", None)
        self.hours = checkpoint_hours(settings.ALERT_CHECKPOINT_HOURS)
        self.closes = alert.timestamp + timedelta(hours=self.hours[-1])

    @cached_property
    def prices(self) -> dict[int, TrackedPrice]:
        return {price.time_elapsed_hours: price for price in self.alert.tracked_prices.all()}

    @cached_property
    def checkpoints(self) -> list[dict[str, Any]]:
        """Return one line per checkpoint, those still to come included."""
        return [self.checkpoint(hours) for hours in sorted({*self.hours, *self.prices})]

    def checkpoint(self, hours: int) -> dict[str, Any]:
        moment = self.alert.timestamp + timedelta(hours=hours)
        taken = self.prices.get(hours)
        line = {"hours": hours, "moment": moment, "taken": taken}
        if taken is not None:
            status = CheckpointStatus(taken.status)
            return line | {"status": display.badge(status.label, COLORS[status])}
        if moment > self.now:
            return line | {"status": display.badge("To come", "default")}
        why = "It has passed, and no candle near it has come yet."
        return line | {"status": display.badge("Waiting", "warning", why)}

    @cached_property
    def bars(self) -> Sequence[Any]:
        """Return the candles from an hour before to the last checkpoint, on the judged series."""
        source, granularity = self.series
        if not source:
            return []
        step = Granularity(granularity).width
        start = self.alert.timestamp - max(BEFORE, LEAST_BARS_BEFORE * step)
        end = self.closes + step
        if (end - start) / step <= MOST_BARS:
            window = Candle.objects.range(
                self.alert.symbol, start, end, source=source, granularity=granularity
            )
            return list(window.only("timestamp", "open", "high", "low", "close", "volume"))
        coarser = next(
            each
            for each in Granularity
            if not each.width % step and (end - start) / each.width <= MOST_BARS
        )
        return Candle.objects.resampled(
            self.alert.symbol, start, end, source, granularity, coarser.value
        )

    @cached_property
    def series(self) -> tuple[str, str]:
        """Return source and granularity that the alert is judged on, else those freshest then."""
        performance = self.performance
        if performance is not None and performance.source:
            return performance.source, performance.granularity
        point = Candle.objects.close_at(self.alert.symbol, self.alert.timestamp)
        return (point.source, point.granularity) if point else ("", "")

    @property
    def entry(self) -> Any:
        performance = self.performance
        return (performance.entry_price if performance else None) or self.alert.entry_price

    @property
    def chart(self) -> dict[str, Any]:
        alert = self.alert
        lines = [
            PriceLine(price, title, tone)
            for price, title, tone in (
                (self.entry, "Entry", "info"),
                (alert.target_price, "Target", "success"),
                (alert.stop_loss, "Stop", "danger"),
            )
            if price is not None
        ]
        return candle_chart(self.bars, lines=lines, markers=self.markers)

    @property
    def markers(self) -> list[Marker]:
        """Return the signs of the chart, each at the candle that was open at its moment."""
        long = self.alert.direction == Direction.LONG
        found = [
            Marker(self.bar_at(self.alert.timestamp), "Raised", "info", below=long, arrow=True)
        ]
        for hours, taken in self.prices.items():
            known = taken.status == CheckpointStatus.KNOWN
            text = f"{hours} h"
            if taken.percentage_change is not None:
                text += f" {display.pct_words(taken.percentage_change)}"
            elif not known:
                text += " missing"
            gained = (taken.percentage_change or 0) >= 0
            tone = ("success" if gained else "danger") if known else "warning"
            at = taken.candle_timestamp or taken.timestamp
            found.append(Marker(self.bar_at(at), text, tone))
        touch = self.performance.first_touch if self.performance else ""
        if self.performance and self.performance.first_touch_at and touch in FirstTouch.values:
            at, label = self.performance.first_touch_at, FirstTouch(touch).label
            found.append(Marker(self.bar_at(at), label, COLORS[FirstTouch(touch)], below=True))
        return found

    def bar_at(self, moment: datetime) -> datetime:
        """Return the start of the last bar at or before ``moment``, the first one else."""
        before = [bar.timestamp for bar in self.bars if bar.timestamp <= moment]
        return max(before) if before else min((b.timestamp for b in self.bars), default=moment)

    @property
    def open(self) -> bool:
        return self.performance is None or self.performance.status == PerformanceStatus.OPEN

    @property
    def why_empty(self) -> str:
        """Return why figures are empty: the note of the judgement, or that it is still open."""
        note = self.performance.evaluation_note if self.performance else ""
        return note or ("Not known yet: the alert is open." if self.open else "Not known.")
