"""The last ninety days of a market as a strip of its regimes, and the present one in words."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.utils.safestring import SafeString

from apps.market.choices import COLORS, DominantTrend, RegimeType, VolatilityRegime
from apps.market.domain.regimes import MEAN_DAYS, RECENT_DAYS
from apps.market.models import MarketRegime
from apps.market.models.regimes import OWN_SOURCE
from apps.market.services.regimes import known_by, known_from
from apps.shared import display
from apps.shared.fields import PRICE_LIMIT

DAYS: Final = 90
DAY: Final = timedelta(days=1)
# Cells are drawn in a picture of one unit a day; high volatility stands tall, low does not.
HEIGHT: Final = 24
LOW_HEIGHT: Final = 13
UNKNOWN_HEIGHT: Final = 4

WORDS: Final = {
    RegimeType.HIGH_BULL: "moves a lot and rises",
    RegimeType.HIGH_BEAR: "moves a lot and falls",
    RegimeType.HIGH_RANGING: "moves a lot and goes nowhere",
    RegimeType.LOW_BULL: "is calm and rises",
    RegimeType.LOW_BEAR: "is calm and falls",
    RegimeType.LOW_RANGING: "is calm and goes nowhere",
    RegimeType.UNKNOWN: "has too short a history to say how it moves",
}
LOOKS: Final = {
    RegimeType.HIGH_BULL: "bull",
    RegimeType.HIGH_BEAR: "bear",
    RegimeType.HIGH_RANGING: "ranging",
    RegimeType.LOW_BULL: "bull",
    RegimeType.LOW_BEAR: "bear",
    RegimeType.LOW_RANGING: "ranging",
    RegimeType.UNKNOWN: "unknown",
}


def regime_strip(symbol: str, now: datetime, *, source: str = OWN_SOURCE) -> dict[str, Any]:
    """Return what ``admin/market/regime_strip.html`` shows of a market: one read of ninety rows.

    The days known at ``now``, oldest first; by default as they are classified here. Of a source
    that says more than one thing of a day its last word counts.
    """
    last = (now.astimezone(UTC) - DAY if source == OWN_SOURCE else now.astimezone(UTC)).date()
    first = last - (DAYS - 1) * DAY
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    rows = list(
        MarketRegime.objects.filter(
            symbol=symbol,
            source=source,
            timestamp__gte=start,
            timestamp__lte=known_by(now, source),
        ).order_by("timestamp")
    )
    by_day = {row.timestamp.date(): row for row in rows}
    present = rows[-1] if rows else None
    return {
        "symbol": symbol,
        "source": source,
        "is_ours": source == OWN_SOURCE,
        "cells": [cell(place, first + place * DAY, by_day) for place in range(DAYS)],
        "width": DAYS,
        "height": HEIGHT,
        "first": first,
        "last": last,
        "legend": legend(list(by_day.values())),
        "present": told(present, rows, last) if present else None,
        "days": DAYS,
    }


def cell(place: int, day: date, by_day: Mapping[date, MarketRegime]) -> dict[str, Any]:
    """Return one day of the strip: where it stands, how it looks, what it says."""
    row = by_day.get(day)
    regime = RegimeType(row.regime_type) if row else None
    height = height_of(regime)
    words = f"{day:%Y-%m-%d}: no regime"
    if row:
        words = (
            f"{day:%Y-%m-%d}: {row.regime_type}; volatility {row.volatility_regime.lower()},"
            f" trend {row.dominant_trend.lower()}"
        )
    return {
        "x": place,
        "y": HEIGHT - height,
        "height": height,
        "look": LOOKS[regime] if regime else "none",
        "words": words,
    }


def height_of(regime: RegimeType | None) -> int:
    if regime is None or regime == RegimeType.UNKNOWN:
        return UNKNOWN_HEIGHT
    return HEIGHT if regime.startswith("High") else LOW_HEIGHT


def legend(rows: Sequence[MarketRegime]) -> list[dict[str, Any]]:
    """Return each regime that the strip shows, and on how many days."""
    found = []
    for regime in RegimeType:
        days = sum(row.regime_type == regime for row in rows)
        if days:
            height = height_of(regime)
            found.append(
                {
                    "label": regime.value,
                    "look": LOOKS[regime],
                    "height": height,
                    "y": HEIGHT - height,
                    "days": days,
                }
            )
    return found


def told(present: MarketRegime, rows: Sequence[MarketRegime], last: date) -> dict[str, Any]:
    """Return the last known regime in words, with the figures that it follows from."""
    regime = RegimeType(present.regime_type)
    since = present
    for row in reversed(rows):
        if row.regime_type != present.regime_type:
            break
        since = row
    figures = present.indicators_json
    return {
        "badge": display.badge(regime.value, COLORS[regime]),
        "words": WORDS[regime],
        "since": display.moment(known_from(since.timestamp, since.source)),
        # Of a day long ago nothing is said about the present.
        "late": (last - present.timestamp.date()).days > 0,
        "day": present.timestamp.date(),
        "facts": [
            {"name": "Volatility", **volatility(present, figures)},
            {"name": "Trend", **trend(present, figures)},
            {"name": f"{RECENT_DAYS} days", "value": change(figures), "words": ""},
        ],
    }


def volatility(present: MarketRegime, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether it moves more than it used to, and by which figures."""
    regime = VolatilityRegime(present.volatility_regime)
    words = [
        f"{percent_words(figures['vol_30d'])} a year" if number(figures, "vol_30d") else "",
        f"{figures['vol_ratio']:.2f} × that of 90 days" if number(figures, "vol_ratio") else "",
    ]
    return {
        "value": display.badge(regime.value, COLORS.get(regime, "default")),
        "words": ", ".join(word for word in words if word),
    }


def trend(present: MarketRegime, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the means say, and on which side of how many of them the close lies."""
    regime = DominantTrend(present.dominant_trend)
    levels = [figures[f"ma_{each}"] for each in MEAN_DAYS if number(figures, f"ma_{each}")]
    words = ""
    if levels and number(figures, "close"):
        above = sum(figures["close"] > level for level in levels)
        words = f"close above {above} of {len(levels)} means"
    return {
        "value": display.badge(regime.value, COLORS.get(regime, "default")),
        "words": words,
    }


def change(figures: Mapping[str, Any]) -> SafeString:
    """Return how far the close lies from that of thirty closes before."""
    if not number(figures, "trend_30d"):
        return display.empty("Its source told no such figure, or there are fewer than 31 closes.")
    share = figures["trend_30d"]
    sign = "+" if share > 0 else "\u2212" if share < 0 else ""
    return display.figure(f"{sign}{percent_words(abs(share))}")


def number(figures: Mapping[str, Any], name: str) -> bool:
    """Tell whether a figure is there; what others report may be anything, and of any size."""
    value = figures.get(name)
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < PRICE_LIMIT
    )


def percent_words(share: float) -> str:
    return f"{share * 100:,.1f} %"
