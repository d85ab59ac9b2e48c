"""The form of an agent: what describes it and how far it may go; how it stands, it shows."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from apps.agents.models.agents import seed_coins
from apps.agents.services.agents import coins_of
from apps.shared.fields import PRICE_LIMIT, RATIO_LIMIT

ZERO, ONE, HUNDRED = Decimal(0), Decimal(1), Decimal(100)
LEAST = Decimal(1).scaleb(-8)
# Field: from, to, and how both are told.
BOUNDS: Mapping[str, tuple[Decimal, Decimal, str]] = {
    "initial_balance": (Decimal(1).scaleb(-18), PRICE_LIMIT, "more than 0"),
    "daily_budget": (Decimal(1).scaleb(-18), PRICE_LIMIT, "more than 0; empty: no budget"),
    "max_position_size": (LEAST, HUNDRED, "more than 0 and at most 100 percent"),
    "max_leverage": (ONE, Decimal(50), "from 1 to 50"),
    "stop_loss_pct": (LEAST, HUNDRED, "more than 0 and at most 100 percent"),
    "take_profit_pct": (LEAST, RATIO_LIMIT, "more than 0 percent"),
    "min_confidence": (ZERO, ONE, "from 0 to 1; empty: any will do"),
}


class CoinsField(forms.CharField):
    """Coins, one a line, each with the symbol that prices it: "BTC BTC/USD"."""

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return "\n".join(f"{coin} {symbol}" for coin, symbol in value.items())

    def clean(self, value: Any) -> dict[str, str]:
        told: dict[str, str] = {}
        for line in super().clean(value).splitlines():
            words = line.split()
            if not words:
                continue
            if len(words) != 2:
                raise ValidationError(f"“{line[:60]}”: write a coin and its symbol, BTC BTC/USD.")
            if words[0].upper() in (coin.upper() for coin in told):
                raise ValidationError(f"{words[0]} stands twice.")
            told[words[0]] = words[1]
        coins, errors = coins_of(told)
        if errors:
            raise ValidationError([f"{each.pointer}: {each.message}" for each in errors])
        return coins

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class AgentForm(forms.ModelForm):
    """What describes an agent, within the bounds that every agent has."""

    coins = CoinsField(
        initial=seed_coins,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text="One a line, each with the symbol by which it is priced: BTC BTC/USD.",
    )

    def clean_name(self) -> str:
        name: str = " ".join(self.cleaned_data["name"].split())
        if not name.isprintable():
            raise ValidationError("A name holds nothing that is not seen.")
        return name

    def clean_benchmark_coin(self) -> str:
        return str(self.cleaned_data["benchmark_coin"]).strip().upper()

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        for name, (least, most, words) in BOUNDS.items():
            value = found.get(name)
            if value is not None and not least <= value <= most:
                self.add_error(name, f"Must be {words}.")
        coin, coins = found.get("benchmark_coin"), found.get("coins")
        if coin and coins and coin not in coins:
            self.add_error("benchmark_coin", "Must be one of the coins that it trades.")
        return found
