"""What programs send and read of strategies, analyses and their figures."""

import base64
import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from django.http import Http404, HttpResponse
from django.http.response import FileResponse, HttpResponseBase
from django.utils import timezone
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.analysis.api.rows_analyses import (
    AnalysisRow,
    LeverageRow,
    MetricRow,
    RankingQuery,
    StrategyRow,
    TradesQuery,
)
from apps.analysis.domain.trades import TradeRecord
from apps.analysis.models import (
    Analysis,
    BacktestMetric,
    LeverageCalculation,
    StrategyConfiguration,
)
from apps.analysis.services import analyses, figures, strategies, trade_files
from apps.analysis.services.rankings import ranking
from apps.shared.api import batches, filters, listing, structs
from apps.shared.api.answers import check_one, json_response
from apps.shared.api.filters import ANY_OF, EXACT, RANGE
from apps.shared.api.negotiation import OnlyJson
from apps.shared.api.openapi import describe
from apps.shared.api.queries import read_query
from apps.shared.api.viewsets import BULK_BODY_BYTES, EntityViewSet, FactViewSet, answer
from apps.shared.api.writing import in_transaction
from apps.shared.fields import plain_text
from apps.shared.ingest import Ingested

PARQUET = "application/vnd.apache.parquet"

ANALYSIS_FIELDS = [
    "id",
    "execution_id",
    "symbol",
    "timeframe",
    "config",
    "strategy_configuration_id",
    "status",
    "generated_at",
    "total_trades",
    "win_rate",
    "total_return",
    "sharpe_ratio",
    "max_drawdown",
    "avg_leverage",
    "origin",
    "ranking",
    "source",
    "period_start",
    "period_end",
    "parameters",
    "reported",
    "chart_path",
    "compressed_path",
    "trades_checksum",
    "trades_bytes",
    "error_message",
    "created_at",
    "updated_at",
]


class StrategyConfigurationViewSet(EntityViewSet):
    """Strategies with which symbols are tried out; each change of parameters is a version."""

    queryset = StrategyConfiguration.objects.all()
    row = StrategyRow
    key = strategies.KEY
    fields = [
        "id",
        *StrategyRow.__struct_fields__,
        "is_default",
        "created_by",
        "version",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "name": ANY_OF,
        "base_strategy": ANY_OF,
        "timeframe": ANY_OF,
        "is_active": EXACT,
        "is_default": EXACT,
    }
    ordering_fields = ["created_at"]

    def store(self, rows: Sequence[Any]) -> Ingested:
        return strategies.store_strategies(rows, by=self.sender())

    def replace(self, rows: Sequence[Any]) -> Ingested:
        return strategies.replace_strategies(rows, by=self.sender())

    def sender(self) -> str:
        """Return the name of the key, or of the person."""
        return str(self.request.user)[:150]


class AnalysisViewSet(EntityViewSet):
    """Strategies tried out on symbols: figures computed from their trades, or as reported.

    ``origin`` says whose the figures are. What was reported is never lost: it stands under
    ``reported``, and beside each metric of ours.
    """

    queryset = Analysis.objects.all()
    row = AnalysisRow
    key = ["execution_id", "symbol", "timeframe", "config"]
    body_bytes = BULK_BODY_BYTES
    fields = ANALYSIS_FIELDS
    filterset_fields = {
        "execution_id": ANY_OF,
        "symbol": ANY_OF,
        "timeframe": ANY_OF,
        "config": ANY_OF,
        "strategy_configuration_id": ANY_OF,
        "status": ANY_OF,
        "origin": ANY_OF,
        "generated_at": RANGE,
        "sharpe_ratio": RANGE,
        "win_rate": RANGE,
        "max_drawdown": RANGE,
        "total_return": RANGE,
        "total_trades": RANGE,
    }
    ordering_fields = ["generated_at"]
    sent_again = (
        "The same analysis sent again is unchanged; its trades are compared by what they hold."
    )

    def store(self, rows: Sequence[Any]) -> Ingested:
        return analyses.store_analyses(rows, now=timezone.now())

    def replace(self, rows: Sequence[Any]) -> Ingested:
        return analyses.replace_analyses(rows, now=timezone.now())

    def partial_update(self, request: Request, **kwargs: str) -> HttpResponse:
        """Change the fields that are sent; the others, the trades too, stay as they are."""
        filters.check_known(request._request.GET, [])
        changes = structs.read_fields(AnalysisRow, self.read_sent(request), partial=True)
        if isinstance(changes, list):
            raise batches.invalid(changes)

        def change() -> Ingested:
            held = self.found().select_for_update(of=("self",)).first()
            if held is None:
                raise Http404
            return self.replace([AnalysisRow(**analyses.as_changed(held, changes))])

        check_one(in_transaction(change, all_or_none=True))
        return self.stored(self.found())

    @extend_schema(
        responses={
            (200, PARQUET): OpenApiTypes.BINARY,
            (200, "application/json"): OpenApiTypes.OBJECT,
        }
    )
    @action(detail=True)
    @describe(query=TradesQuery)
    def trades(self, request: Request, **kwargs: str) -> HttpResponseBase:
        """Answer the trades: the file itself, or some of them as JSON.

        The file is Parquet with exact prices and times in UTC. ``ETag`` and ``Repr-Digest`` carry
        its SHA-256, which is checked against what was written before the first byte is sent.
        """
        asked = read_query(TradesQuery, request)
        analysis = self.found().first()
        if analysis is None:
            raise Http404
        if asked.format == "json":
            count, shown = trade_files.page_of_trades(
                analysis, offset=asked.offset, limit=asked.limit
            )
            return answer({"count": count, "results": [shown_trade(each) for each in shown]})
        return trades_file(request, analysis)


def trades_file(request: Request, analysis: Analysis) -> HttpResponseBase:
    """Answer the file of an analysis, or 304 to whoever has it already."""
    file = trade_files.open_file(analysis)
    checksum = analysis.trades_checksum or trade_files.checksum(file)
    tag = f'"{checksum}"'
    unchanged = get_conditional_response(request._request, etag=tag)
    if unchanged is not None:
        file.close()
        return unchanged
    response = FileResponse(
        file, as_attachment=True, filename=f"trades-{analysis.pk}.parquet", content_type=PARQUET
    )
    digest = base64.b64encode(bytes.fromhex(checksum)).decode()
    response["ETag"] = tag
    response["Repr-Digest"] = f"sha-256=:{digest}:"
    # What clients read that are older than RFC 9530.
    response["Digest"] = f"sha-256={digest}"
    return response


def shown_trade(trade: TradeRecord) -> dict[str, Any]:
    """Return a trade as plain values: decimals in plain notation, its direction as a word."""
    shown: dict[str, Any] = {}
    for each in dataclasses.fields(trade):
        value = getattr(trade, each.name)
        shown[each.name] = plain_text(value) if isinstance(value, Decimal) else value
    return shown | {"direction": "long" if trade.direction > 0 else "short"}


class MetricViewSet(FactViewSet):
    """Figures of analyses: ours with definition and sample, beside what was reported."""

    queryset = BacktestMetric.objects.all()
    row = MetricRow
    key = ["analysis_id", "metric_name"]
    fields = [
        "id",
        "analysis_id",
        "metric_name",
        "metric_value",
        "definition",
        "n",
        "reason",
        "reported_value",
        "created_at",
    ]
    filterset_fields = {"analysis_id": ANY_OF, "metric_name": ANY_OF, "metric_value": RANGE}
    ordering_fields = ["created_at"]

    def store(self, rows: Sequence[Any]) -> Ingested:
        return figures.store_metrics(rows)


class LeverageCalculationViewSet(FactViewSet):
    """How the leverage of each trade came about: every constraint, and which one ruled."""

    queryset = LeverageCalculation.objects.all()
    row = LeverageRow
    key = ["analysis_id", "trade_number"]
    fields = ["id", "analysis_id", *figures.LEVERAGE_COLUMNS, "created_at"]
    filterset_fields = {
        "analysis_id": ANY_OF,
        "binding_constraint": ANY_OF,
        "bounded_by": ANY_OF,
        "calculation_timestamp": RANGE,
        "final_leverage": RANGE,
    }
    ordering_fields = ["calculation_timestamp"]

    def store(self, rows: Sequence[Any]) -> Ingested:
        return figures.store_leverage_rows(rows)


class RankingView(APIView):
    """The best analyses."""

    queryset = Analysis.objects.all()
    content_negotiation_class = OnlyJson
    metadata_class = None

    @describe(query=RankingQuery)
    def get(self, request: Request) -> HttpResponse:
        """Rank completed analyses by Sharpe, those without one last."""
        asked = read_query(RankingQuery, request)
        rows = listing.rows_as_json(ranking(**msgspec.structs.asdict(asked)), ANALYSIS_FIELDS)
        results = ",".join(text for text, _, _ in rows)
        return json_response(f'{{"results":[{results}]}}'.encode())
