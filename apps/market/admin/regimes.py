"""The regimes of markets in the admin: day by day, and each among its ninety days."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.market.admin.regime_strip import regime_strip
from apps.market.choices import COLORS, RegimeType
from apps.market.domain.regimes import NO_CONFIDENCE
from apps.market.models import MarketRegime
from apps.market.services.regimes import known_from
from apps.shared import display
from apps.shared.admin import FactAdmin


@admin.register(MarketRegime)
class MarketRegimeAdmin(FactAdmin):
    list_display = [
        "symbol", "source", "timestamp", "regime_type", "volatility_regime", "dominant_trend",
        "confidence",
    ]  # fmt: skip
    list_filter = [
        "timestamp", "symbol", "source", "regime_type", "volatility_regime", "dominant_trend",
    ]  # fmt: skip
    search_fields = ["=symbol"]
    time = "timestamp"
    default_period = "week"
    colors = COLORS
    shows = {"confidence": display.share}
    empty_reasons = {"confidence": f"Ours: {NO_CONFIDENCE} Others: their source told none."}
    page_template = "admin/market/regime.html"
    groups = [
        ("Day", ["symbol", "source", "timestamp", "known"]),
        ("Regime", ["regime_type", "volatility_regime", "dominant_trend", "confidence"]),
        ("From", ["indicators_json", "created_at"]),
    ]
    empty_hint = (
        "Days are classified hourly from stored candles, once they have ended. "
        "Others report theirs by POST /api/v1/market/regimes/."
    )

    @admin.display(description="Known since")
    def known(self, obj: MarketRegime) -> SafeString:
        return display.moment(known_from(obj.timestamp, obj.source))

    def page_badges(self, obj: MarketRegime) -> list[SafeString]:
        return [display.badge(obj.regime_type, COLORS[RegimeType(obj.regime_type)])]

    def page_context(self, request: HttpRequest, obj: MarketRegime) -> dict[str, Any]:
        known = known_from(obj.timestamp, obj.source)
        return {"strip": regime_strip(obj.symbol, known, source=obj.source)}
