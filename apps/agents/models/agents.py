"""Agents as they are described and limited, and what the models that they ask cost."""

import uuid
from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import Q

from apps.agents.choices import AgentMode, AgentStatus
from apps.shared import fields
from apps.shared.models import TimestampedModel, known_choices, positive

SEED_COINS = ("BTC", "ETH", "SOL", "BNB", "DOGE", "XRP")


def seed_coins() -> dict[str, str]:
    """Return the coins of the first agents, each with the symbol by which it is priced."""
    return {coin: f"{coin}/USD" for coin in SEED_COINS}


def not_negative(field: str, *, name: str) -> models.CheckConstraint:
    """Hold an amount at zero or above, and away from NaN."""
    bounds = {f"{field}__gte": 0, f"{field}__lt": fields.PRICE_LIMIT}
    return models.CheckConstraint(condition=Q(**bounds), name=name)


class TradingAgentQuerySet(models.QuerySet["TradingAgent"]):
    def active(self) -> Self:
        return self.filter(status=AgentStatus.ACTIVE)


class TradingAgent(TimestampedModel):
    """An agent that asks a language model what to do: what it trades, and how far it may go.

    Whether its program is alive is told to the bots app, under ``bot_id``.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100)
    llm_model = models.CharField("model", max_length=100)
    provider = models.CharField(max_length=50, blank=True)
    exchange_account = models.CharField(max_length=50, blank=True)
    mode = models.CharField(max_length=5, choices=AgentMode, default=AgentMode.PAPER)
    status = models.CharField(max_length=7, choices=AgentStatus, default=AgentStatus.ACTIVE)
    quote_currency = models.CharField("currency", max_length=10, default="USD")
    initial_balance = fields.Money()
    # How far it may go
    max_position_size = fields.Ratio(
        "largest position",
        default=Decimal(20),
        help_text="Percent of the account, of the whole value of a position.",
    )
    max_leverage = models.PositiveIntegerField("largest leverage", default=10)
    stop_loss_pct = fields.Ratio("stop loss", default=Decimal(2), help_text="Percent.")
    take_profit_pct = fields.Ratio("take profit", default=Decimal(5), help_text="Percent.")
    min_confidence = fields.Ratio(
        "least confidence", null=True, blank=True, help_text="Of 0 to 1, to open a position."
    )
    daily_budget = fields.Money(
        null=True, blank=True, help_text="US dollars that its model may cost in a day (UTC)."
    )
    coins = models.JSONField(
        default=seed_coins, help_text="What it trades: the symbol by which each coin is priced."
    )
    benchmark_coin = models.CharField(
        max_length=20, blank=True, help_text="What holding is measured by; by default the first."
    )
    strategy_description = models.TextField("strategy", blank=True)
    bot_id = models.CharField(
        "bot",
        max_length=255,
        blank=True,
        help_text="The name under which its program tells that it lives (bots).",
    )
    extra_metadata = models.JSONField(default=dict, blank=True)

    objects = TradingAgentQuerySet.as_manager()

    class Meta:
        db_table = "trading_agents"
        verbose_name = "agent"
        constraints = [
            models.UniqueConstraint(fields=["name"], name="trading_agents_one_per_name"),
            models.CheckConstraint(
                condition=~Q(name="") & ~Q(llm_model="") & ~Q(quote_currency=""),
                name="trading_agents_named",
            ),
            known_choices("status", AgentStatus, name="trading_agents_status_known"),
            known_choices("mode", AgentMode, name="trading_agents_mode_known"),
            positive("initial_balance", name="trading_agents_capital_positive"),
            not_negative("daily_budget", name="trading_agents_budget_measured"),
            models.CheckConstraint(
                condition=Q(max_position_size__gt=0, max_position_size__lte=100),
                name="trading_agents_position_percent",
            ),
            models.CheckConstraint(
                condition=Q(max_leverage__gte=1, max_leverage__lte=50),
                name="trading_agents_leverage_in_range",
            ),
            models.CheckConstraint(
                condition=Q(
                    stop_loss_pct__gt=0,
                    stop_loss_pct__lte=100,
                    take_profit_pct__gt=0,
                    take_profit_pct__lt=fields.RATIO_LIMIT,
                ),
                name="trading_agents_exits_percent",
            ),
            models.CheckConstraint(
                condition=Q(min_confidence__isnull=True)
                | Q(min_confidence__gte=0, min_confidence__lte=1),
                name="trading_agents_confidence",
            ),
        ]
        indexes = [
            models.Index(fields=["llm_model"], name="idx_trading_agents_llm_model"),
            models.Index(fields=["status"], name="idx_trading_agents_status"),
            models.Index(fields=["created_at", "id"], name="trading_agents_created_idx"),
        ]

    def __str__(self) -> str:
        return self.name


class LLMPrice(TimestampedModel):
    """What a million tokens of a model cost, in US dollars, from a moment on."""

    provider = models.CharField(max_length=50)
    model = models.CharField(max_length=100)
    valid_from = models.DateTimeField()
    input_per_million = fields.Money("input", help_text="US dollars for a million tokens.")
    output_per_million = fields.Money("output", help_text="US dollars for a million tokens.")

    class Meta:
        db_table = "llm_prices"
        verbose_name = "model price"
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "model", "valid_from"], name="llm_prices_one_per_moment"
            ),
            models.CheckConstraint(condition=~Q(model=""), name="llm_prices_named"),
            models.CheckConstraint(
                condition=Q(
                    input_per_million__gte=0,
                    input_per_million__lt=fields.PRICE_LIMIT,
                    output_per_million__gte=0,
                    output_per_million__lt=fields.PRICE_LIMIT,
                ),
                name="llm_prices_measured",
            ),
        ]
        indexes = [models.Index(fields=["valid_from", "id"], name="llm_prices_valid_from_idx")]

    def __str__(self) -> str:
        return f"{self.provider} {self.model} since {self.valid_from:%Y-%m-%d %H:%M:%S}".strip()
