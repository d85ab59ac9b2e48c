"""The form that sets a limit: fields that fit its kind, refusals beside them."""

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal

from django import forms
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from apps.bots.choices import Direction, LimitAction, LimitType, TradeType
from apps.bots.domain.limits import MONEY_KINDS, PRICE_KINDS
from apps.bots.models import BotInstance, Position
from apps.bots.services.limits import LimitFacts
from apps.market.models import Instrument
from apps.shared.errors import FieldError
from apps.shared.fields import PRICE_DIGITS, PRICE_PLACES

LEAST = Decimal(1).scaleb(-PRICE_PLACES)
MOST_SUGGESTED = 500
# Of the form these make a price limit, and these another.
OF_PRICE, OF_OPERATOR = ("price", "lot", "direction", "size"), ("threshold",)
# What the service calls otherwise than the form.
NAMES = {"bot_id": "bot", "lot_id": "lot"}


def text_input(**attrs: str) -> UnfoldAdminTextInputWidget:
    return UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"} | attrs)


def number(label: str, hint: str = "", **attrs: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        required=False,
        min_value=LEAST,
        max_digits=PRICE_DIGITS,
        decimal_places=PRICE_PLACES,
        widget=text_input(inputmode="decimal", **attrs),
        help_text=hint,
    )


class LimitForm(forms.Form):
    """What limit, on what, and what becomes of the bots when it fires."""

    # Made with the form, so that the same form sent twice sets one limit.
    id = forms.CharField(max_length=100, widget=forms.HiddenInput)
    limit_type = forms.ChoiceField(
        label="Kind",
        choices=LimitType.choices,
        widget=UnfoldAdminRadioSelectWidget(radio_style=1),
    )
    price = number("Price", "It fires once a candle touches it.")
    threshold = number(
        "Threshold",
        "A loss or exposure in the currency, a drawdown in percent (10 is 10 %), or how many"
        " trades an hour. It fires when that is reached.",
    )
    bot = forms.CharField(
        max_length=255,
        required=False,
        widget=text_input(list="known-bots"),
        help_text="Empty: all bots of the type.",
    )
    symbol = forms.CharField(
        max_length=50,
        required=False,
        widget=text_input(list="known-symbols", placeholder="BTC/USD"),
        help_text="Empty: all symbols, or that of the lot.",
    )
    lot = forms.CharField(
        max_length=100,
        required=False,
        widget=text_input(list="known-lots"),
        help_text="Empty: whatever is held of the symbol.",
    )
    type = forms.ChoiceField(
        choices=[("", "That of the bot or lot"), *TradeType.choices],
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="Live and paper are never held by one limit.",
    )
    direction = forms.ChoiceField(
        label="Held",
        choices=Direction.choices,
        initial=Direction.LONG,
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="The stop of a short lies above.",
    )
    size = number("Size", "Empty: all that is held. Told to staff and bots with the limit.")
    currency = forms.CharField(
        max_length=10,
        required=False,
        widget=text_input(placeholder="USD"),
        help_text="Empty: that of the bot or symbol. Amounts of several are never added up.",
    )
    action = forms.ChoiceField(
        label="When it fires",
        choices=LimitAction.choices,
        initial=LimitAction.NOTIFY,
        widget=UnfoldAdminSelectWidget,
        help_text="Staff are told in any case; bots with their next heartbeat.",
    )
    notes = forms.CharField(
        required=False,
        max_length=2_000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
    )

    @staticmethod
    def asked(given: Mapping[str, str]) -> dict[str, str]:
        """Return what a link to the form names, beside what it begins with."""
        found = {name: clean(given.get(name, "")) for name in ("bot", "symbol", "lot", "type")}
        kind = given.get("kind", "")
        found["limit_type"] = kind if kind in LimitType.values else LimitType.STOP_LOSS
        return found | {"id": f"staff-{uuid.uuid4().hex[:16]}"}

    @property
    def of_price(self) -> tuple[str, ...]:
        return OF_PRICE

    @property
    def of_operator(self) -> tuple[str, ...]:
        return OF_OPERATOR

    def row(self) -> LimitFacts:
        """Return the limit as the service takes it, without what does not belong to its kind."""
        given = self.cleaned_data
        kind = given["limit_type"]
        priced = kind in PRICE_KINDS
        return LimitFacts(
            id=given["id"],
            limit_type=kind,
            bot_id=given["bot"] or None,
            type=given["type"],
            symbol=given["symbol"],
            lot_id=(given["lot"] or None) if priced else None,
            direction=(given["direction"] or Direction.LONG) if priced else Direction.LONG,
            price=given["price"] if priced else None,
            size=given["size"] if priced else None,
            threshold=None if priced else given["threshold"],
            currency=given["currency"] if kind in MONEY_KINDS | PRICE_KINDS else "",
            action=given["action"],
            notes=given["notes"],
        )

    def refuse(self, errors: Sequence[FieldError]) -> None:
        """Put what the service refuses beside the fields that it is about."""
        for error in errors:
            name = error.pointer.strip("/").split("/")[0]
            field = NAMES.get(name, name)
            # The id is not seen: what speaks against it is told above the form.
            known = field in self.fields and field != "id"
            self.add_error(field if known else None, error.message)


def clean(text: str) -> str:
    return text.replace("\0", "")[:255]


def suggestions() -> dict[str, list[str]]:
    """Return names that exist, for those who type: bots, symbols, open lots."""
    bots = BotInstance.objects.order_by("pk").values_list("pk", flat=True)
    symbols = Instrument.objects.filter(active=True).order_by("symbol")
    lots = Position.objects.held().order_by("-created_at").values_list("pk", flat=True)
    return {
        "known-bots": list(bots[:MOST_SUGGESTED]),
        "known-symbols": list(symbols.values_list("symbol", flat=True)[:MOST_SUGGESTED]),
        "known-lots": list(lots[:MOST_SUGGESTED]),
    }
