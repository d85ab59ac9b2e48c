"""What the page of a series of candles tells: how it stands, its defects, its other sources."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from statistics import median
from typing import Any, Final

from django.db.models import F
from django.utils.safestring import SafeString

from apps.market.admin import shown
from apps.market.admin.health_map import Day, days_of, stretch
from apps.market.choices import COLORS, DefectKind, Freshness
from apps.market.domain.candles import width
from apps.market.models import Candle, CandleDefect, CandleSeries, Instrument
from apps.market.services.health import SeriesState, series_states
from apps.shared import display
from apps.shared.fields import plain_text

MOST_DEFECTS, MOST_SOURCES, COMPARED = 50, 6, 200
PAGE_DAYS: Final = 90


@dataclass(frozen=True, slots=True)
class State:
    """How a series stands against what is expected of it, in words."""

    state: Freshness
    badge: SafeString
    words: str
    fetched: bool


def states_of(rows: Sequence[CandleSeries], *, now: datetime) -> list[State]:
    """Return the state of each series; two queries for all of them."""
    return [state_of(one, now=now) for one in series_states(now, rows)]


def state_of(found: SeriesState, *, now: datetime) -> State:
    end = found.series.last_timestamp + width(found.series.granularity)
    within = display.span_words(found.expected_by - end)
    silent = display.span_words(max(now - end, timedelta(0)))
    words = {
        Freshness.FRESH: f"It ended {silent} ago; the next is expected within {within}.",
        Freshness.STALE: f"It ended {silent} ago; the next was expected within {within}.",
        Freshness.ENDED: f"Silent for {silent}, and no feed fetches it: a history.",
    }[found.state]
    shown_state = display.badge(found.state.label, COLORS[found.state], words)
    return State(found.state, shown_state, words, found.fetched)


class SeriesStory:
    """Everything that the page of a series asks for, each read once."""

    def __init__(self, series: CandleSeries, *, now: datetime) -> None:
        self.series, self.now = series, now

    @cached_property
    def state(self) -> State:
        (state,) = states_of([self.series], now=self.now)
        return state

    @property
    def ended(self) -> SafeString:
        return shown.ended(self.series.last_timestamp, self.series.granularity)

    @cached_property
    def instrument(self) -> int | None:
        found = Instrument.objects.filter(symbol=self.series.symbol).values_list("pk", flat=True)
        return found.first()

    @property
    def notices(self) -> list[tuple[str, str]]:
        """Return what is to be said of it, each with its tone."""
        told = []
        if self.state.state == Freshness.STALE:
            told.append(("danger", f"Stale. {self.state.words}"))
        if self.series.gaps and not self.state.fetched:
            told.append(
                (
                    "info",
                    "No enabled feed fetches it, so its gaps cannot be filled from here: add a"
                    " feed for it, send the candles to the API, or import a file.",
                )
            )
        if self.series.checked_at is None:
            words = "Not checked yet: it is within a quarter of an hour, or by “Check now”."
            told.append(("info", words))
        return told

    # --- its days -------------------------------------------------------------------------

    @cached_property
    def span(self) -> list[Any]:
        # Of a history the last days it has; of what lives the last days there were.
        end = self.now.date()
        if self.state.state == Freshness.ENDED:
            end = self.series.last_timestamp.date()
        return stretch(end, PAGE_DAYS)

    @cached_property
    def days(self) -> list[Day]:
        return days_of([self.series], self.span)[self.series.pk]

    # --- its defects ----------------------------------------------------------------------

    @cached_property
    def found(self) -> list[CandleDefect]:
        # What nobody has accepted comes first, the newest of it.
        rows = CandleDefect.objects.filter(series=self.series)
        order = (F("accepted_at").desc(nulls_first=True), "-start", "-pk")
        return list(rows.order_by(*order)[: MOST_DEFECTS + 1])

    @property
    def more_defects(self) -> bool:
        return len(self.found) > MOST_DEFECTS

    @property
    def defects_url(self) -> str:
        return shown.address(
            CandleDefect,
            "changelist",
            series__symbol=self.series.symbol,
            series__source=self.series.source,
            series__granularity__exact=self.series.granularity,
        )

    @property
    def defects(self) -> list[dict[str, Any]]:
        return [
            {
                "key": row.pk,
                "kind": display.badge(row.get_kind_display(), COLORS[DefectKind(row.kind)]),
                "url": shown.address(CandleDefect, "change", row.pk),
                "start": row.start,
                "span": display.span_words(row.end - row.start),
                "candles": row.candles,
                "detail": display.short_text(row.detail, "Nothing more to say."),
                "found": row.found_at,
                "accepted": row.accepted_at,
                "by": row.accepted_by,
            }
            for row in self.found[:MOST_DEFECTS]
        ]

    # --- its other sources ----------------------------------------------------------------

    @cached_property
    def others(self) -> list[dict[str, Any]]:
        """Return how far closes of other sources lie from its own, newest candles first."""
        own = Candle.objects.of_series(
            self.series.symbol, self.series.source, self.series.granularity
        )
        closes = dict(own.order_by("-timestamp").values_list("timestamp", "close")[:COMPARED])
        siblings = list(
            CandleSeries.objects.filter(
                symbol=self.series.symbol, granularity=self.series.granularity
            )
            .exclude(pk=self.series.pk)
            .order_by("-last_timestamp")[:MOST_SOURCES]
        )
        if not closes or not siblings:
            return []
        theirs: dict[str, list[tuple[datetime, Any]]] = {one.source: [] for one in siblings}
        found = Candle.objects.filter(
            symbol=self.series.symbol,
            granularity=self.series.granularity,
            source__in=list(theirs),
            timestamp__gte=min(closes),
            timestamp__lte=max(closes),
        ).order_by("timestamp")
        for source, moment, close in found.values_list("source", "timestamp", "close"):
            if moment in closes:
                theirs[source].append((moment, (close / closes[moment] - 1) * 100))
        return [spread_line(one, theirs[one.source]) for one in siblings]


def spread_line(series: CandleSeries, apart: Sequence[tuple[datetime, Any]]) -> dict[str, Any]:
    """Return how far another source lies apart: newest, usually, at most; in percent."""
    nothing = display.empty("They have no newest candles in common.", figure=True)
    line: dict[str, Any] = {
        "source": series.source,
        "url": shown.address(CandleSeries, "change", series.pk),
        "common": len(apart),
        "newest": nothing,
        "usual": nothing,
        "most": nothing,
    }
    if apart:
        sizes = [value.copy_abs() for _, value in apart]
        line["newest"] = display.signed_pct(apart[-1][1])
        for name, value in (("usual", median(sizes)), ("most", max(sizes))):
            words = display.pct_words(value, signed=False, places=3)
            line[name] = display.figure(words, f"{plain_text(value)} %")
    return line
