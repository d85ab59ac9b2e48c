"""Candles in the admin: a list that costs the same at ten million rows."""

from django.contrib import admin

from apps.market.admin.imports import CandleImportMixin
from apps.market.models import Candle
from apps.shared.admin import FactAdmin


@admin.register(Candle)
class CandleAdmin(CandleImportMixin, FactAdmin):
    list_display = [
        "symbol", "source", "granularity", "timestamp", "open", "high", "low", "close", "volume",
    ]  # fmt: skip
    list_filter = ["timestamp", "symbol", "source", "granularity"]
    search_fields = ["=symbol"]
    time = "timestamp"
    default_period = "week"
    groups = [
        ("Interval", ["symbol", "source", "granularity", "timestamp", "created_at"]),
        ("Prices", ["open", "high", "low", "close", "volume"]),
    ]
    empty_hint = (
        "They come by POST /api/v1/market/candles/, by a feed, or from a file: "
        "manage.py import_candles FILE --symbol … --source … --granularity …"
    )
