"""The candles around a decision: what was known when it was made, and what came after."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from apps.agents.choices import COLORS, FirstTouch, Side
from apps.agents.domain.outcomes import HOURS, LAST
from apps.agents.models import AgentDecision, DecisionOutcome
from apps.market.domain.candles import width
from apps.market.models import Candle
from apps.market.services.bars import bar_at, bars_of
from apps.shared import display
from apps.shared.admin.charts import Marker, PriceLine, candle_chart

# How many candles before the decision are shown, and at least after it.
BARS_BEFORE, LEAST_AFTER = 120, 12


class DecisionPicture:
    """The two charts of a decision: no candle of the second was known when it was made."""

    def __init__(
        self, decision: AgentDecision, outcome: DecisionOutcome | None, *, now: datetime
    ) -> None:
        self.decision = decision
        self.outcome = outcome
        self.now = now
        self.moment = decision.timestamp

    @cached_property
    def series(self) -> tuple[str, str]:
        """Return source and granularity that it is judged on, else those freshest then."""
        if self.outcome is not None and self.outcome.source:
            return self.outcome.source, self.outcome.granularity
        if not self.decision.symbol:
            return "", ""
        point = Candle.objects.close_at(self.decision.symbol, self.moment)
        return (point.source, point.granularity) if point else ("", "")

    @property
    def step(self) -> timedelta:
        return width(self.series[1])

    @cached_property
    def before(self) -> Sequence[Any]:
        """Return the candles that had ended when it was made."""
        if not self.series[0]:
            return []
        return self.between(self.moment - BARS_BEFORE * self.step, self.moment - self.step)

    @cached_property
    def after(self) -> Sequence[Any]:
        """Return the candle that was under way, and those of the day that followed."""
        if not self.series[0]:
            return []
        end = self.moment + max(timedelta(hours=LAST), LEAST_AFTER * self.step)
        return self.between(self.moment - self.step, end)

    def between(self, after: datetime, until: datetime) -> Sequence[Any]:
        """Return the candles that begin after a moment and not later than another one."""
        tick = timedelta(microseconds=1)
        return bars_of(self.decision.symbol, *self.series, after + tick, until + tick)

    @property
    def lines(self) -> list[PriceLine]:
        decision = self.decision
        entry = decision.entry_price or (self.outcome.entry_price if self.outcome else None)
        asked = (
            (entry, "Entry", "info"),
            (decision.take_profit_price, "Target", "success"),
            (decision.stop_loss_price, "Stop", "danger"),
        )
        # Senders write 0 for none.
        return [PriceLine(price, title, tone) for price, title, tone in asked if price]

    @property
    def words(self) -> str:
        return display.visible(self.decision.get_action_display() or "Unreadable")

    @property
    def chart_before(self) -> dict[str, Any]:
        at = bar_at(self.before, self.moment)
        below = self.decision.direction != Side.SHORT
        made = Marker(at, self.words, "info", below=below, arrow=True)
        return candle_chart(self.before, lines=self.lines, markers=[made])

    @property
    def chart_after(self) -> dict[str, Any]:
        return candle_chart(self.after, lines=self.lines, markers=list(self.markers))

    @property
    def markers(self) -> Iterator[Marker]:
        """Yield the signs of what came after, each at the candle that tells it."""
        below = self.decision.direction != Side.SHORT
        yield Marker(bar_at(self.after, self.moment), self.words, "info", below=below, arrow=True)
        found = self.outcome
        if found is None:
            return
        for hours in HOURS:
            moved = getattr(found, f"change_{hours}h")
            if moved is None:
                continue
            tone = "default"
            if found.direction:
                tone = "success" if moved > 0 else "danger"
            known_at = self.moment + timedelta(hours=hours) - self.step
            words = f"{hours} h {display.pct_words(moved)}"
            yield Marker(bar_at(self.after, known_at), words, tone)
        if found.first_touch_at is not None and found.first_touch in FirstTouch.values:
            kind = FirstTouch(found.first_touch)
            yield Marker(bar_at(self.after, found.first_touch_at), str(kind.label), COLORS[kind],
                         below=True)  # fmt: skip
