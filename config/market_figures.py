"""The figures of the desk about the market's own work: features, and the cache."""

from collections.abc import Callable

from django.urls import reverse

from apps.shared import display
from config.figures import Figure, rows
from config.readings import Readings


def features(now: Readings) -> Figure:
    count, failing, behind = now.features
    troubles = [
        f"{number:,} {word}"
        for number, word in ((failing, "failing"), (behind, "behind"))
        if number
    ]
    under = ", ".join(troubles) or "all up to date"
    return Figure(
        "Series with features",
        f"{count:,}",
        under if count else "no candles to build from yet",
        rows("market_featureseries"),
        "b-loss" if failing else "",
        "Series of candles whose features are kept up to date.",
    )


def cache(now: Readings) -> Figure:
    today = now.cache_today
    asked = today.total_hits + today.total_misses
    rate = f"{today.total_hits / asked * 100:.0f} % of {asked:,} reads" if asked else "no reads yet"
    return Figure(
        "Outside calls saved today",
        f"{today.total_hits:,}" if asked else display.EMPTY,
        rate,
        reverse("admin:market_cache"),
        title="Answers given out of the cache since midnight UTC.",
    )


FIGURES: list[tuple[str, Callable[[Readings], Figure]]] = [
    ("market.view_featureseries", features),
    ("market.view_apicacheentry", cache),
]
