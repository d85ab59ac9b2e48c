"""Adding a symbol: is it worth a run, and what is to be done in it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec
import pglock
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q
from django.db.models.functions import TruncDate

from apps.analysis.domain.symbols import (
    FailReason,
    History,
    SymbolRefused,
    check_history,
    check_symbol,
)
from apps.analysis.models import StrategyConfiguration
from apps.executions.models import Execution
from apps.executions.services.work import PlannedStep, plan_run
from apps.market.choices import AssetClass, Granularity, ProviderName
from apps.market.domain.candles import Series, choose_source, width
from apps.market.models import Candle, Feed, Instrument
from apps.market.models.candles import primary_source
from apps.market.providers import connect
from apps.market.providers.base import ProviderNotReady
from apps.shared.errors import Conflict

TYPE: Final = "SYMBOL_ADDITION"
RUNNER: Final = "apps.analysis.tasks.run_symbol_additions"
DATA_FETCH, BACKTEST, RESULT_SAVE = "data_fetch", "backtest", "result_save"
USUAL_DAYS: Final = 365
MOST_DAYS: Final = 3_650
# What a worker can hold in memory without harm: four years of minutes.
MOST_BARS: Final = 2_000_000
# Where markets rest at weekends.
WEEKDAYS_ONLY: Final = (AssetClass.EQUITY, AssetClass.FOREX)


class AlreadyRunning(Conflict):
    """The symbol is being added by a run that has not ended."""

    code = "already_running"


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolAddition:
    """What is asked for: a symbol, where its candles are, and what to try out on it.

    Without ``provider`` the candles must be stored already; without ``source`` they are those of
    the source that is freshest. ``strategy_configurations`` are ids; none means all active
    ones. ``days`` is how much of the past is looked at.
    """

    symbol: str
    execution_id: str = ""
    source: str = ""
    granularity: str = ""
    provider: str = ""
    exchange: str = ""
    venue_symbol: str = ""
    connection: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    strategy_configurations: Sequence[int] = ()
    days: int = USUAL_DAYS
    triggered_by: str = ""


def request_symbol_addition(*, wish: SymbolAddition, now: datetime) -> tuple[Execution, bool]:
    """Plan the run of a symbol's addition; return it, and whether it is new.

    The same wish under the same ``execution_id`` is the same run. Nothing is planned that cannot
    succeed: raises SymbolRefused (422) with its reason where symbol, strategies or the stored
    candles do not allow it, AlreadyRunning (409) while another run adds the symbol, Conflict for
    a name that another wish has taken. A worker does the rest.
    """
    check_symbol(wish.symbol)
    check_days(wish.days)
    # Nobody else may find the symbol free between the look and the plan.
    with transaction.atomic():
        pglock.advisory(f"analysis.symbol_addition:{wish.symbol}", xact=True).acquire()
        known = (
            Execution.objects.filter(pk=wish.execution_id).first() if wish.execution_id else None
        )
        if known is not None:
            return same_wish(known, wish), False
        check_free(wish.symbol)
        chosen = chosen_strategies(wish.strategy_configurations)
        if wish.provider:
            check_provider(wish)
        else:
            check_stored(wish)
        run = plan_run(
            execution_type=TYPE,
            runner=RUNNER,
            steps=planned_steps(chosen),
            symbol=wish.symbol,
            metadata=described(wish, chosen),
            triggered_by=wish.triggered_by,
            execution_id=wish.execution_id,
            now=now,
        )
    return run, True


def check_days(days: int) -> None:
    least = settings.SYMBOL_HISTORY_DAYS
    if not least <= days <= max(MOST_DAYS, least):
        raise SymbolRefused(
            FailReason.CONFIG_VALIDATION_FAILED,
            f"The days to look at must lie between {least} and {max(MOST_DAYS, least)}.",
            "/days",
        )


def check_free(symbol: str) -> None:
    """Raise AlreadyRunning while a run that has not ended adds the symbol."""
    running = Execution.objects.unfinished().filter(execution_type=TYPE, symbol=symbol).first()
    if running is not None:
        raise AlreadyRunning(f"{symbol} is being added already by {running.pk}.")


def same_wish(run: Execution, wish: SymbolAddition) -> Execution:
    asked = run.metadata.get("request") if run.execution_type == TYPE else None
    wanted = request_of(wish)
    if asked != wanted:
        differing = [name for name in wanted if (asked or {}).get(name) != wanted[name]]
        raise Conflict(f"{run.pk} is the name of another run.", differing or ["execution_id"])
    return run


# --- Strategies ---------------------------------------------------------------------------


def chosen_strategies(ids: Sequence[int]) -> list[StrategyConfiguration]:
    """Return the active configurations of these ids, or all active ones."""
    active = StrategyConfiguration.objects.active()
    chosen = list(active.filter(pk__in=ids) if ids else active)
    missing = sorted(set(ids) - {each.pk for each in chosen})
    if missing:
        names = ", ".join(map(str, missing))
        raise SymbolRefused(
            FailReason.CONFIG_VALIDATION_FAILED,
            f"No active strategy configuration has the id {names}.",
            "/strategy_configurations",
        )
    if not chosen:
        raise SymbolRefused(
            FailReason.CONFIG_VALIDATION_FAILED, "No strategy configuration is active."
        )
    return sorted(chosen, key=lambda each: (each.base_strategy, width(each.timeframe), each.name))


def planned_steps(chosen: Iterable[StrategyConfiguration]) -> list[PlannedStep]:
    """Return the steps of a run: fetch, then every strategy for itself, then the ranking.

    Each carries its strategy as it stands now: changed later, it does not change this run.
    """
    named = {each.pk: each for each in chosen}
    names = Counter(each.name for each in named.values())
    tried = [
        PlannedStep(
            f"{BACKTEST} {label}",
            1,
            {
                "kind": BACKTEST,
                "label": label,
                "strategy_configuration": each.pk,
                "base_strategy": each.base_strategy,
                "timeframe": each.timeframe,
                "parameters": each.parameters,
                "leverage_parameters": each.leverage_parameters,
            },
        )
        for each in named.values()
        if (label := each.name if names[each.name] == 1 else str(each))
    ]
    return [
        PlannedStep(DATA_FETCH, 0, {"kind": DATA_FETCH}),
        *tried,
        PlannedStep(RESULT_SAVE, 2, {"kind": RESULT_SAVE}),
    ]


def request_of(wish: SymbolAddition) -> dict[str, Any]:
    """Return the wish as JSON, without who asked and under which name."""
    asked = asdict(wish)
    del asked["execution_id"], asked["triggered_by"]
    # Exact numbers become texts: what is stored is JSON.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(asked))
    return plain | {"strategy_configurations": sorted(wish.strategy_configurations)}


def described(wish: SymbolAddition, chosen: Sequence[StrategyConfiguration]) -> dict[str, Any]:
    return {
        "request": request_of(wish),
        "execution_mode": "selective" if wish.strategy_configurations else "default",
        "selected_strategy_ids": [each.pk for each in chosen],
        "estimated_patterns": len(chosen),
        "required_days": settings.SYMBOL_HISTORY_DAYS,
        "required_completeness_pct": settings.SYMBOL_COMPLETENESS_PCT,
        "fetch_granularity": fetch_granularity(wish, [each.timeframe for each in chosen]),
    }


def fetch_granularity(wish: SymbolAddition, timeframes: Iterable[str]) -> str:
    """Return what a provider is asked for: the wish's own, else the finest that is tried out."""
    return wish.granularity or min(timeframes, key=width)


# --- Candles ------------------------------------------------------------------------------


def feed_of(request: Mapping[str, Any], granularity: str) -> Feed:
    """Return the wish's provider as a feed that is not stored."""
    return Feed(
        provider=request["provider"],
        exchange=request["exchange"],
        symbol=request["symbol"],
        venue_symbol=request["venue_symbol"],
        source=request["source"] or request["exchange"] or request["provider"],
        granularity=granularity,
        connection=request["connection"],
        options=request["options"],
    )


def check_provider(wish: SymbolAddition) -> None:
    """Raise SymbolRefused unless the provider is one that can be asked."""
    if wish.provider not in ProviderName.values:
        known = ", ".join(ProviderName.values)
        raise SymbolRefused(
            FailReason.EXCHANGE_NOT_SUPPORTED,
            f"There is no provider {wish.provider}; known are {known}.",
            "/provider",
        )
    try:
        connect(feed_of(request_of(wish), wish.granularity or Granularity.H1))
    except ProviderNotReady as error:
        raise SymbolRefused(FailReason.CONFIG_VALIDATION_FAILED, str(error), "/provider") from error


def check_stored(wish: SymbolAddition) -> History:
    """Raise SymbolRefused unless enough candles are stored to try anything out on."""
    series = stored_series(wish.symbol, wish.source, wish.granularity)
    if series is None:
        where = f" from {wish.source}" if wish.source else ""
        what = f"{wish.granularity} candles" if wish.granularity else "candles"
        raise SymbolRefused(
            FailReason.SYMBOL_NOT_FOUND,
            f"No {what} of {wish.symbol} are stored{where}, and no provider is named.",
        )
    return checked_history(wish.symbol, series, wish.days)


def stored_series(symbol: str, source: str, granularity: str) -> Series | None:
    """Return the series to try out on: of the source named, else of the freshest, the finest."""
    known = Candle.objects.series(symbol)
    if not source and known:
        newest = max(each.known_until for each in known)
        source = choose_source(Candle.objects.heads(symbol, newest), primary_source(symbol))
    fitting = [
        each for each in known if each.source == source and granularity in ("", each.granularity)
    ]
    return min(fitting, key=lambda each: width(each.granularity), default=None)


def window_of(series: Series, days: int) -> tuple[datetime, datetime]:
    """Return the stretch of a series that is looked at: start, and end (not included)."""
    end = series.last + width(series.granularity)
    return max(series.first, end - timedelta(days=days)), end


def checked_history(symbol: str, series: Series, days: int) -> History:
    """Return how long and how complete the candles are; raise SymbolRefused where not enough."""
    start, end = window_of(series, days)
    step = width(series.granularity)
    candles = Candle.objects.of_series(symbol, series.source, series.granularity)
    inside = candles.filter(timestamp__gte=start, timestamp__lt=end)
    bars = inside.count()
    if bars > MOST_BARS:
        raise SymbolRefused(
            FailReason.INSUFFICIENT_RESOURCES,
            f"{bars:,} candles are more than the {MOST_BARS:,} that are tried out at once: ask "
            "for fewer days, or for coarser candles.",
            "/days",
        )
    return check_history(
        first=start,
        last=series.last,
        bars=bars,
        expected=expected_bars(symbol, inside, start, end, step),
        width=step,
        required_days=settings.SYMBOL_HISTORY_DAYS,
        required_completeness=Decimal(settings.SYMBOL_COMPLETENESS_PCT) / 100,
    )


def expected_bars(
    symbol: str, candles: Any, start: datetime, end: datetime, step: timedelta
) -> int:
    """Return how many candles a series without gaps would have.

    Where the market rests at weekends, that is the usual number of a day on every weekday.
    """
    whole = -((start - end) // step)
    resting = Instrument.objects.filter(symbol=symbol, asset_class__in=WEEKDAYS_ONLY).exists()
    if not resting or step > timedelta(days=1):
        return whole
    weekday = Q(timestamp__iso_week_day__lte=5)
    per_day = sorted(
        candles.filter(weekday)
        .annotate(day=TruncDate("timestamp"))
        .values("day")
        .annotate(bars=Count("pk"))
        .values_list("bars", flat=True)
    )
    days = (end.date() - start.date()).days + 1
    weekdays = sum((start + timedelta(days=each)).weekday() < 5 for each in range(days))
    usual = per_day[len(per_day) // 2] if per_day else 1
    # The first and the last day need not be whole.
    return max((weekdays - 1) * usual, 1)
