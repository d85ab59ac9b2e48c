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
        "markers": [marker_data(marker) for marker in in_order(markers)],
    }


def in_order(markers: Iterable[Marker]) -> list[Marker]:
    return sorted(markers, key=lambda one: one.timestamp)


def marker_data(marker: Marker) -> dict[str, Any]:
    """Return a marker as JSON."""
    return {
        "time": int(marker.timestamp.timestamp()),
        "text": marker.text,
        "tone": marker.tone,
        "position": "belowBar" if marker.below else "aboveBar",
        "shape": ("arrowUp" if marker.below else "arrowDown") if marker.arrow else "circle",
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
    """One line of a chart; points are (seconds, value).

    ``tone`` as of a badge, or "1" to "10" where many lines are told apart. ``quiet``: a thin line
    that another is compared with; ``dashed``: what is no thing of its own, such as a benchmark.
    Each of ``markers`` stands at a point of the line.
    """

    name: str
    tone: str
    points: Sequence[tuple[int, float]]
    quiet: bool = False
    dashed: bool = False
    markers: Sequence[Marker] = ()


# So many lines have a color of their own.
LINE_TONES = tuple(str(number) for number in range(1, 11))


def line_chart(
    lines: Sequence[Line], *, places: int = 2, unit: str = "", legend: bool = False
) -> dict[str, Any]:
    """Return the JSON of a ``<line-chart>``.

    ``legend``: names and values stand above it, for more lines than the edge has room for.
    """
    return {
        "precision": places,
        **({"unit": unit} if unit else {}),
        **({"legend": True} if legend else {}),
        "series": [line_data(line, places=places) for line in lines],
    }


def line_data(line: Line, *, places: int) -> dict[str, Any]:
    """Return one line as JSON; what is usual is left out."""
    data: dict[str, Any] = {
        "name": line.name,
        "tone": line.tone,
        "points": [[time, round(value, places + 2)] for time, value in line.points],
    }
    for name in ("quiet", "dashed"):
        if getattr(line, name):
            data[name] = True
    if line.markers:
        data["markers"] = [marker_data(each) for each in in_order(line.markers)]
    return data
