"""Features in the admin: vectors, the versions of their definition, where each series stands."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from apps.executions.admin.shown import run_link
from apps.executions.models import Execution
from apps.market.admin import shown
from apps.market.admin.feature_groups import GROUPED, GROUPS
from apps.market.admin.runs import RunStepsMixin, planned_step
from apps.market.choices import COLORS, FeatureOrigin, Granularity
from apps.market.models import FeatureSeries, FeatureVector, FeatureVersion, Instrument
from apps.market.services.features.building import request_build
from apps.shared import display
from apps.shared.admin import DerivedAdmin, EntityAdmin, FactAdmin
from apps.shared.admin.changelist import count_words
from apps.shared.errors import DomainError

TOO_SHORT = "The history before it is too short, or its version does not tell it."
NOT_COMPUTED = "Nothing is computed yet."
LOOKS_AHEAD = (
    "Kept up to date after new candles. It looks ahead, so each new candle has all rows of its "
    "series computed and written anew: that takes long for long histories."
)
# What carries a series from candle to candle: bytes that nobody reads, and not few of them.
CARRIED = ("state", "tail")


# --- One vector ---------------------------------------------------------------------------


@admin.register(FeatureVector)
class FeatureVectorAdmin(FactAdmin):
    list_display = [
        "symbol", "source", "granularity", "feature_version", "timestamp", "close", "returns",
        "realized_vol_short", "rsi_1d", "price_ma_short", "macd", "volume_ratio",
    ]  # fmt: skip
    list_filter = ["timestamp", "symbol", "source", "granularity", "feature_version"]
    search_fields = ["=symbol"]
    time = "timestamp"
    default_period = "week"
    shows = {name: shown.feature for name in GROUPED if name not in ("timestamp", "date")}
    titles = {
        "feature_version": "Version", "realized_vol_short": "Volatility", "rsi_1d": "RSI",
        "price_ma_short": "Average", "macd": "MACD",
    }  # fmt: skip
    empty_reasons = dict.fromkeys(GROUPED, TOO_SHORT)
    groups = [
        ("Of", ["symbol", "source", "granularity", "feature_version", "created_at", "updated_at"]),
        *GROUPS,
    ]
    page_template = "admin/market/feature_vector.html"
    empty_hint = (
        "They are computed after new candles, for the versions that are built, or reported by "
        "POST /api/v1/market/features/."
    )

    def listed(self, queryset: QuerySet) -> QuerySet:
        # Of a hundred columns a list shows a dozen.
        return queryset.only(*self.list_display)

    def page_row(self, name: str, obj: Any) -> dict[str, Any]:
        # A feature is known by the name that programs ask for it by.
        return super().page_row(name, obj) | ({"label": name} if name in GROUPED else {})

    def page_title(self, obj: FeatureVector) -> str:
        return f"{obj.symbol} {obj.granularity}, {obj.timestamp:%Y-%m-%d %H:%M} UTC"

    def page_badges(self, obj: FeatureVector) -> list[SafeString]:
        return [display.badge(f"Version {display.visible(obj.feature_version)}", "info")]

    def page_context(self, request: HttpRequest, obj: FeatureVector) -> dict[str, Any]:
        # The symbol is the hundredth column, and the one that is always known.
        known = 1 + sum(getattr(obj, name) is not None for name in GROUPED)
        instrument = Instrument.objects.filter(symbol=obj.symbol).values_list("pk", flat=True)
        series = FeatureSeries.objects.filter(
            symbol=obj.symbol,
            source=obj.source,
            granularity=obj.granularity,
            feature_version__version=obj.feature_version,
        ).values_list("pk", flat=True)
        return {
            "known": known,
            "of": len(GROUPED) + 1,
            "instrument": instrument.first(),
            "series": series.first(),
        }


# --- Versions of the definition -----------------------------------------------------------


class VersionForm(forms.ModelForm):
    """What staff say of a version: from which candles it is built, and whether it is."""

    granularities = forms.MultipleChoiceField(
        choices=Granularity.choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="From candles of these it is built, for every symbol and source.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "built" in self.fields and not self.instance.is_causal:
            self.fields["built"].help_text = LOOKS_AHEAD

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if found.get("built"):
            if self.instance.origin != FeatureOrigin.COMPUTED:
                self.add_error("built", "It is reported by a pipeline: nothing here computes it.")
            elif not found.get("granularities"):
                self.add_error("granularities", "Name at least one, so that there is something.")
        return found


@admin.register(FeatureVersion)
class FeatureVersionAdmin(EntityAdmin):
    form = VersionForm
    list_display = [
        "version", "origin", "is_causal", "built", "granularities", "series_count", "row_count",
        "updated_at",
    ]  # fmt: skip
    list_filter = ["origin", "built", "is_causal"]
    search_fields = ["version", "description"]
    colors = COLORS
    shows = {"granularities": shown.granularities}
    fields = ["version", "description", "origin", "is_causal", "built", "granularities"]
    groups = [
        ("Version", ["version", "origin", "is_causal", "built", "granularities", "series_count",
                     "row_count", "created_at", "updated_at"]),
        ("Definition", ["description", "definition_hash", "column_names"]),
    ]  # fmt: skip
    empty_reasons = {
        "granularities": "From no candles.",
        "definition_hash": "It is not defined here.",
        "description": "Nobody described it.",
    }
    empty_hint = "Versions that are computed here come with the product; others are reported."

    def get_queryset(self, request: HttpRequest) -> QuerySet[FeatureVersion]:
        rows = super().get_queryset(request)
        return rows.annotate(series_number=Count("series"), rows_number=Sum("series__rows"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # What a version means is a matter of the code, or of whoever reports it.
        if obj is None:
            return ["origin", "built"]
        computed = obj.origin == FeatureOrigin.COMPUTED
        return ["version", "origin", *(["is_causal"] if computed else ["built"])]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # What was computed by it would no longer say what it is.
        return False

    @admin.display(description="Series", ordering="series_number")
    def series_count(self, obj: Any) -> SafeString:
        url = shown.address(FeatureSeries, "changelist", feature_version__version__exact=obj)
        return display.link(url, display.number(obj.series_number))

    @admin.display(description="Rows", ordering="rows_number")
    def row_count(self, obj: Any) -> SafeString:
        return display.number(int(obj.rows_number or 0))

    @admin.display(description="Columns")
    def column_names(self, obj: FeatureVersion) -> SafeString:
        names = obj.columns if isinstance(obj.columns, list) else []
        return display.folded(f"{len(names)} columns", ", ".join(map(str, names)), "None named.")

    def page_title(self, obj: FeatureVersion) -> str:
        return f"Features {obj.version}"

    def page_badges(self, obj: FeatureVersion) -> list[SafeString]:
        causal = display.badge("Causal", "success", "No value knows what came after its candle.")
        looks = display.badge("Looks ahead", "warning", "Some values know the rest of their day.")
        return [
            display.badge(obj.get_origin_display(), COLORS[FeatureOrigin(obj.origin)]),
            causal if obj.is_causal else looks,
            display.badge(
                "Built" if obj.built else "Not built", "info" if obj.built else "default"
            ),
        ]


# --- Where each series stands -------------------------------------------------------------


class SeveralVersions(DomainError):
    """Series of several versions cannot be built by one run."""

    code = "several_versions"


def rebuild(rows: QuerySet, /, *, by: str, now: datetime) -> Execution | None:
    """Plan the run that computes series anew from their first candle on."""
    versions = set(rows.values_list("feature_version", flat=True))
    if len(versions) > 1:
        raise SeveralVersions("Choose series of one version: each version is a run of its own.")
    ids = list(rows.values_list("pk", flat=True))
    if not ids:
        return None
    return request_build(feature_version=versions.pop(), series=ids, by=by, now=now)


def rebuild_words(rows: QuerySet) -> str:
    total = rows.aggregate(total=Sum("rows"))["total"] or 0
    return (
        f"Their features are computed anew from the first candle on: {total:,} rows are written"
        " over. Until it is done the old ones answer."
    )


@admin.register(FeatureSeries)
class FeatureSeriesAdmin(RunStepsMixin, DerivedAdmin):
    list_display = [
        "symbol", "source", "granularity", "version", "rows", "rsi_share", "average_share",
        "last", "matches", "computed_at", "error",
    ]  # fmt: skip
    list_filter = ["symbol", "source", "granularity", "feature_version", "computed_at", "error"]
    list_select_related = ["feature_version"]
    search_fields = ["=symbol"]
    # Everything that may be read is the table's, but for what carries it.
    private = CARRIED
    export_fields = [
        field.name for field in FeatureSeries._meta.concrete_fields if field.name not in CARRIED
    ]
    empty_hint = "Series of candles at the granularities of a version that is built get one each."
    empty_reasons = {
        "computed_at": NOT_COMPUTED,
        "last_timestamp": NOT_COMPUTED,
        "first_timestamp": NOT_COMPUTED,
        "latest_rsi": TOO_SHORT,
        "latest_ma": TOO_SHORT,
        "definition_hash": NOT_COMPUTED,
        "changed_from": "No candle behind it came late or was replaced.",
        "error": "No error.",
        "timezone": NOT_COMPUTED,
        "retry_at": "It did not fail.",
        "tail_until": NOT_COMPUTED,
    }
    page_template = "admin/market/feature_series.html"
    shows = {"latest_rsi": shown.feature, "latest_ma": shown.feature}
    groups = [
        ("Of", ["symbol", "source", "granularity", "feature_version", "timezone",
                "first_timestamp", "last_timestamp"]),
        ("Computed", ["computed_at", "run", "definition_hash", "tail_until", "changed_from",
                      "failures", "retry_at", "error"]),
    ]  # fmt: skip
    steps = [
        planned_step(
            "rebuild", "Rebuild", "will be computed anew",
            lambda series: series.feature_version.origin == FeatureOrigin.COMPUTED,
            "Computed anew.",
        )
    ]  # fmt: skip
    planned = {"rebuild": rebuild}
    meaning = {"rebuild": rebuild_words}

    def get_queryset(self, request: HttpRequest) -> QuerySet[FeatureSeries]:
        rows = super().get_queryset(request)
        return rows.select_related("feature_version").defer(*CARRIED)

    @admin.display(description="Version")
    def version(self, obj: FeatureSeries) -> SafeString:
        return display.text(obj.feature_version_id)

    @admin.display(description="Last candle ended")
    def last(self, obj: FeatureSeries) -> SafeString:
        return shown.ended(obj.last_timestamp, obj.granularity, NOT_COMPUTED)

    @admin.display(description="RSI known")
    def rsi_share(self, obj: FeatureSeries) -> SafeString:
        return shown.coverage(shown.share_of(obj.rsi_rows, obj.rows), NOT_COMPUTED)

    @admin.display(description="Average known")
    def average_share(self, obj: FeatureSeries) -> SafeString:
        return shown.coverage(shown.share_of(obj.ma_rows, obj.rows), NOT_COMPUTED)

    @admin.display(description="Definition")
    def matches(self, obj: FeatureSeries) -> SafeString:
        if obj.feature_version.origin != FeatureOrigin.COMPUTED:
            return display.badge(
                "Reported", "info", "A pipeline computes it by its own definition."
            )
        if not obj.definition_hash:
            return display.empty(NOT_COMPUTED)
        if obj.definition_hash == obj.feature_version.definition_hash:
            return display.badge("Current", "success", "Computed by the definition as it is now.")
        return display.badge("Outdated", "warning", "The definition has changed: rebuild it.")

    @admin.display(description="Last run")
    def run(self, obj: FeatureSeries) -> SafeString:
        if not obj.execution_id:
            return display.empty("No run has computed it yet.")
        return run_link(obj.execution_id)

    def page_badges(self, obj: FeatureSeries) -> list[SafeString]:
        shown_error = [display.badge("Failing", "danger")] if obj.error else []
        return [self.matches(obj), *shown_error]

    def page_context(self, request: HttpRequest, obj: FeatureSeries) -> dict[str, Any]:
        instrument = Instrument.objects.filter(symbol=obj.symbol).values_list("pk", flat=True)
        rows = shown.address(
            FeatureVector,
            "changelist",
            symbol=obj.symbol,
            source=obj.source,
            granularity__exact=obj.granularity,
            feature_version=obj.feature_version_id,
            timestamp_last="all",
        )
        return super().page_context(request, obj) | {
            "rsi": self.rsi_share(obj),
            "average": self.average_share(obj),
            "instrument": instrument.first(),
            "rows_url": rows,
            "words": count_words(obj.rows, FeatureVector._meta),
            "outdated": bool(obj.definition_hash)
            and obj.feature_version.origin == FeatureOrigin.COMPUTED
            and obj.definition_hash != obj.feature_version.definition_hash,
        }
