"""Inventory in lots, and the bookings that alone move it."""

from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import F, Q

from apps.bots.choices import Side, TradeType
from apps.bots.models.instances import BotInstance
from apps.shared import fields
from apps.shared.models import CreatedModel, TimestampedModel, finite, known_choices, positive


class PositionQuerySet(models.QuerySet["Position"]):
    def held(self) -> Self:
        """Lots with something left."""
        return self.filter(total_size__gt=0)


class Position(TimestampedModel):
    """A lot: what was bought and is still there. What is available is not reserved."""

    lot_id = models.CharField("lot", primary_key=True, max_length=100)
    bot = models.ForeignKey(
        BotInstance, models.PROTECT, null=True, blank=True, db_index=False, related_name="lots"
    )
    type = models.CharField(max_length=12, choices=TradeType)
    symbol = models.CharField(max_length=50)
    quote_currency = models.CharField("currency", max_length=10, blank=True)
    total_size = fields.Size(default=Decimal(0), db_default=Decimal(0))
    available_size = fields.Size(default=Decimal(0), db_default=Decimal(0))
    avg_buy_price = fields.Price("average price", null=True, blank=True)
    realized_pnl = fields.Money(
        "realized P&L", default=Decimal(0), db_default=Decimal(0), help_text="Before fees."
    )
    fees = fields.Money(default=Decimal(0), db_default=Decimal(0))
    opened_at = models.DateTimeField("opened", null=True, blank=True)
    closed_at = models.DateTimeField("closed", null=True, blank=True)

    objects = PositionQuerySet.as_manager()

    class Meta:
        db_table = "positions"
        verbose_name = "lot"
        constraints = [
            models.CheckConstraint(condition=~Q(lot_id="") & ~Q(symbol=""), name="positions_named"),
            known_choices("type", TradeType, name="positions_type_known"),
            models.CheckConstraint(
                condition=Q(
                    available_size__gte=Decimal(0),
                    available_size__lte=F("total_size"),
                    total_size__lt=Decimal(10) ** 20,
                ),
                name="positions_available_within_total",
            ),
            positive("avg_buy_price", name="positions_average_positive"),
            finite("realized_pnl", name="positions_realized_finite"),
            finite("fees", name="positions_fees_finite"),
        ]
        indexes = [
            models.Index(fields=["symbol"], name="idx_positions_symbol"),
            models.Index(fields=["created_at", "lot_id"], name="positions_created_idx"),
            models.Index(fields=["bot"], name="positions_bot_idx"),
            models.Index(
                fields=["symbol", "opened_at", "lot_id"],
                name="positions_held_idx",
                condition=Q(total_size__gt=Decimal(0)),
            ),
        ]

    def __str__(self) -> str:
        return self.lot_id


class LotTrade(CreatedModel):
    """One booking against a lot: bought into it, or sold from it."""

    id = models.CharField(primary_key=True, max_length=120)
    booking = models.CharField(
        max_length=100, help_text="The sender's name; a sale may be booked against several lots."
    )
    lot = models.ForeignKey(
        Position, models.PROTECT, db_column="lot_id", db_index=False, related_name="bookings"
    )
    bot = models.ForeignKey(
        BotInstance, models.PROTECT, null=True, blank=True, db_index=False, related_name="+"
    )
    type = models.CharField(max_length=12, choices=TradeType)
    symbol = models.CharField(max_length=50)
    trade_type = models.CharField("side", max_length=4, choices=Side)
    price = fields.Price()
    size = fields.Size()
    fee = fields.Money(default=Decimal(0), db_default=Decimal(0))
    pnl = fields.Money("P&L", null=True, blank=True, help_text="Of a sale, before fees.")
    avg_buy_price = fields.Price(
        "average price", null=True, blank=True, help_text="Of the lot, when it was sold."
    )
    timestamp = models.DateTimeField()
    status = models.CharField(max_length=20, default="executed", db_default="executed")
    notes = models.TextField(blank=True)

    class Meta:
        db_table = "lot_trades"
        verbose_name = "lot booking"
        constraints = [
            models.CheckConstraint(
                condition=~Q(id="") & ~Q(booking="") & ~Q(symbol=""), name="lot_trades_named"
            ),
            models.UniqueConstraint(fields=["booking", "lot"], name="lot_trades_one_per_lot"),
            known_choices("type", TradeType, name="lot_trades_type_known"),
            known_choices("trade_type", Side, name="lot_trades_side_known"),
            positive("price", name="lot_trades_price_positive"),
            positive("size", name="lot_trades_size_positive"),
            finite("fee", name="lot_trades_fee_finite"),
            finite("pnl", name="lot_trades_pnl_finite"),
        ]
        indexes = [
            models.Index(fields=["timestamp", "id"], name="idx_trades_timestamp"),
            models.Index(fields=["symbol", "timestamp"], name="idx_trades_symbol"),
            models.Index(fields=["lot", "timestamp"], name="lot_trades_lot_idx"),
            models.Index(fields=["bot", "timestamp"], name="lot_trades_bot_idx"),
        ]

    def __str__(self) -> str:
        return self.id
