"""The chart of an instrument, and the table of its series."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from apps.market.choices import COLORS, Freshness, Granularity
from apps.market.domain.candles import CandleValues, Series, aligned_start, width
from apps.market.domain.freshness import expected_within, freshness
from apps.market.models import Candle, Instrument
from apps.shared import display
from apps.shared.admin.charts import candle_chart

BARS = 300
# What one chart may read to put coarser candles together.
MOST_READ = 60_000
# A switch that would show a handful of candles is no choice.
LEAST_BARS = 3


@dataclass
class SeriesView:
    """Which candles a chart shows, and where its switches lead."""

    source: str = ""
    granularity: str = ""
    stored_as: str = ""
    bars: Sequence[Any] = ()
    sources: list[dict[str, Any]] = field(default_factory=list)
    granularities: list[dict[str, Any]] = field(default_factory=list)
    earlier: str = ""
    later: str = ""
    until: datetime | None = None

    @classmethod
    def chosen(
        cls,
        instrument: Instrument,
        stored: Sequence[Series],
        *,
        source: str,
        granularity: str,
        until: datetime | None,
    ) -> "SeriesView":
        """Return the view asked for; what does not exist is replaced by the best that does."""
        if not stored:
            return cls()
        names = list(dict.fromkeys(series.source for series in stored))
        if source not in names:
            freshest = max(stored, key=lambda series: series.known_until).source
            primary = instrument.primary_source
            source = primary if primary in names else freshest
        own = [series for series in stored if series.source == source]
        offered = offers(own)
        if granularity not in offered:
            granularity = own[0].granularity
        base = offered[granularity]
        end = base.known_until
        if until is not None and base.first < until < end:
            end = until
        step = width(granularity)
        start = max(end - BARS * step, end - MOST_READ * width(base.granularity))
        view = cls(source, granularity, base.granularity, until=base.known_until)
        view.bars = read(instrument.symbol, base, granularity, start, end)
        view.sources = [
            {"label": name, "active": name == source, "url": query(source=name)} for name in names
        ]
        view.granularities = [
            {
                "label": each,
                "stored": offered[each].granularity == each,
                "active": each == granularity,
                "url": query(source=source, granularity=each),
            }
            for each in offered
        ]
        if base.first < start:
            view.earlier = query(source=source, granularity=granularity, until=stamp(start))
        if end < base.known_until:
            later = end + (end - start)
            until_words = {} if later >= base.known_until else {"until": stamp(later)}
            view.later = query(source=source, granularity=granularity, **until_words)
        return view

    @property
    def chart(self) -> dict[str, Any]:
        return candle_chart(self.bars)

    @property
    def last(self) -> Any:
        return self.bars[-1] if self.bars else None

    @property
    def change(self) -> Decimal | None:
        """Return the change from the first open to the last close shown, in percent."""
        if not self.bars:
            return None
        return (self.bars[-1].close / self.bars[0].open - 1) * 100

    @property
    def highest(self) -> Decimal | None:
        return max((bar.high for bar in self.bars), default=None)

    @property
    def lowest(self) -> Decimal | None:
        return min((bar.low for bar in self.bars), default=None)

    @property
    def last_known(self) -> datetime | None:
        if not self.bars:
            return None
        end: datetime = self.bars[-1].timestamp + width(self.granularity)
        # A coarser candle may still be under way: it is known as far as the finer ones go.
        return min(end, self.until) if self.until else end


def query(**parameters: str) -> str:
    return f"?{urlencode(parameters)}"


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def offers(own: Sequence[Series]) -> dict[str, Series]:
    """Return every granularity that can be shown with the stored series it is made from.

    ``own`` are the series of one source, finest first; a stored granularity is shown as it is,
    a coarser one put together from the coarsest that divides it.
    """
    found: dict[str, Series] = {}
    stored = {series.granularity: series for series in own}
    for target in Granularity:
        if target in stored:
            found[target.value] = stored[target]
            continue
        fitting = [
            series
            for series in own
            if width(series.granularity) < target.width
            and not target.width % width(series.granularity)
            and series.known_until - series.first >= LEAST_BARS * target.width
        ]
        if fitting:
            found[target.value] = max(fitting, key=lambda series: width(series.granularity))
    return found


def read(
    symbol: str, base: Series, granularity: str, start: datetime, end: datetime
) -> Sequence[Candle | CandleValues]:
    if granularity == base.granularity:
        window = Candle.objects.range(
            symbol, start, end, source=base.source, granularity=base.granularity
        )
        return list(window.only("timestamp", "open", "high", "low", "close", "volume"))
    start = aligned_start(start, granularity)
    return Candle.objects.resampled(symbol, start, end, base.source, base.granularity, granularity)


def series_table(
    instrument: Instrument,
    stored: Sequence[Series],
    fetched: set[tuple[str, str]],
    *,
    now: datetime,
) -> list[dict[str, Any]]:
    """Return one line per series: its bounds, and how fresh it is."""
    return [
        series_line(
            instrument, series, fetched=(series.source, series.granularity) in fetched, now=now
        )
        for series in stored
    ]


def series_line(
    instrument: Instrument, series: Series, *, fetched: bool, now: datetime
) -> dict[str, Any]:
    state = freshness(series, asset_class=instrument.asset_class, fetched=fetched, now=now)
    within = display.span_words(expected_within(series.granularity, instrument.asset_class))
    why = {
        Freshness.FRESH: f"The next candle is expected within {within}.",
        Freshness.STALE: f"The next candle was expected within {within}.",
        Freshness.ENDED: "Silent for over 30 days, and no feed fetches it.",
    }[state]
    return {
        "source": series.source,
        "granularity": series.granularity,
        "first": series.first,
        "known_until": series.known_until,
        "state": display.badge(state.label, COLORS[state], why),
        "fetched": fetched,
        "url": query(source=series.source, granularity=series.granularity),
    }
