"""What the chart elements of ``static/js/charts.js`` are fed with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from apps.shared.fields import plain_text

LEAST_PLACES, MOST_PLACES = 2, 12


class Bar(Protocol):
    """One interval of a price."""

    @property
    def timestamp(self) -> datetime: ...
    @property
    def open(self) -> Decimal: ...
    @property
    def high(self) -> Decimal: ...
    @property
    def low(self) -> Decimal: ...
    @property
    def close(self) -> Decimal: ...
    @property
    def volume(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A price across the whole chart; ``tone`` as of a badge."""

    price: Decimal
    title: str
    tone: str


@dataclass(frozen=True, slots=True)
class Marker:
    """A sign at the bar that starts at ``timestamp``; ``below`` or above it."""

    timestamp: datetime
    text: str
    tone: str
    below: bool = False
    arrow: bool = False


def places_of(prices: Iterable[Decimal]) -> int:
    """Return how many digits behind the point tell these prices apart, within reason.

    >>> places_of([Decimal("0.098400"), Decimal("0.0994766")]), places_of([Decimal(7)])
    (7, 2)
    """
    needed = (
        -int(exponent)
        for price in prices
        if isinstance(exponent := price.normalize().as_tuple().exponent, int)
    )
    return min(max(max(needed, default=0), LEAST_PLACES), MOST_PLACES)


def candle_chart(
    bars: Sequence[Bar],
    *,
    lines: Sequence[PriceLine] = (),
    markers: Sequence[Marker] = (),
) -> dict[str, Any]:
    """Return the JSON of a ``<candle-chart>``: prices travel as text, in order of time."""
    prices = (price for bar in bars for price in (bar.open, bar.high, bar.low, bar.close))
    return {
        "precision": places_of(prices),
        "candles": [
            [
                int(bar.timestamp.timestamp()),
                *(plain_text(v) for v in (bar.open, bar.high, bar.low, bar.close, bar.volume)),
            ]
            for bar in bars
        ],
        "lines": [
            {"price": plain_text(line.price), "title": line.title, "tone": line.tone}
            for line in lines
        ],
        "markers": [
            {
                "time": int(marker.timestamp.timestamp()),
                "text": marker.text,
                "tone": marker.tone,
                "position": "belowBar" if marker.below else "aboveBar",
                "shape": ("arrowUp" if marker.below else "arrowDown") if marker.arrow else "circle",
            }
            for marker in sorted(markers, key=lambda one: one.timestamp)
        ],
    }


def bar_chart(
    labels: Sequence[str | int],
    datasets: Sequence[tuple[str, str, Sequence[Any]]],
    *,
    stacked: bool = False,
    horizontal: bool = False,
    logarithmic: bool = False,
) -> dict[str, Any]:
    """Return the JSON of a ``<bar-chart>``; datasets are (label, tone, values).

    A label that is a number is a moment in seconds, shown as the viewer's hour. In a
    logarithmic one a few are seen beside thousands.
    """
    return {
        "labels": list(labels),
        "datasets": [
            {"label": label, "tone": tone, "values": list(values)}
            for label, tone, values in datasets
        ],
        "stacked": stacked,
        "horizontal": horizontal,
        "logarithmic": logarithmic,
    }


class Line(NamedTuple):
    """One line of a chart; ``tone`` as of a badge, points are (seconds, value)."""

    name: str
    tone: str
    points: Sequence[tuple[int, float]]


def line_chart(lines: Sequence[Line], *, places: int = 2) -> dict[str, Any]:
    """Return the JSON of a ``<line-chart>``."""
    return {
        "precision": places,
        "series": [
            {
                "name": line.name,
                "tone": line.tone,
                "points": [[time, round(value, places + 2)] for time, value in line.points],
            }
            for line in lines
        ],
    }
