"""Instruments in the admin: the chart, and how their candles stand."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.market.admin.charts import SeriesView, series_table
from apps.market.admin.imports import InstrumentImportMixin
from apps.market.choices import COLORS, AssetClass
from apps.market.models import Candle, Feed, Instrument
from apps.shared import display
from apps.shared.admin import EntityAdmin
from apps.shared.admin.periods import parse_utc


@admin.register(Instrument)
class InstrumentAdmin(InstrumentImportMixin, EntityAdmin):
    list_display = [
        "symbol", "company_name", "asset_class", "exchange", "quote_currency", "primary_source",
        "active", "updated_at",
    ]  # fmt: skip
    list_filter = ["asset_class", "active", "exchange", "sector"]
    search_fields = ["symbol", "company_name"]
    colors = COLORS
    empty_hint = "An instrument is made by itself when its first candles arrive, or by hand."
    empty_reasons = {"primary_source": "None named: the freshest source answers."}
    page_template = "admin/market/instrument.html"
    groups = [
        ("Instrument", ["symbol", "company_name", "asset_class", "exchange", "quote_currency",
                        "price_precision", "size_precision", "primary_source", "active"]),
        ("Company", ["sector", "industry", "market_cap", "country", "currency", "source",
                     "created_at", "updated_at"]),
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["symbol", "company_name", "asset_class", "active"]}),
        ("Trading", {"fields": ["exchange", ("quote_currency", "currency"),
                                ("price_precision", "size_precision"), "primary_source"]}),
        ("Company", {"fields": [("sector", "industry"), ("market_cap", "country"), "source"]}),
    ]  # fmt: skip

    def page_badges(self, obj: Instrument) -> list[SafeString]:
        shown = display.badge(obj.get_asset_class_display(), COLORS[AssetClass(obj.asset_class)])
        return [shown] if obj.active else [shown, display.badge("Inactive", "warning")]

    def page_context(self, request: HttpRequest, obj: Instrument) -> dict[str, Any]:
        now = timezone.now()
        stored = Candle.objects.series(obj.symbol)
        fetched = set(
            Feed.objects.filter(symbol=obj.symbol, enabled=True).values_list(
                "source", "granularity"
            )
        )
        view = SeriesView.chosen(
            obj,
            stored,
            source=request.GET.get("source", ""),
            granularity=request.GET.get("granularity", ""),
            until=asked_time(request),
        )
        return {"view": view, "series": series_table(obj, stored, fetched, now=now)}


def asked_time(request: HttpRequest) -> datetime | None:
    """Return the moment in ``until``, ``None`` when there is none or it is nonsense."""
    return parse_utc(request.GET.get("until", ""))
