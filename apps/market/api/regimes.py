"""What programs read and write of the regimes of markets."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.market.api.rows_regimes import (
    CurrentQuery,
    CurrentRegime,
    CurrentRegimes,
    MarketRegimeRow,
)
from apps.market.domain.regimes import NO_CONFIDENCE
from apps.market.models import MarketRegime
from apps.market.models.regimes import OWN_SOURCE
from apps.market.services.regimes import current_regimes, known_from, store_reported
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.openapi import describe
from apps.shared.api.queries import read_query
from apps.shared.api.viewsets import FactViewSet, answer
from apps.shared.fields import plain_text
from apps.shared.ingest import Ingested


class MarketRegimeViewSet(FactViewSet):
    """How markets move, day by day: classified here (source "blotter"), or reported by others.

    Ours are of the UTC day that begins at ``timestamp`` and known when it has ended.
    """

    queryset = MarketRegime.objects.all()
    row = MarketRegimeRow
    key = ["symbol", "source", "timestamp"]
    fields = ["id", *MarketRegimeRow.__struct_fields__, "created_at"]
    filterset_fields = {
        "symbol": ANY_OF,
        "source": ANY_OF,
        "timestamp": RANGE,
        "regime_type": ANY_OF,
        "volatility_regime": ANY_OF,
        "dominant_trend": ANY_OF,
    }
    ordering_fields = ["timestamp"]
    sent_again = "The same row sent again is unchanged; another regime for it is refused."

    def store(self, rows: Sequence[Any]) -> Ingested:
        return store_reported(rows, now=timezone.now())

    @action(detail=False)
    @describe(query=CurrentQuery, answer=CurrentRegimes)
    def current(self, request: Request) -> HttpResponse:
        """Answer the last regime that is known of each market, and since when."""
        asked = read_query(CurrentQuery, request)
        now = timezone.now()
        found = current_regimes(
            now=now,
            symbol=asked.symbol or "",
            source=asked.source,
            after=asked.after or "",
            limit=asked.limit + 1,
        )
        lines = [as_answer(each, now) for each in found[: asked.limit]]
        return answer(CurrentRegimes(lines, lines[-1].symbol if len(found) > len(lines) else None))


def as_answer(regime: MarketRegime, now: datetime) -> CurrentRegime:
    """Return a regime with when it became known and how long ago that is."""
    known_at = known_from(regime.timestamp, regime.source)
    return CurrentRegime(
        symbol=regime.symbol,
        source=regime.source,
        timestamp=regime.timestamp,
        known_at=known_at,
        age_seconds=(now - known_at).total_seconds(),
        regime_type=regime.regime_type,
        volatility_regime=regime.volatility_regime,
        dominant_trend=regime.dominant_trend,
        confidence=None if regime.confidence is None else plain_text(regime.confidence),
        confidence_reason=no_confidence(regime),
        indicators_json=regime.indicators_json,
    )


def no_confidence(regime: MarketRegime) -> str:
    """Return why a regime has no confidence; empty when it has one."""
    if regime.confidence is not None:
        return ""
    return NO_CONFIDENCE if regime.source == OWN_SOURCE else "Its source told none."
