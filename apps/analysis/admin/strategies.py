"""Strategy configurations in the admin: what is tried out when a symbol is added."""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.db.models import Case, Count, F, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from apps.analysis.admin import shown
from apps.analysis.admin.wording import differing_leverage, parameters_in_words
from apps.analysis.domain.strategies import BASE_STRATEGIES
from apps.analysis.models import Analysis, StrategyConfiguration
from apps.analysis.services.strategies import (
    activate,
    deactivate,
    duplicate,
    save_strategy,
    strategy_faults,
)
from apps.market.choices import Granularity
from apps.shared import display
from apps.shared.admin import EntityAdmin
from apps.shared.admin.documents import DocumentField
from apps.shared.admin.steps import Step, StepsMixin
from apps.shared.errors import FieldError

NEWEST = 20
# From fine to coarse, which their names do not sort by.
BY_WIDTH = Case(*(When(timeframe=each, then=place) for place, each in enumerate(Granularity)))
PARAMETERS = ("parameters", "leverage_parameters")


class Indented(json.JSONEncoder):
    """JSON as a person edits it: a line for each value."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"indent": 2})


class StrategyForm(forms.ModelForm):
    """Takes only what can be run, and names everything that speaks against it."""

    base_strategy = forms.ChoiceField(
        choices=[(name, name.replace("_", " ")) for name in BASE_STRATEGIES],
        widget=UnfoldAdminSelectWidget,
    )
    parameters = DocumentField(
        encoder=Indented,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 9, "spellcheck": "false"}),
        help_text="JSON. In fractions: risk_multiplier, confidence_threshold, max_leverage,"
        " stop_loss_threshold, take_profit_threshold. Or in percent: risk_multiplier,"
        " leverage_cap, min_risk_reward, with confidence_boost, stop_loss_percent and"
        " take_profit_percent. Both know fee_rate, stake and max_bars.",
    )
    leverage_parameters = DocumentField(
        encoder=Indented,
        required=False,
        initial=dict,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5, "spellcheck": "false"}),
        help_text="JSON: the constants of the leverage formula that differ here. {}: none.",
    )

    def clean_leverage_parameters(self) -> Any:
        return self.cleaned_data["leverage_parameters"] or {}

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        names = ("base_strategy", "timeframe", *PARAMETERS)
        if all(name in self.cleaned_data for name in names):
            draft = StrategyConfiguration(**{name: given[name] for name in names})
            for fault in strategy_faults(draft):
                self.tell(fault)
        return given

    def tell(self, fault: FieldError) -> None:
        """Put a fault beside the field that it is about."""
        field, _, inside = fault.pointer.strip("/").partition("/")
        self.add_error(field, f"{inside}: {fault.message}" if inside else fault.message)


@admin.register(StrategyConfiguration)
class StrategyConfigurationAdmin(StepsMixin, EntityAdmin):
    list_display = [
        "name", "base_strategy", "bars", "activity", "kind", "version", "tried_out",
        "best_sharpe", "updated_at",
    ]  # fmt: skip
    list_filter = ["base_strategy", "timeframe", "is_active", "is_default"]
    search_fields = ["name", "base_strategy", "description"]
    ordering = ["base_strategy", BY_WIDTH, "name", "pk"]
    form = StrategyForm
    fieldsets = [
        (None, {"fields": ["name", ("base_strategy", "timeframe"), "is_active", "description"]}),
        ("Parameters", {"fields": ["parameters", "leverage_parameters"]}),
    ]  # fmt: skip
    empty_hint = "One per strategy and timeframe to be tried out when a symbol is added."
    empty_reasons = {
        "description": "None was written.",
        "created_by": "It came with the product.",
        "leverage_parameters": "None differ: all constants are the usual ones.",
    }
    page_template = "admin/analysis/strategy.html"
    groups = [
        ("Configuration", ["name", "base_strategy", "timeframe", "is_active", "is_default",
                           "version", "description", "created_by", "created_at", "updated_at"]),
        ("As written", ["parameters", "leverage_parameters"]),
    ]  # fmt: skip
    steps = [
        Step("activate", "Activate", "activated; each symbol that is added is tried out with it",
             activate, lambda row: not row.is_active),
        Step("deactivate", "Deactivate", "deactivated; what was tried out with it stays",
             deactivate, lambda row: row.is_active),
        Step("duplicate", "Duplicate", "copied", duplicate, lambda row: True),
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[StrategyConfiguration]:
        tried = Analysis.objects.filter(strategy_configuration=OuterRef("pk")).order_by()
        counted = tried.values("strategy_configuration").annotate(n=Count("pk")).values("n")
        ranked = tried.order_by(F("sharpe_ratio").desc(nulls_last=True))
        return (
            super()
            .get_queryset(request)
            .annotate(
                count=Coalesce(Subquery(counted), 0),
                best=Subquery(ranked.values("sharpe_ratio")[:1]),
            )
        )

    @admin.display(description="Timeframe", ordering=BY_WIDTH)
    def bars(self, obj: StrategyConfiguration) -> str:
        return obj.timeframe

    @admin.display(description="Active", ordering="is_active")
    def activity(self, obj: StrategyConfiguration) -> SafeString:
        return activity(obj)

    @admin.display(description="Kind", ordering="is_default")
    def kind(self, obj: StrategyConfiguration) -> SafeString:
        return kind(obj)

    @admin.display(description="Analyses", ordering="count")
    def tried_out(self, obj: Any) -> SafeString:
        return display.figure(f"{obj.count:,}")

    @admin.display(description="Best Sharpe", ordering=shown.EmptyLast("best"))
    def best_sharpe(self, obj: Any) -> SafeString:
        reason = "None of its analyses has a Sharpe ratio." if obj.count else "Not tried out yet."
        return shown.signed_ratio(obj.best, reason)

    # --- the page -------------------------------------------------------------------------

    def page_title(self, obj: StrategyConfiguration) -> str:
        return obj.name

    def page_badges(self, obj: StrategyConfiguration) -> list[SafeString]:
        return [display.badge(obj.timeframe, "info"), activity(obj), kind(obj)]

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        analyses: list[Analysis] = []
        if request.user.has_perm("analysis.view_analysis"):
            # What is read of each is what the table shows: parameters can be long.
            analyses = list(
                obj.analyses.only(
                    "symbol", "timeframe", "config", "status", "origin", "sharpe_ratio",
                    "total_return", "max_drawdown", "total_trades", "generated_at",
                    "strategy_configuration",
                ).order_by(F("sharpe_ratio").desc(nulls_last=True), "-id")[:NEWEST]
            )  # fmt: skip
        return super().page_context(request, obj) | {
            "sentences": parameters_in_words(obj),
            "leverage": differing_leverage(obj),
            "analyses": [line(each) for each in analyses],
            "best": self.best_sharpe(obj),
            "list_url": f"{reverse('admin:analysis_analysis_changelist')}"
            f"?strategy_configuration__id__exact={obj.pk}",
        }

    # --- changes --------------------------------------------------------------------------

    def save_model(
        self, request: HttpRequest, obj: StrategyConfiguration, form: Any, change: bool
    ) -> None:
        """Have the service save it: it counts the changes of what is run."""
        save_strategy(obj, by=request.user.get_username())

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say why one that cannot be deleted stays, before anything is asked."""
        obj = self.get_object(request, unquote(object_id)) if "\0" not in object_id else None
        if (
            obj is not None
            and self.has_delete_permission(request, obj)
            and (why := undeletable(obj))
        ):
            messages.error(request, why)
            page = reverse("admin:analysis_strategyconfiguration_change", args=[quote(obj.pk)])
            return HttpResponseRedirect(page)
        return super().delete_view(request, object_id, extra_context)


def undeletable(obj: Any) -> str:
    """Return why a configuration stays, empty for one that may go."""
    if obj.is_default:
        return f"{obj.name} came with the product and stays: deactivate it instead."
    if obj.count:
        tried = "1 analysis was" if obj.count == 1 else f"{obj.count:,} analyses were"
        return f"{tried} made with {obj.name}, so it stays: deactivate it instead."
    return ""


def activity(obj: StrategyConfiguration) -> SafeString:
    if obj.is_active:
        return display.badge("Active", "success", "Tried out on every symbol that is added.")
    return display.badge("Inactive", "default", "Left out when a symbol is added.")


def kind(obj: StrategyConfiguration) -> SafeString:
    if obj.is_default:
        return display.badge("Default", "info", "Came with the product; it cannot be deleted.")
    return display.badge("Own", "default", "Made by staff.")


def line(analysis: Analysis) -> dict[str, Any]:
    """Return what the page of a configuration tells of one of its analyses."""
    reason = "It has no trades to compute it from."
    return {
        "name": display.link(shown.analysis_url(analysis), display.visible(analysis.symbol)),
        "status": shown.status(analysis),
        "origin": shown.origin(analysis),
        "sharpe": shown.signed_ratio(analysis.sharpe_ratio, reason),
        "total_return": shown.signed_share(analysis.total_return, reason),
        "max_drawdown": shown.signed_share(analysis.max_drawdown, reason),
        "trades": display.number(analysis.total_trades, reason),
        "generated_at": analysis.generated_at,
    }
