"""Figures of analyses row by row: metrics, ours beside what was reported, and leverage."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from django.db import connection, transaction

from apps.analysis.domain.leverage import FORMULA, Breakdown
from apps.analysis.models import Analysis, BacktestMetric, LeverageCalculation
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowStatus, ingest
from apps.shared.quant.performance import Metric

# The columns of a leverage calculation that a program may name.
LEVERAGE_COLUMNS: Final = tuple(
    each.name
    for each in LeverageCalculation._meta.concrete_fields
    if each.name not in ("id", "created_at", "analysis")
)
OURS: Final = ("metric_value", "definition", "n", "reason")

REPORT = """
    INSERT INTO backtest_summary AS held (analysis_id, metric_name, reported_value)
    SELECT * FROM unnest(%s::bigint[], %s::text[], %s::float8[]) AS sent (analysis, name, value)
    ORDER BY analysis, name
    ON CONFLICT (analysis_id, metric_name) DO UPDATE SET reported_value = excluded.reported_value
"""
REPORT_ONCE = f"""{REPORT}
    WHERE held.reported_value IS NULL
    RETURNING analysis_id, metric_name
"""


class MetricRow(Protocol):
    """A figure as a program reports it."""

    analysis_id: int
    metric_name: str
    reported_value: float


class LeverageRow(Protocol):
    """The leverage of one trade as a program reports it: besides this, ``LEVERAGE_COLUMNS``."""

    analysis_id: int
    trade_number: int


# --- Metrics ------------------------------------------------------------------------------


@transaction.atomic
def store_metrics(rows: Sequence[MetricRow]) -> Ingested:
    """Set what was reported of metrics, beside our own values, and say what became of each row.

    Once reported, a value stays: the same again is *unchanged*, another one *failed*.
    """
    outcome = Ingested()
    known = known_analyses(row.analysis_id for row in rows)
    first: dict[tuple[int, str], int] = {}
    for place, row in enumerate(rows):
        if row.analysis_id not in known:
            outcome.fail(place, [unknown_analysis(row.analysis_id)])
            continue
        key = row.analysis_id, row.metric_name
        earlier = first.setdefault(key, place)
        if earlier == place:
            continue
        if rows[earlier].reported_value == row.reported_value:
            outcome.note(place, RowStatus.UNCHANGED)
        else:
            message = f"Differs from row {earlier} of the same batch."
            outcome.fail(place, [FieldError("/reported_value", "differs", message)])
    sent = {key: rows[place].reported_value for key, place in first.items()}
    written = report_once(sent)
    held = reported_values(key for key in sent if key not in written)
    for key, place in first.items():
        if key in written:
            outcome.count(RowStatus.CREATED, 1)
        elif held.get(key) == sent[key]:
            outcome.note(place, RowStatus.UNCHANGED)
        else:
            message = "Differs from the stored value."
            outcome.fail(place, [FieldError("/reported_value", "differs", message)])
    outcome.sort()
    return outcome


def report_once(sent: Mapping[tuple[int, str], float]) -> set[tuple[int, str]]:
    """Write the values where none was reported yet; return their keys."""
    if not sent:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(REPORT_ONCE, columns_of(sent))
        return set(cursor.fetchall())


def columns_of(sent: Mapping[tuple[int, str], float]) -> list[list[object]]:
    return [
        [analysis for analysis, _ in sent],
        [name for _, name in sent],
        [float(value) for value in sent.values()],
    ]


def reported_values(keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], float | None]:
    wanted = set(keys)
    found = BacktestMetric.objects.filter(
        analysis_id__in={analysis for analysis, _ in wanted},
        metric_name__in={name for _, name in wanted},
    )
    return {(each.analysis_id, each.metric_name): each.reported_value for each in found}


def report(figures: Mapping[int, Mapping[str, float]]) -> None:
    """Set what analyses (by id) report of themselves; what they reported before is theirs."""
    sent = {
        (analysis, name): value
        for analysis, named in figures.items()
        for name, value in named.items()
    }
    if sent:
        with connection.cursor() as cursor:
            cursor.execute(REPORT, columns_of(sent))


def unreport(analysis: Analysis, names: Iterable[str]) -> None:
    """Take back what an analysis no longer reports."""
    metrics = BacktestMetric.objects.filter(analysis=analysis, metric_name__in=list(names))
    metrics.filter(definition="").delete()
    metrics.update(reported_value=None)


def store_computed(analysis: Analysis, metrics: Sequence[Metric]) -> None:
    """Put our metrics in the place of our earlier ones; what was reported stays beside them."""
    kept = [each.name for each in metrics]
    gone = analysis.metrics.exclude(definition="").exclude(metric_name__in=kept)
    gone.filter(reported_value=None).delete()
    gone.update(metric_value=None, definition="", n=None, reason="")
    BacktestMetric.objects.bulk_create(
        [
            BacktestMetric(
                analysis=analysis,
                metric_name=each.name,
                metric_value=each.value,
                definition=each.definition,
                n=each.n,
                reason=each.reason,
            )
            for each in sorted(metrics)
        ],
        update_conflicts=True,
        unique_fields=["analysis", "metric_name"],
        update_fields=OURS,
    )


# --- Leverage -----------------------------------------------------------------------------


@transaction.atomic
def store_leverage_rows(rows: Sequence[LeverageRow]) -> Ingested:
    """Store how the leverage of trades came about, and say what became of each row.

    The same row again is *unchanged*, another one under its key *failed*. What was computed here
    takes no rows from outside.
    """
    outcome = Ingested()
    known = known_analyses(row.analysis_id for row in rows)
    ours = set(
        Analysis.objects.filter(pk__in=known, strategy_configuration__isnull=False)
        .values_list("pk", flat=True)
    )  # fmt: skip
    places = []
    for place, row in enumerate(rows):
        if row.analysis_id not in known:
            outcome.fail(place, [unknown_analysis(row.analysis_id)])
        elif row.analysis_id in ours:
            message = f"The leverage of analysis {row.analysis_id} is computed here."
            outcome.fail(place, [FieldError("/analysis_id", "computed_here", message)])
        else:
            places.append(place)
    stored = ingest_leverage([(rows[place].analysis_id, rows[place]) for place in places])
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def ingest_leverage(rows: Sequence[tuple[int, object]]) -> Ingested:
    """Store rows (each with the id of its analysis); those that differ are refused."""
    return ingest(
        LeverageCalculation,
        [(analysis, *(getattr(row, name) for name in LEVERAGE_COLUMNS)) for analysis, row in rows],
        columns=["analysis_id", *LEVERAGE_COLUMNS],
        key=["analysis_id", "trade_number"],
        on_conflict="refuse",
    )


@transaction.atomic
def store_leverage(
    *, analysis: Analysis, breakdowns: Sequence[tuple[int, datetime, Breakdown]]
) -> None:
    """Put the breakdowns (trade number, moment of entry, sum) in the place of earlier ones."""
    analysis.leverage_calculations.all().delete()
    LeverageCalculation.objects.bulk_create(
        [calculation(analysis, *each) for each in breakdowns], batch_size=1_000
    )


def calculation(
    analysis: Analysis, number: int, moment: datetime, breakdown: Breakdown
) -> LeverageCalculation:
    columns = breakdown.as_columns()
    del columns["binding"]
    return LeverageCalculation(
        analysis=analysis,
        trade_number=number,
        calculation_timestamp=moment,
        formula=FORMULA,
        binding_constraint=breakdown.binding,
        **columns | {"reasons": dict(breakdown.reasons)},
    )


# --- Analyses -----------------------------------------------------------------------------


def known_analyses(ids: Iterable[int]) -> set[int]:
    return set(Analysis.objects.filter(pk__in=set(ids)).values_list("pk", flat=True))


def unknown_analysis(number: int) -> FieldError:
    return FieldError("/analysis_id", "unknown_analysis", f"There is no analysis {number}.")
