"""The features of an instrument: a chart with what one chose, and the newest of every column."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db.models import Count
from django.http import QueryDict

from apps.market.admin import shown
from apps.market.admin.feature_groups import GROUPED, GROUPS, MOST_PANES, PLOTS, USUAL, Plot
from apps.market.admin.features import CARRIED, TOO_SHORT
from apps.market.domain.candles import width
from apps.market.models import FeatureSeries, FeatureVector, Instrument
from apps.shared.admin.charts import LINE_TONES, candle_chart
from apps.shared.admin.periods import parse_utc

POINTS = 300
# Digits of a float that mean anything in a picture.
DRAWN_DIGITS = 7
# Nothing costs so much; candles travel with all their digits.
LARGEST = 1e20
# The colors of the lines of one pane; bars come first.
IN_PANES = ("1", "2", "4", "3", "6", "5")
PRICES = ("open", "high", "low", "close", "volume")


class Bar(NamedTuple):
    """The candle of a feature vector."""

    timestamp: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def version_order(series: FeatureSeries) -> list[int]:
    """Return what versions are compared by: their numbers."""
    return [int(part) for part in series.feature_version_id.split(".")]


def series_of(symbol: str) -> list[FeatureSeries]:
    """Return the features of a symbol that hold rows, those one wants to see first."""
    found = FeatureSeries.objects.filter(symbol=symbol, rows__gt=0).defer(*CARRIED)
    rows = list(found.select_related("feature_version"))
    rows.sort(key=version_order, reverse=True)
    rows.sort(key=lambda one: (not one.feature_version.built, one.source, width(one.granularity)))
    return rows


@dataclass
class FeatureView:
    """Which features a page shows, and where its switches lead."""

    chosen: FeatureSeries | None = None
    plots: list[str] = field(default_factory=list)
    series: list[dict[str, Any]] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    pickers: list[dict[str, Any]] = field(default_factory=list)
    chart: dict[str, Any] = field(default_factory=dict)
    columns: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    earlier: str = ""
    later: str = ""
    vector: int | None = None

    @classmethod
    def of(cls, instrument: Instrument, asked: QueryDict) -> "FeatureView":
        """Return the view asked for; what does not exist is replaced by the best that does."""
        stored = series_of(instrument.symbol)
        if not stored:
            return cls()
        names = ("source", "granularity", "version")
        wanted = {name: str(asked[name]) for name in names if asked.get(name)}
        chosen = best(stored, wanted, instrument.primary_source)
        plots = [name for name in PLOTS if name in asked.getlist("show")]
        if "show" not in asked:
            plots = list(USUAL)
        view = cls(chosen=chosen, plots=within_panes(plots))
        view.switches(stored)
        view.read(parse_utc(asked.get("until", "")))
        return view

    def query(self, **changes: Any) -> str:
        """Return the address of this page with something else chosen."""
        assert self.chosen is not None
        told = {
            "source": self.chosen.source,
            "granularity": self.chosen.granularity,
            "version": self.chosen.feature_version_id,
            "show": self.plots or [""],
        }
        return f"?{urlencode(told | changes, doseq=True)}"

    def switches(self, stored: Sequence[FeatureSeries]) -> None:
        """Fill in what may be chosen instead."""
        assert self.chosen is not None
        now = (self.chosen.source, self.chosen.granularity)
        pairs = dict.fromkeys((one.source, one.granularity) for one in stored)
        self.series = [
            {
                "label": f"{granularity} {source}",
                "active": (source, granularity) == now,
                "url": self.query(source=source, granularity=granularity),
            }
            for source, granularity in pairs
        ]
        self.versions = [
            {
                "label": one.feature_version_id,
                "active": one.feature_version_id == self.chosen.feature_version_id,
                "url": self.query(version=one.feature_version_id),
                "says": one.feature_version.get_origin_display(),
            }
            for one in sorted(stored, key=version_order, reverse=True)
            if (one.source, one.granularity) == now
        ]
        self.pickers = [
            {
                "label": plot.title,
                "active": name in self.plots,
                "url": self.query(show=toggled(self.plots, name) or [""]),
            }
            for name, plot in PLOTS.items()
        ]

    def read(self, until: datetime | None) -> None:
        """Read the rows of the chart, and how complete each column is over them."""
        assert self.chosen is not None
        own = FeatureVector.objects.filter(
            symbol=self.chosen.symbol,
            source=self.chosen.source,
            granularity=self.chosen.granularity,
            feature_version=self.chosen.feature_version_id,
        )
        drawn = list(dict.fromkeys(
            name.lstrip("|") for plot in self.plots for name in PLOTS[plot].columns
        ))  # fmt: skip
        window = own.filter(timestamp__lt=until) if until else own
        newest = window.order_by("-timestamp").values_list("timestamp", *PRICES, *drawn)
        rows = list(newest[:POINTS])[::-1]
        self.count = len(rows)
        if not rows:
            return
        self.first, self.last = rows[0][0], rows[-1][0]
        self.chart = chart_of(rows, drawn, [PLOTS[name] for name in self.plots])
        inside = own.filter(timestamp__gte=self.first, timestamp__lte=self.last)
        known = inside.aggregate(
            **{f"known_{name}": Count(name) for name in GROUPED if name != "timestamp"}
        )
        latest = own.filter(timestamp=self.last).get()
        self.vector = latest.pk
        self.columns = [
            {
                "title": title,
                "lines": [
                    {
                        "name": name,
                        "value": shown.feature(getattr(latest, name), TOO_SHORT),
                        "share": shown.known_share(known[f"known_{name}"], self.count),
                    }
                    for name in names
                    if name != "timestamp"
                ],
            }
            for title, names in GROUPS
        ]
        begun, ended = self.chosen.first_timestamp, self.chosen.last_timestamp
        if begun and begun < self.first:
            self.earlier = self.query(until=stamp(self.first))
        if ended and ended > self.last:
            later = self.last + (POINTS + 1) * width(self.chosen.granularity)
            self.later = self.query(**({"until": stamp(later)} if later <= ended else {}))


def best(stored: Sequence[FeatureSeries], wanted: dict[str, str], primary: str) -> FeatureSeries:
    """Return the series that has most of what was asked for, else of the primary source."""

    def fits(one: FeatureSeries) -> tuple[int, bool]:
        own = {
            "source": one.source,
            "granularity": one.granularity,
            "version": one.feature_version_id,
        }
        # The candles count before the version: another version of them is near to what is meant.
        weights = {"source": 4, "granularity": 2, "version": 1}
        asked = sum(weights[name] for name, value in wanted.items() if own[name] == value)
        return asked, one.source == primary

    return max(stored, key=fits)


def toggled(plots: Sequence[str], name: str) -> list[str]:
    """Return what is shown after a click: without it, or with it."""
    wanted = [each for each in plots if each != name]
    return wanted if name in plots else within_panes([*wanted, name])


def within_panes(plots: Sequence[str]) -> list[str]:
    """Return the newest of what was chosen that there is room for, in their usual order."""
    panes = [name for name in plots if not PLOTS[name].over_price][-MOST_PANES:]
    return [name for name in PLOTS if name in plots and (name in panes or PLOTS[name].over_price)]


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


# --- What the chart is fed with -----------------------------------------------------------


def chart_of(
    rows: Sequence[tuple[Any, ...]], drawn: Sequence[str], plots: Sequence[Plot]
) -> dict[str, Any]:
    """Return the JSON of a ``<candle-chart>`` with lines over the price and panes below it."""
    whole = [row for row in rows if all(is_drawable(value) for value in row[1:6])]
    bars = [Bar(row[0], *(Decimal(repr(value)) for value in row[1:6])) for row in whole]
    points = {
        name: [[int(row[0].timestamp()), rounded(row[6 + place])] for row in rows]
        for place, name in enumerate(drawn)
    }
    tones = iter(LINE_TONES)
    over = [line for plot in plots if plot.over_price for line in lines_of(plot, points, tones)]
    panes = [
        {
            "title": plot.title,
            "levels": plot.levels,
            "lines": lines_of(plot, points, iter(IN_PANES)),
        }
        for plot in plots
        if not plot.over_price
    ]
    return candle_chart(bars) | {"overlays": over, "panes": panes}


def is_drawable(value: float | None) -> bool:
    """Tell whether a number that may be anything can be part of a candle."""
    return value is not None and abs(value) < LARGEST


def lines_of(plot: Plot, points: dict[str, Any], tones: Any) -> list[dict[str, Any]]:
    found = []
    for name in plot.columns:
        bare = name.lstrip("|")
        line = {"name": bare, "tone": next(tones), "points": points[bare]}
        if name != bare:
            line["bars"] = True
        if plot.title == "Bands":
            line["dashed"] = True
        found.append(line | {"places": places_of(points[bare])})
    return found


def places_of(points: Sequence[Sequence[Any]]) -> int:
    """Return how many digits behind the point show four digits of the largest value."""
    largest = max((abs(value) for _, value in points if value is not None), default=0.0)
    return min(max(4 - len(f"{largest:.0f}") if largest >= 1 else leading(largest), 0), 10)


def leading(value: float) -> int:
    """Return how many digits behind the point show four digits of a small number."""
    return 4 if value == 0 else 3 - int(f"{value:e}".split("e")[1])


def rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DRAWN_DIGITS}g}")
