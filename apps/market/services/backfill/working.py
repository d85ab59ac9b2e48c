"""Doing the steps of a backfill: asking the venue, storing what it has, noting what it has not."""

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from apps.executions.choices import StepStatus
from apps.executions.models import ExecutionStep
from apps.executions.services.work import (
    claim_step,
    close_runs,
    finish_step,
    keep_step,
    note_use,
)
from apps.executions.tracking import Meter
from apps.market.choices import DefectKind
from apps.market.domain.candles import CandleRow, width
from apps.market.models import Candle, CandleDefect, CandleSeries
from apps.market.providers.base import ProviderError, ProviderRubbish, ProviderUnreachable
from apps.market.services.backfill.planning import CHECK, FETCH, RUNNER, NoFeed, Span, feed_of
from apps.market.services.cache import Recall
from apps.market.services.candles import store_candles
from apps.market.services.feeds import believable_rows, old_candles
from apps.market.services.health.checking import check_one
from apps.shared.errors import DomainError

logger = logging.getLogger(__name__)

# One message works for so long and makes way for others.
WORK_FOR: Final = timedelta(seconds=5)
# Some venues give fewer candles at once than they are asked for.
MOST_PAGES: Final = 20

Clock = Callable[[], datetime]


class ToldToStop(Exception):
    """Somebody wishes the run to end, or the step is somebody else's by now."""


def work(*, clock: Clock, joined: Callable[[], None]) -> int:
    """Do steps that are due, for a few seconds; return how many were taken up.

    ``joined`` is called after each claim: whoever has something to do calls others to help. Runs
    that have nothing left to do are ended. May run many times at once.
    """
    began, taken = clock(), 0
    while clock() - began < WORK_FOR:
        step = claim_step(runner=RUNNER, now=clock(), lease=settings.STEP_LEASE)
        if step is None:
            break
        taken += 1
        joined()
        meter = Meter()
        perform(step, clock)
        note_use(step=step, report=meter.report(), now=clock())
    close_runs(now=clock(), runner=RUNNER)
    return taken


def perform(step: ExecutionStep, clock: Clock) -> None:
    """Do one claimed step and note how it went."""
    try:
        STEPS[step.parameters["kind"]](step, clock)
    except ToldToStop:
        # A step that is not ours any more is left as it is.
        finish_step(step=step, status=StepStatus.CANCELLED, now=clock())
    except ProviderUnreachable as error:
        fail(step, StepStatus.FAILED, "unreachable", error, clock())
    except ProviderError as error:
        fail(step, StepStatus.FAILED_INSUFFICIENT_DATA, "not_believed", error, clock())
    except DomainError as error:
        fail(step, StepStatus.FAILED_INSUFFICIENT_CONFIG, error.code, error, clock())
    except Exception as error:
        # A fault of ours must not keep the other windows from being filled.
        logger.exception("Step %s failed", step)
        fail(step, StepStatus.FAILED, "", error, clock())


def fail(
    step: ExecutionStep, status: StepStatus, reason: str, error: Exception, now: datetime
) -> None:
    told = isinstance(error, ProviderError | DomainError)
    finish_step(
        step=step,
        status=status,
        reason=reason,
        error_type=type(error).__qualname__,
        error_message=str(error),
        error_traceback="" if told else "".join(traceback.format_exception(error)),
        now=now,
    )


def fetch_window(step: ExecutionStep, clock: Clock) -> None:
    """Fetch the gaps of one window, page by page, and note what came and what the venue lacks.

    Each page is stored before the next is asked for. Done again after a worker was lost, it asks
    for all of it once more, which stores nothing twice.
    """
    series = CandleSeries.objects.filter(pk=step.parameters["series"]).first()
    feed = feed_of(series) if series else None
    if series is None or feed is None:
        raise NoFeed("The series, or its feed, is not there any more.")
    gaps = [
        (datetime.fromisoformat(start), datetime.fromisoformat(end))
        for start, end in step.parameters["gaps"]
    ]
    start, end, step_width = gaps[0][0], gaps[-1][1], width(series.granularity)
    behind = next_stored(series, end)
    since, first, came = start - step_width, None, 0
    for _ in range(MOST_PAGES):
        if not keep_step(step=step, now=clock(), lease=settings.STEP_LEASE):
            raise ToldToStop
        now = clock()
        feed.last_candle_at = since
        # No transaction is open while the venue is asked: it may take long.
        recall = Recall()
        rows = believable_rows(feed, now, recall)
        first = rows[0].timestamp if first is None else first
        came += keep(inside(rows, gaps), now)
        # What is old is still true, so it is stored; but of what is missing it says nothing.
        if stale := old_candles(recall):
            raise ProviderUnreachable(f"Old candles from the cache: {stale}")
        if not since < rows[-1].timestamp < end - step_width:
            break
        since = rows[-1].timestamp
    else:
        raise ProviderRubbish(f"So little at once that {MOST_PAGES} answers did not tell it all.")
    missing = still_missing(series, gaps)
    # Who begins behind what we have ourselves has not been heard on the gap.
    heard = first is not None and (behind is None or first <= behind)
    result = {
        "came": came,
        "none_either" if heard else "out_of_reach": [
            [each.isoformat() for each in span] for span in missing
        ],
    }
    finish_step(step=step, status=StepStatus.SUCCESS, now=clock(), result_data=result)


def inside(rows: Sequence[CandleRow], gaps: Sequence[Span]) -> list[CandleRow]:
    """Return the candles that lie in gaps: what is stored already is left as it is."""
    return [row for row in rows if any(start <= row.timestamp < end for start, end in gaps)]


def keep(rows: Sequence[CandleRow], now: datetime) -> int:
    """Store candles; return how many are new."""
    if not rows:
        return 0
    outcome = store_candles(rows, now=now)
    if outcome.failed:
        raise ProviderRubbish(f"Refused by the store: {outcome.results[0].errors[0].message}")
    return outcome.created


def next_stored(series: CandleSeries, moment: datetime) -> datetime | None:
    """Return the start of the first candle that we have from a moment on."""
    candles = Candle.objects.of_series(series.symbol, series.source, series.granularity)
    found = candles.filter(timestamp__gte=moment).order_by("timestamp")
    return found.values_list("timestamp", flat=True).first()


def still_missing(series: CandleSeries, gaps: Sequence[Span]) -> list[Span]:
    """Return what is left of gaps."""
    step = width(series.granularity)
    candles = Candle.objects.of_series(series.symbol, series.source, series.granularity)
    left = []
    for start, end in gaps:
        known = candles.filter(timestamp__gte=start, timestamp__lt=end).order_by("timestamp")
        for timestamp in [*known.values_list("timestamp", flat=True), end]:
            if timestamp > start:
                left.append((start, timestamp))
            start = timestamp + step
    return left


def check_filled(step: ExecutionStep, clock: Clock) -> None:
    """Look at a series again, and note on the gaps that are left what the venue said of them."""
    pk = step.parameters["series"]
    if not keep_step(step=step, now=clock(), lease=settings.STEP_LEASE):
        raise ToldToStop
    check_one(pk, now=clock(), wait=True)
    fetched = step.execution.steps.filter(
        parameters__kind=FETCH, parameters__series=pk, status=StepStatus.SUCCESS
    )
    results = list(fetched.values_list("result_data", flat=True))
    none_either, out_of_reach = (
        spans_of(results, word) for word in ("none_either", "out_of_reach")
    )
    with transaction.atomic():
        left = missing = noted = 0
        gaps = CandleDefect.objects.open().filter(series=pk, kind=DefectKind.GAP)
        for gap in gaps.order_by("start"):
            left, missing = left + 1, missing + gap.candles
            told = ""
            if covered(gap, none_either):
                told = "The venue has none either"
            elif covered(gap, [*none_either, *out_of_reach]):
                told = "The venue does not reach back so far"
            if told:
                gap.detail = f"{told} (asked {clock().astimezone(UTC):%Y-%m-%d %H:%M} UTC)."
                gap.save(update_fields=["detail"])
                noted += 1
        came = sum(result.get("came", 0) for result in results)
        finish_step(
            step=step,
            status=StepStatus.SUCCESS,
            now=clock(),
            result_data={"came": came, "gaps_left": left, "missing": missing, "noted": noted},
        )


def spans_of(results: Sequence[Mapping[str, Any]], word: str) -> list[Span]:
    """Return the spans that steps noted under a word, in order of time."""
    return sorted(
        (datetime.fromisoformat(start), datetime.fromisoformat(end))
        for result in results
        for start, end in result.get(word, [])
    )


def covered(gap: CandleDefect, spans: Sequence[Span]) -> bool:
    """Say whether spans leave nothing of a gap out."""
    until = gap.start
    for start, end in sorted(spans):
        if start <= until < end:
            until = end
    return until >= gap.end


STEPS: Mapping[str, Callable[[ExecutionStep, Clock], None]] = {
    FETCH: fetch_window,
    CHECK: check_filled,
}
