"""Trading with pretended money at real prices."""

from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import Q

from apps.bots.choices import Origin, Side
from apps.bots.models.instances import BotInstance
from apps.shared import fields
from apps.shared.models import CreatedModel, TimestampedModel, finite, known_choices, positive, real

USUAL_BALANCE = Decimal(10_000)


class PaperPortfolioQuerySet(models.QuerySet["PaperPortfolio"]):
    def active(self) -> Self:
        return self.filter(is_active=True)


def not_negative(field: str, *, name: str) -> models.CheckConstraint:
    bounds = {f"{field}__gte": Decimal(0), f"{field}__lt": Decimal(10) ** 20}
    return models.CheckConstraint(condition=Q(**bounds), name=name)


class PaperPortfolio(TimestampedModel):
    """Pretended money and one asset. A reset closes it, with its history, and opens the next."""

    name = models.CharField(max_length=100)
    bot = models.ForeignKey(
        BotInstance, models.PROTECT, null=True, blank=True, related_name="paper_portfolios"
    )
    symbol = models.CharField(max_length=50, default="BTC/USD")
    # The columns keep the names they had when there was one asset.
    quote_balance = fields.Money("cash", default=USUAL_BALANCE, db_column="usd_balance")
    asset_balance = fields.Size("asset", default=Decimal(0), db_column="btc_balance")
    initial_balance = fields.Money(default=USUAL_BALANCE)
    avg_buy_price = fields.Price(
        "average price", null=True, blank=True, help_text="Of what is held, fees included."
    )
    realized_pnl = fields.Money("realized P&L", default=Decimal(0), db_default=Decimal(0))
    total_pnl = fields.Money("total P&L", default=Decimal(0), db_default=Decimal(0))
    fee_rate = fields.Ratio(default=Decimal(0), db_default=Decimal(0), help_text="A fraction.")
    slippage = fields.Ratio(default=Decimal(0), db_default=Decimal(0), help_text="A fraction.")
    is_active = models.BooleanField("active", default=True, db_default=True)
    generation = models.PositiveIntegerField(default=1, db_default=1)
    predecessor = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="successors"
    )
    closed_at = models.DateTimeField("closed", null=True, blank=True)

    objects = PaperPortfolioQuerySet.as_manager()

    class Meta:
        db_table = "paper_portfolio"
        constraints = [
            models.CheckConstraint(
                condition=~Q(name="") & ~Q(symbol=""), name="paper_portfolio_named"
            ),
            models.UniqueConstraint(
                fields=["name"], condition=Q(is_active=True), name="paper_portfolio_one_active"
            ),
            models.UniqueConstraint(
                fields=["name", "generation"], name="paper_portfolio_one_per_generation"
            ),
            not_negative("quote_balance", name="paper_portfolio_cash_not_negative"),
            not_negative("asset_balance", name="paper_portfolio_asset_not_negative"),
            positive("initial_balance", name="paper_portfolio_initial_positive"),
            positive("avg_buy_price", name="paper_portfolio_average_positive"),
            finite("realized_pnl", name="paper_portfolio_realized_finite"),
            finite("total_pnl", name="paper_portfolio_total_finite"),
            models.CheckConstraint(
                condition=Q(fee_rate__gte=0, fee_rate__lt=1, slippage__gte=0, slippage__lt=1),
                name="paper_portfolio_costs_sane",
            ),
            models.CheckConstraint(
                condition=Q(is_active=True, closed_at__isnull=True)
                | Q(is_active=False, closed_at__isnull=False),
                name="paper_portfolio_closed_has_time",
            ),
        ]
        indexes = [models.Index(fields=["created_at", "id"], name="paper_portfolio_created_idx")]

    def __str__(self) -> str:
        return f"{self.name} ({self.generation})" if self.generation > 1 else self.name


class PaperTrade(CreatedModel):
    """One purchase or sale of a paper portfolio."""

    id = models.CharField(primary_key=True, max_length=100)
    portfolio = models.ForeignKey(
        PaperPortfolio, models.PROTECT, db_index=False, related_name="trades"
    )
    timestamp = models.DateTimeField()
    trade_type = models.CharField("side", max_length=4, choices=Side)
    price = fields.Price(help_text="Paid, slippage included.")
    market_price = fields.Price(
        null=True, blank=True, help_text="As the market stood; empty: the sender gave the price."
    )
    amount = fields.Size(help_text="Of the asset.")
    value = fields.Money(help_text="Price × amount.")
    fee = fields.Money(default=Decimal(0), db_default=Decimal(0))
    pnl = fields.Money("P&L", null=True, blank=True, help_text="Of a sale, after all fees.")

    class Meta:
        db_table = "paper_trades"
        constraints = [
            models.CheckConstraint(condition=~Q(id=""), name="paper_trades_named"),
            known_choices("trade_type", Side, name="paper_trades_side_known"),
            positive("price", name="paper_trades_price_positive"),
            positive("market_price", name="paper_trades_market_positive"),
            positive("amount", name="paper_trades_amount_positive"),
            not_negative("value", name="paper_trades_value_not_negative"),
            not_negative("fee", name="paper_trades_fee_not_negative"),
            finite("pnl", name="paper_trades_pnl_finite"),
        ]
        indexes = [
            models.Index(fields=["timestamp", "id"], name="paper_trades_timestamp_idx"),
            models.Index(fields=["portfolio", "timestamp"], name="paper_trades_portfolio_idx"),
        ]

    def __str__(self) -> str:
        return self.id


class PaperPerformance(CreatedModel):
    """A paper portfolio marked to market at a moment."""

    portfolio = models.ForeignKey(
        PaperPortfolio,
        models.CASCADE,
        null=True,
        blank=True,
        db_index=False,
        related_name="performance",
    )
    timestamp = models.DateTimeField()
    origin = models.CharField(
        max_length=8, choices=Origin, default=Origin.COMPUTED, db_default=Origin.COMPUTED
    )
    price = fields.Price(null=True, blank=True)
    total_value = fields.Money()
    daily_pnl = fields.Money(
        "daily P&L", null=True, blank=True, help_text="Since the beginning of the day, UTC."
    )
    total_pnl = fields.Money("total P&L", null=True, blank=True)
    win_rate = fields.Ratio(null=True, blank=True, help_text="Percent of its sales.")
    sharpe_ratio = models.FloatField("Sharpe", null=True, blank=True)
    max_drawdown = fields.Ratio(null=True, blank=True, help_text="Percent.")

    class Meta:
        db_table = "paper_performance"
        constraints = [
            models.UniqueConstraint(
                fields=["portfolio", "timestamp", "origin"], name="paper_performance_one_per_time"
            ),
            known_choices("origin", Origin, name="paper_performance_origin_known"),
            finite("total_value", name="paper_performance_value_finite"),
            finite("daily_pnl", name="paper_performance_daily_finite"),
            finite("total_pnl", name="paper_performance_total_finite"),
            real("sharpe_ratio", name="paper_performance_sharpe_finite"),
        ]
        indexes = [models.Index(fields=["timestamp", "id"], name="paper_performance_time_idx")]

    def __str__(self) -> str:
        return f"{self.portfolio_id or 'all'} at {self.timestamp:%Y-%m-%d %H:%M:%S} ({self.id})"
