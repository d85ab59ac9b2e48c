"""Analyses in the order of how well they did."""

from django.db import connection
from django.db.models import F, QuerySet

from apps.analysis.choices import AnalysisStatus
from apps.analysis.models import Analysis

MOST_RANKED = 1_000

RANK = """
    WITH placed AS (
        SELECT id, CASE WHEN counts THEN rank END AS rank FROM (
            SELECT id, counts, row_number() OVER (
                PARTITION BY counts
                ORDER BY sharpe_ratio DESC NULLS LAST, total_return DESC NULLS LAST, id
            ) AS rank
            FROM (
                SELECT *, status = %(completed)s AND coalesce(total_trades, 0) > 0 AS counts
                FROM analyses WHERE execution_id = %(execution)s
            ) AS of_run
        ) AS ranked
    ), changed AS (
        UPDATE analyses SET ranking = placed.rank, updated_at = statement_timestamp()
        FROM placed
        WHERE placed.id = analyses.id AND analyses.ranking IS DISTINCT FROM placed.rank
    )
    SELECT count(rank) FROM placed
"""


def rank_run(*, execution_id: str) -> int:
    """Number the analyses of a run from 1, the best first; return how many have a place.

    By Sharpe, those without one last, then by total return, then the older first. Only what was
    completed and made trades has a place. Again changes nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(RANK, {"execution": execution_id, "completed": AnalysisStatus.COMPLETED})
        [(ranked,)] = cursor.fetchall()
    return int(ranked)


def ranking(
    *,
    symbol: str | None = None,
    timeframe: str | None = None,
    config: str | None = None,
    execution_id: str | None = None,
    sharpe_min: float | None = None,
    win_rate_min: float | None = None,
    max_drawdown_min: float | None = None,
    total_trades_min: int | None = None,
    limit: int = 100,
) -> QuerySet[Analysis]:
    """Return completed analyses, the highest Sharpe first, those without one last.

    A drawdown is 0 or below it: ``max_drawdown_min=-0.2`` asks for falls of at most 20 %. What
    has no such figure does not reach its bound. None asks for nothing.
    """
    wanted = {
        "symbol": symbol,
        "timeframe": timeframe,
        "config": config,
        "execution_id": execution_id,
        "sharpe_ratio__gte": sharpe_min,
        "win_rate__gte": win_rate_min,
        "max_drawdown__gte": max_drawdown_min,
        "total_trades__gte": total_trades_min,
    }
    asked = {name: value for name, value in wanted.items() if value is not None}
    completed = Analysis.objects.filter(status=AnalysisStatus.COMPLETED, **asked)
    ordered = completed.order_by(F("sharpe_ratio").desc(nulls_last=True), "-id")
    return ordered[: min(limit, MOST_RANKED)]
