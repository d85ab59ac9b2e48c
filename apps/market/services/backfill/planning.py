"""Planning to fetch what is missing in series of candles: one step per window of their gaps."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import pglock
from django.db import transaction

from apps.executions.domain.states import FINAL
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services.work import PlannedStep, plan_run
from apps.market.choices import DefectKind
from apps.market.domain.candles import width
from apps.market.models import CandleDefect, CandleSeries, Feed
from apps.market.services.feeds import PAGE
from apps.shared.errors import Conflict, DomainError

TYPE: Final = "CANDLE_BACKFILL"
RUNNER: Final = "apps.market.tasks.run_backfills"
FETCH, CHECK = "fetch", "check"
# What one run takes on; what is left is for the next one.
MOST_WINDOWS: Final = 5_000
NAMED: Final = 5

Span = tuple[datetime, datetime]


class NoFeed(DomainError):
    """Nobody fetches a series, so nobody can be asked for what is missing in it."""

    code = "no_feed"


class NothingMissing(DomainError):
    """No gap is known in the series that nobody has accepted."""

    code = "nothing_missing"


class AlreadyRunning(Conflict):
    """What is missing in a series is being fetched by a run that has not ended."""

    code = "already_running"


@transaction.atomic
def plan_backfill(*, series_ids: Sequence[int], by: str, now: datetime) -> Execution:
    """Plan the run that fetches the open gaps of these series from their own feeds.

    One step per window of a gap that one answer of a venue can fill, then one per series that
    looks at its health again. Raises NoFeed where no enabled feed fetches a series, naming those;
    NothingMissing where no open gap is known in any of them; AlreadyRunning (409) while another
    run is at one of them.
    """
    pglock.advisory("market.backfill", xact=True).acquire()
    series = list(CandleSeries.objects.filter(pk__in=series_ids).order_by("pk"))
    check_feeds(series)
    check_free(series)
    windows = [(row, gaps) for row in series for gaps in windows_of(row)]
    if not windows:
        raise NothingMissing(f"No open gap is known in {names(series)}.")
    taken = windows[:MOST_WINDOWS]
    steps = [
        PlannedStep(
            f"{row} {gaps[0][0]:%Y-%m-%d %H:%M}",
            0,
            {
                "kind": FETCH,
                "series": row.pk,
                "gaps": [[start.isoformat(), end.isoformat()] for start, end in gaps],
            },
        )
        for row, gaps in taken
    ]
    touched = {row.pk: row for row, _ in taken}
    steps += [
        PlannedStep(f"check {row}", 1, {"kind": CHECK, "series": pk}) for pk, row in touched.items()
    ]
    return plan_run(
        execution_type=TYPE,
        runner=RUNNER,
        steps=steps,
        symbol=series[0].symbol if len({row.symbol for row in series}) == 1 else "",
        metadata={
            "series": sorted(touched),
            "windows": len(taken),
            "left": len(windows[len(taken) :]),
        },
        triggered_by=by,
        now=now,
    )


def check_feeds(series: Sequence[CandleSeries]) -> None:
    """Raise NoFeed unless an enabled feed fetches each of these."""
    lacking = [row for row in series if feed_of(row) is None]
    if lacking:
        raise NoFeed(
            f"No enabled feed fetches {names(lacking)}: add or enable one under Feeds, or bring "
            "the candles in by an import or the API."
        )


def check_free(series: Sequence[CandleSeries]) -> None:
    """Raise AlreadyRunning while another run is at one of these."""
    open_steps = ExecutionStep.objects.filter(
        execution__execution_type=TYPE, parameters__series__in=[row.pk for row in series]
    ).exclude(execution__status__in=[status.value for status in FINAL])
    if (step := open_steps.first()) is not None:
        raise AlreadyRunning(f"The execution {step.execution_id} is at it already.")


def feed_of(series: CandleSeries) -> Feed | None:
    """Return the enabled feed that fetches a series."""
    return Feed.objects.filter(
        symbol=series.symbol, source=series.source, granularity=series.granularity, enabled=True
    ).first()


def names(series: Sequence[CandleSeries]) -> str:
    told = "; ".join(str(row) for row in series[:NAMED])
    return told + (f" and {len(series) - NAMED:,} more" if len(series) > NAMED else "")


def windows_of(series: CandleSeries) -> Iterator[list[Span]]:
    """Yield the open gaps of a series, cut and put together so that a page may fill them."""
    step = width(series.granularity)
    gaps = CandleDefect.objects.open().filter(series=series, kind=DefectKind.GAP)
    window: list[Span] = []
    for start, end in gaps.order_by("start").values_list("start", "end"):
        while start < end:
            # Beside the candle before, which is asked for too.
            cut = min(end, start + (PAGE - 1) * step)
            if window and cut - window[0][0] > (PAGE - 1) * step:
                yield window
                window = []
            window.append((start, cut))
            start = cut
    if window:
        yield window
