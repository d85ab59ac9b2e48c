"""What the pages of series show: where each stands, and one of them as a chart."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from apps.market.admin import shown
from apps.market.domain.series import LEAST_POINTS, SeriesGap, find_gaps, overdue, usual_distance
from apps.market.services.series import (
    Key,
    Latest,
    Table,
    completeness,
    latest_points,
    newest_times,
    points_of,
)
from apps.shared import display
from apps.shared.admin.charts import Line, Marker, line_chart
from apps.shared.admin.periods import parse_utc

SERIES_PER_PAGE: Final = 50
# Of each series of the list so many newest points are looked at.
LOOKED_AT: Final = 200
DRAWN: Final = 2_000
NEWEST_LISTED: Final = 10
MOST_GAPS: Final = 20
# Silent for so many times the usual distance, it is rather a history than a feed that broke.
LONG_SILENT: Final = 30
NO_CADENCE: Final = f"Known from {LEAST_POINTS} points on."
# The chart writes numbers out: from here on up and below there it is told by what to multiply.
LARGE, SMALL = 1e7, 1e-4
DIGITS: Final = 6
SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def address(table: Table, action: str, query: Mapping[str, Any]) -> str:
    opts = table.model._meta
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_{action}")
    return f"{url}?{urlencode(query)}" if query else url


def list_address(table: Table, **query: str) -> str:
    """Return the address of the list of series."""
    return address(table, "series", query)


def chart_address(table: Table, key: Key, **query: str) -> str:
    """Return the address of the chart of a series."""
    return address(table, "chart", dict(zip(table.key, key, strict=True)) | query)


def asked_key(table: Table, asked: Mapping[str, str], prefix: str = "") -> Key:
    """Return the parts of a key that an address names, empty where it does not."""
    return tuple(asked.get(prefix + name, "").replace("\0", "").strip() for name in table.key)


# --- The list of series ----------------------------------------------------------------------


class SeriesList:
    """One line per series, in the order of their names, so many at a time."""

    def __init__(self, table: Table, asked: Mapping[str, str], *, now: datetime) -> None:
        self.table, self.now = table, now
        self.named = dict(zip(table.key, asked_key(table, asked), strict=True))
        after = asked_key(table, asked, "after_")
        found = latest_points(
            table,
            limit=SERIES_PER_PAGE + 1,
            after=after if all(after) else (),
            **self.named,
        )
        page = found[:SERIES_PER_PAGE]
        times = newest_times(table, [each.key for each in page], points=LOOKED_AT)
        self.rows = [self.line(each, times[each.key]) for each in page]
        self.narrowed = any(self.named.values())
        self.paged = all(after)
        self.next = self.following(page[-1].key) if len(found) > len(page) else ""

    def following(self, key: Key) -> str:
        named = {name: text for name, text in self.named.items() if text}
        after = {f"after_{name}": text for name, text in zip(self.table.key, key, strict=True)}
        return list_address(self.table, **named, **after)

    @property
    def inputs(self) -> list[dict[str, str]]:
        labels = {"metric_name": "metric"}
        return [
            {"name": name, "label": labels.get(name, name).capitalize(), "value": text}
            for name, text in self.named.items()
        ]

    @property
    def first_page(self) -> str:
        return list_address(self.table, **{name: text for name, text in self.named.items() if text})

    def line(self, latest: Latest, times: Sequence[datetime]) -> dict[str, Any]:
        cadence = usual_distance(times)
        return {
            "names": [display.visible(text) for text in latest.key],
            "url": chart_address(self.table, latest.key),
            "value": shown.feature(latest.value),
            "last": display.age(latest.timestamp, now=self.now),
            "cadence": cadence_words(cadence),
            "state": state_badge(overdue(latest.timestamp, cadence, self.now), cadence),
            "gaps": gaps_badge(find_gaps(times, cadence), cadence, len(times)),
        }


def cadence_words(cadence: timedelta | None) -> SafeString:
    """Return how often points usually come."""
    if cadence is None:
        return display.empty(NO_CADENCE)
    return display.figure(f"every {display.span_words(cadence)}")


def state_badge(silent: timedelta | None, cadence: timedelta | None) -> SafeString:
    """Return whether the next point is overdue, and since when nothing came."""
    if cadence is None:
        return display.badge("Too few points", "default", NO_CADENCE)
    usual = f"One usually comes every {display.span_words(cadence)}."
    if silent is None:
        return display.badge("Fresh", "success", usual)
    words = f"Silent for {display.span_words(silent)}"
    return display.badge(words, "danger" if silent < LONG_SILENT * cadence else "warning", usual)


def gaps_badge(gaps: Sequence[SeriesGap], cadence: timedelta | None, points: int) -> SafeString:
    """Return how many points are missing among the newest."""
    if cadence is None:
        return display.empty(NO_CADENCE)
    looked = f"Among the newest {points:,} points."
    if not gaps:
        return display.badge("None", "success", looked)
    missing = sum(gap.missing for gap in gaps)
    words = f"{missing:,} missing in {len(gaps):,} gap{'' if len(gaps) == 1 else 's'}"
    return display.badge(words, "warning", looked)


# --- One series ---------------------------------------------------------------------------


class SeriesChart:
    """One series: its figures, its chart, its newest points and its gaps."""

    def __init__(self, table: Table, asked: Mapping[str, str], *, now: datetime) -> None:
        self.table, self.now = table, now
        self.key = asked_key(table, asked)
        until = parse_utc(asked.get("until", ""))
        self.points = points_of(table, self.key, end=until, limit=DRAWN + 1)
        self.earlier = ""
        if len(self.points) > DRAWN:
            self.points = self.points[1:]
            self.earlier = chart_address(
                table, self.key, until=f"{self.points[0][0]:%Y-%m-%dT%H:%M:%S.%fZ}"
            )
        self.newest_url = chart_address(table, self.key) if until else ""
        start = self.points[0][0] if self.points else None
        self.standing = completeness(table, self.key, now=now, start=start, end=until)

    @property
    def name(self) -> str:
        """What is measured, of what."""
        symbol, source, *metric = (display.visible(text) for text in self.key)
        return f"{symbol} {metric[0] if metric else 'sentiment'} from {source}"

    @property
    def title(self) -> str:
        return self.name if self.points else "Series"

    @property
    def figures(self) -> list[dict[str, Any]]:
        """Return what stands above the chart."""
        values = [value for _, value in self.points]
        standing, (at, last) = self.standing, self.points[-1]
        missing = sum(gap.missing for gap in standing.gaps)
        return [
            {"label": "Last shown", "value": shown.feature(last),
             "under": display.age(at, now=self.now)},
            {"label": "Lowest", "value": shown.feature(min(values)),
             "under": f"of {len(values):,} points shown"},
            {"label": "Highest", "value": shown.feature(max(values)),
             "under": f"of {len(values):,} points shown"},
            {"label": "Usually comes", "value": cadence_words(standing.cadence),
             "under": "learned from the newest points"},
            {"label": "Missing", "value": display.number(missing) if standing.cadence
             else display.empty(NO_CADENCE),
             "under": f"in {len(standing.gaps):,} gap{'' if len(standing.gaps) == 1 else 's'}"
             " of those shown"},
        ]  # fmt: skip

    @property
    def state(self) -> SafeString:
        return state_badge(self.standing.silent, self.standing.cadence)

    @property
    def scale(self) -> int:
        return exponent_of([value for _, value in self.points])

    @property
    def unit(self) -> str:
        """By what the figures of the chart are to be multiplied; empty by nothing."""
        return f"× 10{str(self.scale).translate(SUPERSCRIPTS)}" if self.scale else ""

    @property
    def chart(self) -> dict[str, Any]:
        """Return the chart; points of one second are one, the last of them."""
        # In two steps: ten to the power of 320 is more than a float holds.
        half = self.scale // 2
        drawn = {
            int(at.timestamp()): value / 10.0**half / 10.0 ** (self.scale - half)
            for at, value in self.points
        }
        markers = [
            Marker(gap.end.replace(microsecond=0), f"{gap.missing:,} missing", "danger", below=True)
            for gap in self.standing.gaps[-MOST_GAPS:]
        ]
        line = Line("", "info", sorted(drawn.items()), markers=markers)
        return line_chart([line], places=places_of(list(drawn.values())))

    @property
    def newest(self) -> list[dict[str, Any]]:
        """Return the newest points shown, the last one first."""
        rows = self.points[: -NEWEST_LISTED - 1 : -1]
        return [{"at": display.moment(at), "value": shown.feature(value)} for at, value in rows]

    @property
    def gaps(self) -> list[dict[str, Any]]:
        """Return the newest gaps, the last one first."""
        return [
            {
                "start": display.moment(gap.start),
                "end": display.moment(gap.end),
                "length": display.span_words(gap.end - gap.start),
                "missing": display.number(gap.missing),
            }
            for gap in self.standing.gaps[: -MOST_GAPS - 1 : -1]
        ]

    @property
    def more_gaps(self) -> int:
        return max(0, len(self.standing.gaps) - MOST_GAPS)


def exponent_of(values: Sequence[float]) -> int:
    """Return the power of a thousand that brings values into the reach of a chart, or 0.

    >>> exponent_of([6.2e20]), exponent_of([0.5, -12_000]), exponent_of([2e-9]), exponent_of([0])
    (18, 0, -9, 0)
    """
    largest = max(map(abs, values), default=0.0)
    if largest == 0 or SMALL <= largest < LARGE:
        return 0
    return 3 * math.floor(math.log10(largest) / 3)


def places_of(values: Sequence[float]) -> int:
    """Return how many digits behind the point tell such values well.

    >>> places_of([620.5]), places_of([0.0123]), places_of([9_123_456]), places_of([])
    (3, 7, 0, 2)
    """
    largest = max(map(abs, values), default=0.0)
    if largest == 0:
        return 2
    return min(max(DIGITS - 1 - math.floor(math.log10(largest)), 0), 12)
