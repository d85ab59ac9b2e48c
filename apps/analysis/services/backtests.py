"""Taking in what backtests outside report, whichever of the three shapes it comes in."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.conf import settings
from django.db import connection, transaction

from apps.analysis.choices import ResultShape
from apps.analysis.domain.result_shapes import (
    FIGURES,
    ReadResult,
    SignalFigures,
    period_of,
    read_result,
)
from apps.analysis.models import BacktestResult, SignalPerformance
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowStatus, ingest

# What others write when they do not know the period.
UNKNOWN_PERIOD = "unknown"
PERIOD_LENGTH, SIGNAL_LENGTH = 50, 100


class ResultRow(Protocol):
    """A backtest result as it arrives: whatever has these values, and ``FIGURES``."""

    @property
    def backtest_id(self) -> str: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def period(self) -> str: ...
    @property
    def results_json(self) -> Mapping[str, Any]: ...
    @property
    def config_json(self) -> Mapping[str, Any]: ...
    @property
    def error_message(self) -> str: ...


class PerformanceRow(Protocol):
    """How a signal fared, as it arrives: whatever has these values."""

    @property
    def backtest_id(self) -> str: ...
    @property
    def signal_name(self) -> str: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def mean_return(self) -> float | None: ...
    @property
    def total_contribution(self) -> float | None: ...
    @property
    def win_rate(self) -> float | None: ...
    @property
    def activation_count(self) -> int | None: ...


class ResultFacts(NamedTuple):
    """A backtest result as it is stored, column by column."""

    backtest_id: str
    timestamp: datetime
    period: str
    composite_score: float | None
    confidence_score: float | None
    sortino_ratio: float | None
    sharpe_ratio: float | None
    max_drawdown: float | None
    total_return: float | None
    win_rate: float | None
    total_trades: int | None
    results_json: Mapping[str, Any]
    config_json: Mapping[str, Any]
    shape: str
    error_message: str
    differing: Mapping[str, float | int]


class PerformanceFacts(NamedTuple):
    """How a signal fared, as it is stored, column by column."""

    backtest_id: str
    signal_name: str
    timestamp: datetime
    mean_return: float | None
    total_contribution: float | None
    win_rate: float | None
    activation_count: int | None


# Columns that follow from what was sent; nobody could send them otherwise.
DERIVED = {"/shape", "/differing"}


@transaction.atomic
def store_backtest_results(rows: Sequence[ResultRow], *, now: datetime) -> Ingested:
    """Store results of backtests with what their JSON says, and how their signals fared.

    A figure that is not named is read out of ``results_json``; one that is named and differs from
    it is kept as named, and the other listed in ``differing``. A failure has no figures but an
    error. A ``backtest_id`` that is stored already is *unchanged* with the same content and
    *failed* with other content.
    """
    outcome = Ingested()
    facts: list[ResultFacts] = []
    places: list[int] = []
    signals: list[list[SignalFigures]] = []
    for index, row in enumerate(rows):
        if errors := in_future(row.timestamp, now):
            outcome.fail(index, errors)
            continue
        found = read_result(row.results_json)
        facts.append(facts_of(row, found))
        places.append(index)
        signals.append(found.signals)
    stored = ingest(
        BacktestResult,
        facts,
        columns=ResultFacts._fields,
        key=["backtest_id"],
        on_conflict="refuse",
    )
    for each in stored.results:
        each.errors = [e for e in each.errors if e.pointer not in DERIVED] or each.errors
    listed = {each.index for each in stored.results if each.status != RowStatus.CREATED}
    store_signals_of(
        (each, signals[index]) for index, each in enumerate(facts) if index not in listed
    )
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def facts_of(row: ResultRow, found: ReadResult) -> ResultFacts:
    named = {name: getattr(row, name) for name in FIGURES}
    figures: dict[str, Any] = {
        name: found.values[name] if value is None else value for name, value in named.items()
    }
    differing: dict[str, Any] = {
        name: found.values[name]
        for name, value in named.items()
        if value is not None and found.values[name] not in (None, value)
    }
    named_period = "" if row.period.lower() == UNKNOWN_PERIOD else row.period
    return ResultFacts(
        backtest_id=row.backtest_id,
        timestamp=row.timestamp,
        period=named_period or period_of(row.config_json)[:PERIOD_LENGTH] or row.period,
        **figures,
        results_json=row.results_json,
        config_json=row.config_json,
        shape=ResultShape(found.shape) if row.results_json else ResultShape.NONE,
        error_message=row.error_message or found.error,
        differing=differing,
    )


def store_signals_of(results: Iterable[tuple[ResultFacts, Sequence[SignalFigures]]]) -> None:
    """Store how the signals of new results fared, at the time of their result."""
    facts = {
        (result.backtest_id, signal.signal_name[:SIGNAL_LENGTH]): PerformanceFacts(
            backtest_id=result.backtest_id,
            signal_name=signal.signal_name[:SIGNAL_LENGTH],
            timestamp=result.timestamp,
            mean_return=signal.mean_return,
            total_contribution=signal.total_contribution,
            win_rate=signal.win_rate,
            activation_count=signal.activation_count,
        )
        for result, found in results
        for signal in found
    }
    ingest_performance(list(facts.values()))


@transaction.atomic
def store_signal_performance(rows: Sequence[PerformanceRow], *, now: datetime) -> Ingested:
    """Store how signals fared in backtests that are stored.

    A row of an unknown backtest is *failed*; one per backtest and signal: the same again is
    *unchanged*, with other figures *failed*.
    """
    known = stored_backtests({row.backtest_id for row in rows})
    outcome = Ingested()
    facts, places = [], []
    for index, row in enumerate(rows):
        errors = in_future(row.timestamp, now)
        if row.backtest_id not in known:
            message = f'There is no backtest "{row.backtest_id}".'
            errors.append(FieldError("/backtest_id", "unknown_backtest", message))
        if errors:
            outcome.fail(index, errors)
            continue
        facts.append(PerformanceFacts(*(getattr(row, name) for name in PerformanceFacts._fields)))
        places.append(index)
    outcome.merge(ingest_performance(facts), places)
    outcome.sort()
    return outcome


def ingest_performance(facts: Sequence[PerformanceFacts]) -> Ingested:
    return ingest(
        SignalPerformance,
        facts,
        columns=PerformanceFacts._fields,
        key=["backtest_id", "signal_name"],
        on_conflict="refuse",
    )


def stored_backtests(names: Iterable[str]) -> set[str]:
    """Return which of the backtests there are; they stay until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT backtest_id FROM backtest_results WHERE backtest_id = ANY(%s)"
            " ORDER BY backtest_id FOR KEY SHARE",
            [list(names)],
        )
        return {name for (name,) in cursor.fetchall()}


def in_future(moment: datetime, now: datetime) -> list[FieldError]:
    if moment <= now + settings.CLOCK_TOLERANCE:
        return []
    return [FieldError("/timestamp", "in_future", "Lies in the future.")]
