"""The form that opens a paper portfolio."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.bots.admin.limit_forms import LEAST, MOST_SUGGESTED
from apps.bots.models import BotInstance, PaperPortfolio
from apps.bots.models.paper import USUAL_BALANCE
from apps.bots.services.paper import open_portfolios
from apps.market.models import Instrument
from apps.shared.errors import FieldError
from apps.shared.fields import PRICE_DIGITS, PRICE_PLACES, RATIO_PLACES
from apps.shared.ingest import RowStatus

HUNDRED = Decimal(100)
# A fraction of so many places, told in percent.
PERCENT_PLACES = RATIO_PLACES - 2
MOST_PERCENT = HUNDRED - Decimal(1).scaleb(-PERCENT_PLACES)
NAMES = {"bot_id": "bot"}


class Terms(NamedTuple):
    """A portfolio as the service takes it."""

    name: str
    symbol: str
    initial_balance: Decimal
    bot_id: str | None
    fee_rate: Decimal
    slippage: Decimal


def text_input(**attrs: str) -> UnfoldAdminTextInputWidget:
    return UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"} | attrs)


def percent(label: str, hint: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=f"{label}, percent",
        min_value=Decimal(0),
        max_value=MOST_PERCENT,
        decimal_places=PERCENT_PLACES,
        initial=Decimal(0),
        widget=text_input(inputmode="decimal"),
        help_text=hint,
    )


class PortfolioForm(forms.Form):
    """What is pretended: the money, the asset, what trading costs."""

    name = forms.CharField(
        max_length=100,
        widget=text_input(autofocus="autofocus", placeholder="mean-reversion"),
        help_text="Of those in use no two have the same.",
    )
    symbol = forms.CharField(
        max_length=50,
        initial="BTC/USD",
        widget=text_input(list="known-symbols"),
        help_text="Traded at the close of its newest candle.",
    )
    initial_balance = forms.DecimalField(
        label="Begins with",
        initial=USUAL_BALANCE,
        min_value=LEAST,
        max_digits=PRICE_DIGITS,
        decimal_places=PRICE_PLACES,
        widget=text_input(inputmode="decimal"),
        help_text="Cash, in the currency of the symbol.",
    )
    bot = forms.CharField(
        max_length=255,
        required=False,
        widget=text_input(list="known-bots"),
        help_text="Empty: any program may trade it.",
    )
    fee_rate = percent("Fee", "Of the value of each trade: 0.1 is 0.1 %.")
    slippage = percent("Slippage", "By how much prices go against each trade.")

    def terms(self) -> Terms:
        given = self.cleaned_data
        return Terms(
            name=given["name"],
            symbol=given["symbol"],
            initial_balance=given["initial_balance"],
            bot_id=given["bot"] or None,
            fee_rate=given["fee_rate"] / HUNDRED,
            slippage=given["slippage"] / HUNDRED,
        )

    def open(self, *, now: datetime) -> tuple[PaperPortfolio | None, bool]:
        """Open it by the service; return it and whether it is new, or None with errors told."""
        outcome = open_portfolios([self.terms()], now=now)
        if outcome.failed:
            self.refuse(outcome.results[0].errors)
            return None, False
        held = PaperPortfolio.objects.active().get(name=self.cleaned_data["name"])
        is_new = all(each.status == RowStatus.CREATED for each in outcome.results)
        return held, is_new

    def refuse(self, errors: Sequence[FieldError]) -> None:
        """Put what the service refuses beside the fields that it is about."""
        for error in errors:
            name = error.pointer.strip("/").split("/")[0]
            field = NAMES.get(name, name)
            message = error.message
            if error.code == "differs":
                message = "One of this name is in use with other terms."
            self.add_error(field if field in self.fields else None, message)


def suggestions() -> dict[str, Any]:
    """Return names that exist, for those who type: symbols, bots."""
    bots = BotInstance.objects.order_by("pk").values_list("pk", flat=True)
    symbols = Instrument.objects.filter(active=True).order_by("symbol")
    return {
        "known-symbols": list(symbols.values_list("symbol", flat=True)[:MOST_SUGGESTED]),
        "known-bots": list(bots[:MOST_SUGGESTED]),
    }
