"""The first step of a symbol's addition: its candles, fetched and found to be enough."""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction

from apps.analysis.choices import AnalysisStatus
from apps.analysis.domain.symbols import FailReason, SymbolRefused
from apps.analysis.models import Analysis
from apps.analysis.services.symbol_additions import (
    BACKTEST,
    checked_history,
    feed_of,
    stored_series,
    window_of,
)
from apps.analysis.services.symbol_outcomes import (
    Clock,
    Released,
    StepFailed,
    ToldToStop,
    finish,
)
from apps.executions.choices import StepStatus
from apps.executions.models import ExecutionStep
from apps.executions.services.work import (
    keep_step,
    release_step,
)
from apps.market.domain.candles import Series, width
from apps.market.models import Candle
from apps.market.providers.base import ProviderError, ProviderUnreachable
from apps.market.services.candles import make_instruments
from apps.market.services.history import fetch_history

FETCH_FOR: Final = timedelta(seconds=30)


def fetch_data(step: ExecutionStep, clock: Clock) -> None:
    """Fetch what is missing, see that it is enough, and lay out the analyses to come."""
    run, request = step.execution, step.execution.metadata["request"]
    fetched = fetch_missing(step, clock) if request["provider"] else 0
    feed = feed_of(request, run.metadata["fetch_granularity"]) if request["provider"] else None
    series = stored_series(
        run.symbol,
        feed.source if feed else request["source"],
        feed.granularity if feed else request["granularity"],
    )
    if series is None:
        message = f"No candles of {run.symbol} are stored."
        raise SymbolRefused(FailReason.SYMBOL_NOT_FOUND, message)
    history = checked_history(run.symbol, series, request["days"])
    start, end = window_of(series, request["days"])
    with transaction.atomic():
        make_instruments({run.symbol})
        lay_out_analyses(step, series, start, end, clock())
        finish(
            step,
            clock(),
            {
                "symbol": run.symbol,
                "source": series.source,
                "granularity": series.granularity,
                "date_range": {"start": start.isoformat(), "end": end.isoformat()},
                "records_fetched": fetched,
                "days": str(history.days),
                "completeness": str(history.completeness),
            },
        )


def fetch_missing(step: ExecutionStep, clock: Clock) -> int:
    """Fetch the candles that the provider has and we have not; return how many came.

    Goes on behind the last candle stored. Takes a pause, as the others want their turn too: the
    step then waits for its next one.
    """
    run, request = step.execution, step.execution.metadata["request"]
    began = clock()
    feed = feed_of(request, run.metadata["fetch_granularity"])
    start = began - timedelta(days=request["days"])
    candles = Candle.objects.of_series(feed.symbol, feed.source, feed.granularity)
    last = (
        candles.filter(timestamp__gte=start)
        .order_by("-timestamp")
        .values_list("timestamp", flat=True)
        .first()
    )
    first = (
        candles.order_by("timestamp").values_list("timestamp", flat=True).first() if last else None
    )
    # Stored candles that begin too late are of no use for what lies before them.
    behind = last if first is not None and first <= start + width(feed.granularity) else None

    paused = False

    def go_on(so_far: int) -> bool:
        nonlocal paused
        if not keep_step(step=step, now=clock(), lease=settings.STEP_LEASE):
            raise ToldToStop
        paused = clock() - began > FETCH_FOR
        return not paused

    try:
        fetched = fetch_history(feed=feed, start=behind or start, clock=clock, go_on=go_on)
    except ProviderUnreachable as error:
        raise StepFailed(
            StepStatus.FAILED, FailReason.API_CONNECTION_FAILED.value, str(error)
        ) from error
    except ProviderError as error:
        raise StepFailed(
            StepStatus.FAILED_INSUFFICIENT_DATA,
            FailReason.INSUFFICIENT_DATA_QUALITY.value,
            str(error),
        ) from error
    if paused:
        release_step(step=step, now=clock())
        raise Released
    return fetched


def lay_out_analyses(
    step: ExecutionStep, series: Series, start: datetime, end: datetime, now: datetime
) -> None:
    """Make the analyses that the run will fill, so that what is to come can be seen."""
    tried = [
        each.parameters
        for each in step.execution.steps.all()
        if each.parameters["kind"] == BACKTEST
    ]
    Analysis.objects.bulk_create(
        [
            Analysis(
                execution_id=step.execution_id,
                symbol=step.execution.symbol,
                timeframe=each["timeframe"],
                config=each["label"],
                strategy_configuration_id=each["strategy_configuration"],
                status=AnalysisStatus.PENDING,
                generated_at=now,
                source=series.source,
                period_start=start,
                period_end=end,
            )
            for each in tried
        ],
        ignore_conflicts=True,
    )
