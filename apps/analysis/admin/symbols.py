"""Adding a symbol by hand: a form whose wish becomes a run."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from apps.analysis.admin.strategies import BY_WIDTH
from apps.analysis.models import StrategyConfiguration
from apps.analysis.services.symbol_additions import (
    MOST_DAYS,
    RUNNER,
    USUAL_DAYS,
    AlreadyRunning,
    SymbolAddition,
    request_symbol_addition,
)
from apps.executions.admin.shown import run_url
from apps.executions.models import Execution
from apps.market.choices import Granularity, ProviderName
from apps.market.models import Instrument
from apps.shared.errors import DomainError
from apps.shared.wakeups import wake

STORED, PROVIDER = "stored", "provider"
MOST_SUGGESTED = 500
# Of the form these make the wish to a provider.
OF_PROVIDER = ("provider", "exchange", "venue_symbol", "connection")


def text_input(**attrs: str) -> UnfoldAdminTextInputWidget:
    return UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"} | attrs)


class AddSymbolForm(forms.Form):
    """What to add, where its candles are, and what to try out on it."""

    symbol = forms.CharField(
        max_length=50,
        widget=text_input(list="known-symbols", autofocus="autofocus", placeholder="BTC/USDT"),
        help_text="As the exchange writes it: BTC/USDT, AAPL.",
    )
    candles = forms.ChoiceField(
        label="Candles from",
        choices=[(STORED, "What is stored"), (PROVIDER, "A provider, fetched by the run")],
        initial=STORED,
        widget=UnfoldAdminRadioSelectWidget(radio_style=1),
    )
    provider = forms.ChoiceField(
        choices=[("", "Choose one"), *ProviderName.choices],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    exchange = forms.CharField(
        max_length=50,
        required=False,
        widget=text_input(placeholder="binance"),
        help_text="For CCXT: the exchange as CCXT names it.",
    )
    venue_symbol = forms.CharField(
        label="Symbol there",
        max_length=50,
        required=False,
        widget=text_input(),
        help_text="Only where the provider names it otherwise.",
    )
    connection = forms.CharField(
        max_length=50,
        required=False,
        widget=text_input(),
        help_text="The name of stored credentials, for providers that ask for some.",
    )
    source = forms.CharField(
        max_length=50,
        required=False,
        widget=text_input(),
        help_text="Stored: the source to try out on; empty is the freshest. Fetched: the name its"
        " candles are stored under; empty is that of the exchange.",
    )
    granularity = forms.ChoiceField(
        choices=[("", "The finest that fits"), *Granularity.choices],
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="Of the candles; coarser bars are put together from them.",
    )
    days = forms.IntegerField(
        label="Days of the past",
        initial=USUAL_DAYS,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"min": 1, "inputmode": "numeric"}),
    )
    strategy_configurations = forms.ModelMultipleChoiceField(
        label="Strategies to try out",
        queryset=StrategyConfiguration.objects.none(),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        active = StrategyConfiguration.objects.active().order_by("base_strategy", BY_WIDTH, "name")
        strategies: Any = self.fields["strategy_configurations"]
        strategies.queryset = active.defer("parameters", "leverage_parameters")
        strategies.initial = [each.pk for each in strategies.queryset]
        strategies.label_from_instance = named
        self.fields["days"].help_text = (
            f"{settings.SYMBOL_HISTORY_DAYS} to {MOST_DAYS:,}. At least"
            f" {settings.SYMBOL_HISTORY_DAYS} must be there, {settings.SYMBOL_COMPLETENESS_PCT} %"
            " of their candles."
        )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if given.get("candles") == PROVIDER and not given.get("provider"):
            self.add_error("provider", "Choose whom to ask.")
        return given

    def wish(self, *, by: str) -> SymbolAddition:
        """Return the wish as the service takes it; what does not belong to it is left out."""
        given = self.cleaned_data
        fetched = given["candles"] == PROVIDER
        chosen = [each.pk for each in given["strategy_configurations"]]
        active = self.fields["strategy_configurations"].initial
        return SymbolAddition(
            symbol=given["symbol"],
            source=given["source"],
            granularity=given["granularity"],
            **({name: given[name] for name in OF_PROVIDER} if fetched else {}),
            days=given["days"],
            # All of them is what a wish without any means.
            strategy_configurations=() if sorted(chosen) == sorted(active) else chosen,
            triggered_by=by,
        )

    def refuse(self, refusal: DomainError) -> None:
        """Put what the service refuses beside the field that it is about."""
        if isinstance(refusal, AlreadyRunning):
            self.add_error("symbol", refusal.message)
            return
        for error in refusal.errors:
            field = error.pointer.strip("/").split("/")[0]
            self.add_error(field if field in self.fields else None, error.message)
        if not refusal.errors:
            self.add_error(None, refusal.message)


def named(strategy: StrategyConfiguration) -> str:
    """Return the name of a strategy, which tells its timeframe."""
    told = strategy.name.endswith(strategy.timeframe)
    return strategy.name if told else f"{strategy.name} ({strategy.timeframe})"


class AddSymbolMixin:
    """The form, reached from the list of analyses and the menu."""

    actions_list = ["add_symbol"]

    def has_add_symbol_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("analysis.add_analysis")

    @action(
        description="Add symbol", url_path="add-symbol/", icon="add", permissions=["add_symbol"]
    )
    def add_symbol(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_symbol_permission(request):
            raise PermissionDenied
        form = AddSymbolForm(request.POST or None, initial={"symbol": asked_symbol(request)})
        if request.method == "POST" and form.is_valid():
            try:
                run = plan(form.wish(by=request.user.get_username()))
            except DomainError as refusal:
                form.refuse(refusal)
            else:
                messages.success(request, f"{run.symbol} is being added.")
                return HttpResponseRedirect(after(request, run))
        return TemplateResponse(
            request,
            "admin/analysis/add_symbol.html",
            {
                **self.admin_site.each_context(request),  # type: ignore[attr-defined]
                "opts": self.opts,  # type: ignore[attr-defined]
                "title": "Add a symbol",
                "form": form,
                "of_provider": OF_PROVIDER,
                "symbols": suggested(),
                "strategies_url": reverse("admin:analysis_strategyconfiguration_changelist"),
            },
        )


def plan(wish: SymbolAddition) -> Execution:
    """Plan the run, and wake a worker to do it."""
    with transaction.atomic():
        run, _ = request_symbol_addition(wish=wish, now=timezone.now())
        wake(RUNNER)
    return run


def after(request: HttpRequest, run: Execution) -> str:
    """Return where to look on: at the run, if the viewer may see it."""
    if request.user.has_perm("executions.view_execution"):
        return run_url(run.pk)
    return reverse("admin:analysis_analysis_changelist")


def asked_symbol(request: HttpRequest) -> str:
    """Return the symbol that a link to this page names."""
    return request.GET.get("symbol", "").replace("\0", "")[:50]


def suggested() -> list[str]:
    """Return the symbols of stored instruments."""
    known = Instrument.objects.filter(active=True).order_by("symbol")
    return list(known.values_list("symbol", flat=True)[:MOST_SUGGESTED])
