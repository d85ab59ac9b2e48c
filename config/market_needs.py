"""What needs attention about features and the soundness of candles."""

from collections import Counter
from collections.abc import Callable, Iterator

from django.urls import reverse

from apps.market.choices import DefectKind
from config.figures import counted, rows
from config.market_readings import MOST_DEFECTS, MOST_FAILING
from config.needs import MOST_OF_A_KIND, Need
from config.readings import Readings


def failing_features(now: Readings) -> Iterator[Need]:
    for series in now.failing_features[:MOST_OF_A_KIND]:
        yield Need(
            57,
            f"Features of {series} fail",
            series.error,
            "Open the series",
            reverse("admin:market_featureseries_change", args=[series.pk]),
        )
    more = len(now.failing_features) - MOST_OF_A_KIND
    if more > 0:
        yield Need(
            56,
            f"{counted(more, MOST_FAILING - MOST_OF_A_KIND)} more series fail",
            "Their features could not be computed.",
            "See the series",
            rows("market_featureseries"),
        )


def new_defects(now: Readings) -> Iterator[Need]:
    """Yield one need for all: an outage of a venue makes hundreds at once."""
    found = now.new_defects
    if not found:
        return
    kinds = Counter(DefectKind(defect.kind).label.lower() for defect in found)
    words = ", ".join(f"{count} × {kind}" for kind, count in kinds.most_common())
    newest = found[0]
    yield Need(
        50,
        f"{counted(len(found), MOST_DEFECTS)} defects in new candles",
        f"In the last 48 hours: {words}. The newest: {newest.series}.",
        "Backfill or accept",
        rows("market_candledefect"),
    )


NEEDS: list[tuple[str, Callable[[Readings], Iterator[Need]]]] = [
    ("market.view_featureseries", failing_features),
    ("market.view_candledefect", new_defects),
]
