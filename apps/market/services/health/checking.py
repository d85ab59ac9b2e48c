"""Which series are to be looked at, and by whom; what is new is told."""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Final

from django.db import transaction
from django.db.models import F, Q, QuerySet

from apps.executions.tracking import TrackedRun, tracked_execution
from apps.logs.choices import NotificationLevel
from apps.logs.services.notifications import notify
from apps.market.choices import DefectKind
from apps.market.models import CandleDefect, CandleSeries
from apps.market.services.health.looking import (
    MOST_PEERS,
    first_changed,
    look,
    peers_of,
    reference_of,
)
from apps.market.services.health.storing import replace

logger = logging.getLogger(__name__)

TYPE: Final = "CANDLE_HEALTH"
# One tick takes up nothing later than this.
BUDGET_SECONDS: Final = 60.0
# Nobody needs to know it faster, and each look reads a few weeks of candles.
PAUSE: Final = timedelta(minutes=45)
# What is older is history: it is shown, but nobody is told.
NEWS: Final = timedelta(hours=48)
TOLD: Final = (DefectKind.GAP, DefectKind.OUTLIER, DefectKind.SPREAD)


def check_health(*, now: datetime) -> int:
    """Look at the series that have new or changed candles; return how many were looked at.

    Those whose last look is longest ago come first, for about a minute: who called calls again
    where anything was done. A series that cannot be looked at is a failed step of the run and
    stops no other. May run in several workers at once: each series is looked at by one.
    """
    began = monotonic()
    due = list(due_series(now))
    if not due:
        return 0
    seen: list[int] = []
    with tracked_execution(TYPE, total_tasks=1) as run, run.step("check") as result:
        for series in due:
            if monotonic() - began > BUDGET_SECONDS:
                break
            run.check_cancelled()
            if check_tracked(series, run, now, until=began + BUDGET_SECONDS):
                seen.append(series.pk)
        result.update({"series": len(seen), "left": len(due) - len(seen)})
        with transaction.atomic():
            result["news"] = tell_news(seen, now=now)
    return len(seen)


def due_series(now: datetime) -> Iterable[CandleSeries]:
    """Return the series that want to be looked at, the one that has waited longest first."""
    changed = (
        Q(checked_until__isnull=True)
        | Q(recheck_from__isnull=False)
        | Q(last_timestamp__gte=F("checked_until"))
    )
    rested = Q(checked_at__isnull=True) | Q(checked_at__lte=now - PAUSE)
    return CandleSeries.objects.filter(changed & rested).order_by(
        F("checked_at").asc(nulls_first=True), "pk"
    )


def check_tracked(series: CandleSeries, run: TrackedRun, now: datetime, *, until: float) -> bool:
    """Look at one series; a failure is told as a step and gives way to the others."""
    try:
        return check_one(series.pk, now=now, until=until)
    except Exception as error:
        logger.exception("Candles of %s could not be checked", series)
        with suppress(Exception), run.step(str(series)):
            raise error
        # It waits for its turn like the others; its window stays open.
        CandleSeries.objects.filter(pk=series.pk).update(checked_at=now)
        return False


def check_series(*, series_ids: Sequence[int], now: datetime, whole: bool = True) -> int:
    """Look at these series now, from their first candle on; return how many were looked at.

    Without ``whole`` only where candles are new or changed. One that somebody else is at is
    waited for. What was found of a series stays where a later one fails.
    """
    if whole:
        seen = CandleSeries.objects.filter(checked_until__isnull=False)
        for pk in sorted(series_ids):
            seen.filter(pk=pk).update(recheck_from=F("first_timestamp"))
    # Those that others are compared with come first: the others need one look then.
    series = list(CandleSeries.objects.filter(pk__in=series_ids).order_by("pk"))
    series.sort(key=lambda row: reference_of(row) is not None)
    return sum(check_one(row.pk, now=now, wait=True) for row in series)


def check_one(pk: int, *, now: datetime, wait: bool = False, until: float = inf) -> bool:
    """Look at one series where something changed; False when nothing did or others are at it.

    Piece by piece, each in a transaction of its own: what is found stays, whoever comes next goes
    on behind it, and who stores candles never waits for long. With ``wait`` it waits for whoever
    is at it already; after ``until`` (of the monotonic clock) no second piece is begun.
    """
    looked, new = False, CandleSeries.objects.filter(pk=pk, checked_at__isnull=True).exists()
    while (series := CandleSeries.objects.filter(pk=pk).first()) is not None:
        if (changed := first_changed(series)) is None:
            break
        # While no row is held: who waits with rows in hand may wait for ever.
        mark_compared(series, changed)
        if not check_piece(pk, marked=changed, now=now, wait=wait or looked):
            break
        looked = True
        if monotonic() > until:
            break
    if new and (seen := CandleSeries.objects.filter(pk=pk, checked_at__isnull=False).first()):
        mark_peers(seen)
    return looked


@transaction.atomic
def check_piece(pk: int, *, marked: datetime, now: datetime, wait: bool) -> bool:
    """Look at the next piece of a series, whose row is held meanwhile: candles that come wait.

    False when there is none. Nothing is looked at where a candle came before ``marked``, from
    where on the series that are compared with it are marked.
    """
    held = CandleSeries.objects.select_for_update(no_key=True, skip_locked=not wait)
    series = held.filter(pk=pk).first()
    if series is None or (changed := first_changed(series)) is None:
        return False
    if changed >= marked:
        replace(series, look(series, changed), now=now)
    return True


def mark_compared(series: CandleSeries, start: datetime) -> None:
    """Have the series that are compared with this one looked at again from where it changed.

    Before it is looked at itself: who dies between the two has the others looked at once too
    often, and never once too seldom.
    """
    if reference_of(series) is None:
        same = CandleSeries.objects.filter(symbol=series.symbol, granularity=series.granularity)
        mark(same.exclude(pk=series.pk), start)


def mark_peers(series: CandleSeries) -> None:
    """Have its peers looked at again, as from now on it says on which days their market was open.

    Only the first ones are asked, so with thousands of series it is some of them once more.
    """
    peers = peers_of(series)
    if peers is not None and peers.filter(pk__lt=series.pk).count() <= MOST_PEERS:
        mark(peers, series.first_timestamp)


@transaction.atomic
def mark(rows: QuerySet[CandleSeries], start: datetime) -> None:
    """Have series looked at again from a moment on; behind what was seen they are due anyway."""
    held = rows.select_for_update(no_key=True).filter(
        Q(recheck_from__isnull=True) | Q(recheck_from__gt=start), checked_until__gt=start
    )
    # In the order in which everybody takes several of them.
    marked = [row.pk for row in held.order_by("symbol", "source", "granularity")]
    CandleSeries.objects.filter(pk__in=marked).update(recheck_from=start)


def tell_news(series_ids: Sequence[int], *, now: datetime) -> int:
    """Tell staff of defects that are new in the candles of the last two days; return how many.

    One notification for all, with the worst of them; a series of which something was found
    earlier on the same day (UTC) is not told again.
    """
    fresh = CandleDefect.objects.open().filter(kind__in=TOLD, end__gt=now - NEWS)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found_earlier = fresh.filter(found_at__gte=today, found_at__lt=now)
    new = list(
        fresh.filter(series__in=series_ids, found_at=now)
        .exclude(series__in=found_earlier.values("series"))
        .select_related("series")
        .order_by("-candles", "start", "pk")
    )
    if not new:
        return 0
    worst = new[0]
    series = len({each.series_id for each in new})
    what = f"{len(new):,} new defect{'' if len(new) == 1 else 's'} in candles"
    notify(
        what="candle_defects",
        level=NotificationLevel.WARNING,
        subject=f"{what} of {worst.series}" if series == 1 else f"{what} of {series:,} series",
        message=(
            f"The longest: {worst.get_kind_display()} of {worst.candles:,} intervals in "
            f"{worst.series}, from {worst.start:%Y-%m-%d %H:%M} UTC. {worst.detail}"
        ).strip(),
        link="/admin/market/candledefect/",
        dedupe_key=f"candle_defects:{now.isoformat()}",
        now=now,
    )
    return len(new)
