"""Instruments in the admin: the chart, and how their candles stand."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.market.admin import shown
from apps.market.admin.charts import SeriesView, series_table
from apps.market.admin.feature_charts import FeatureView, series_of
from apps.market.admin.features import NOT_COMPUTED, TOO_SHORT
from apps.market.admin.health import coverage_of
from apps.market.admin.imports import InstrumentImportMixin
from apps.market.admin.regime_strip import regime_strip
from apps.market.choices import COLORS, AssetClass
from apps.market.models import Candle, CandleSeries, FeatureSeries, Feed, Instrument
from apps.market.services.health import recheck_changed, rules_of
from apps.shared import display
from apps.shared.admin import EntityAdmin
from apps.shared.admin.periods import parse_utc

MAY_SEE_FEATURES = "market.view_featurevector"
MAY_SEE_REGIMES = "market.view_marketregime"


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
    empty_reasons = {
        "primary_source": "None named: the freshest source answers.",
        "timezone": "None named: that of its class, New York for equities, else UTC.",
    }
    page_template = "admin/market/instrument.html"
    groups = [
        ("Instrument", ["symbol", "company_name", "asset_class", "exchange", "quote_currency",
                        "price_precision", "size_precision", "primary_source", "timezone",
                        "active"]),
        ("Company", ["sector", "industry", "market_cap", "country", "currency", "source",
                     "created_at", "updated_at"]),
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["symbol", "company_name", "asset_class", "active"]}),
        ("Trading", {"fields": ["exchange", ("quote_currency", "currency"),
                                ("price_precision", "size_precision"), "primary_source",
                                "timezone"]}),
        ("Company", {"fields": [("sector", "industry"), ("market_cap", "country"), "source"]}),
    ]  # fmt: skip

    def save_model(self, request: HttpRequest, obj: Instrument, form: Any, change: bool) -> None:
        before = rules_of([obj.symbol])
        super().save_model(request, obj, form, change)
        recheck_changed(before)

    def page_badges(self, obj: Instrument) -> list[SafeString]:
        kind = display.badge(obj.get_asset_class_display(), COLORS[AssetClass(obj.asset_class)])
        return [kind] if obj.active else [kind, display.badge("Inactive", "warning")]

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
        return {
            "view": view,
            "series": with_health(obj, series_table(obj, stored, fetched, now=now)),
            "strip": regime_strip(obj.symbol, now)
            if request.user.has_perm(MAY_SEE_REGIMES)
            else None,
            "features": feature_lines(obj) if request.user.has_perm(MAY_SEE_FEATURES) else [],
        }

    # --- its features, in a tab of their own ------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view(self.features_view), self.url_name("features")
        return [path("<path:object_id>/features/", view, name=name), *super().get_urls()]

    def page_tabs(
        self, request: HttpRequest, obj: Instrument, *, active: str
    ) -> list[dict[str, Any]]:
        tabs = super().page_tabs(request, obj, active=active)
        if request.user.has_perm(MAY_SEE_FEATURES):
            url = reverse(f"admin:{self.url_name('features')}", args=[quote(obj.pk)])
            tabs.insert(1, {"title": "Features", "url": url, "active": active == "features"})
        return tabs

    def features_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the features of an instrument: chosen ones in a chart, the newest of all."""
        obj = self.get_object(request, unquote(object_id)) if "\0" not in object_id else None
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not (self.has_view_permission(request, obj) and request.user.has_perm(MAY_SEE_FEATURES)):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": display.visible(self.page_title(obj)),
            "opts": self.opts,
            "original": obj,
            "obj": obj,
            "media": self.media,
            "page_template": "admin/market/features.html",
            "page_title": self.page_title(obj),
            "page_badges": self.page_badges(obj),
            "tabs": self.page_tabs(request, obj, active="features"),
            "has_add_permission": False,
            "view": FeatureView.of(obj, request.GET),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/shared/page.html", context)


def with_health(obj: Instrument, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of the series with how sound each is, and where that is told."""
    known = {
        (row.source, row.granularity): row for row in CandleSeries.objects.filter(symbol=obj.symbol)
    }
    for line in lines:
        row = known.get((line["source"], line["granularity"]))
        line["health_url"] = shown.address(CandleSeries, "change", row.pk) if row else ""
        line["known"] = coverage_of(row) if row else None
        # Who has looked knows when a market is closed: what is not there then is not missing.
        line["checked"] = row if row and row.checked_at and row.missing is not None else None
    return lines


def feature_lines(obj: Instrument) -> list[dict[str, Any]]:
    """Return where the features of an instrument stand, and where they are shown."""
    page = reverse("admin:market_instrument_features", args=[quote(obj.pk)])
    return [
        {
            "key": row.pk,
            "source": row.source,
            "granularity": row.granularity,
            "version": row.feature_version_id,
            "url": f"{page}?{urlencode(feature_query(row))}",
            "rows": row.rows,
            "last": shown.ended(row.last_timestamp, row.granularity, NOT_COMPUTED),
            "rsi": shown.feature(row.latest_rsi, TOO_SHORT),
            "average": shown.feature(row.latest_ma, TOO_SHORT),
            "known": shown.coverage(shown.share_of(row.rsi_rows, row.rows)),
        }
        for row in series_of(obj.symbol)
    ]


def feature_query(row: FeatureSeries) -> dict[str, str]:
    return {
        "source": row.source,
        "granularity": row.granularity,
        "version": row.feature_version_id,
    }


def asked_time(request: HttpRequest) -> datetime | None:
    """Return the moment in ``until``, ``None`` when there is none or it is nonsense."""
    return parse_utc(request.GET.get("until", ""))
