"""Instructions to buy or sell, and how they were carried out."""

from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import F, Q

from apps.analysis.models import MLModel, Prediction
from apps.bots.choices import Liquidity, OrderStatus, OrderType, Side, TradeType
from apps.bots.models.instances import BotInstance
from apps.bots.models.trades import Trade
from apps.shared import fields
from apps.shared.models import CreatedModel, TimestampedModel, finite, known_choices, positive

WORKING = [OrderStatus.PENDING, OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED]


class OrderQuerySet(models.QuerySet["Order"]):
    def working(self) -> Self:
        """Those that may still be filled."""
        return self.filter(status__in=WORKING)


class Order(TimestampedModel):
    """An instruction to buy or sell. Its state follows from its fills and from what is reported.

    The filled quantity never exceeds the quantity: fills are taken in under the lock of its row.
    """

    order_id = models.CharField(max_length=100, help_text="The sender's own name for it.")
    bot = models.ForeignKey(
        BotInstance, models.PROTECT, null=True, blank=True, db_index=False, related_name="orders"
    )
    trade = models.ForeignKey(
        Trade, models.SET_NULL, null=True, blank=True, db_index=False, related_name="orders"
    )
    trade_type = models.CharField("type", max_length=12, choices=TradeType)
    symbol = models.CharField(max_length=50)
    side = models.CharField(max_length=4, choices=Side)
    quantity = fields.Size()
    order_type = models.CharField(
        max_length=13, choices=OrderType, default=OrderType.MARKET, db_default=OrderType.MARKET
    )
    price = fields.Price(null=True, blank=True)
    stop_price = fields.Price(null=True, blank=True)
    status = models.CharField(
        max_length=16,
        choices=OrderStatus,
        default=OrderStatus.PENDING,
        db_default=OrderStatus.PENDING,
    )
    strategy = models.CharField(max_length=100, blank=True)
    model = models.ForeignKey(
        MLModel,
        models.PROTECT,
        to_field="model_id",
        db_column="model_id",
        null=True,
        blank=True,
        db_index=False,
        related_name="orders",
    )
    prediction = models.ForeignKey(
        Prediction,
        models.PROTECT,
        to_field="prediction_id",
        db_column="prediction_id",
        null=True,
        blank=True,
        db_index=False,
        related_name="orders",
    )
    filled_quantity = fields.Size("filled", default=Decimal(0), db_default=Decimal(0))
    average_price = fields.Price(
        null=True, blank=True, help_text="Of its fills, weighted by quantity."
    )
    submitted_at = models.DateTimeField("submitted", null=True, blank=True)
    accepted_at = models.DateTimeField("accepted", null=True, blank=True)
    cancelled_at = models.DateTimeField("cancelled", null=True, blank=True)
    rejected_at = models.DateTimeField("rejected", null=True, blank=True)
    expired_at = models.DateTimeField("expired", null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True, default="", db_default="")
    late_events = models.PositiveIntegerField(
        default=0,
        db_default=0,
        help_text="Fills after its end, and ends reported after it was filled.",
    )
    extra_metadata = models.JSONField(default=dict, blank=True)

    objects = OrderQuerySet.as_manager()

    class Meta:
        db_table = "orders"
        constraints = [
            models.UniqueConstraint(fields=["order_id"], name="orders_one_per_id"),
            models.CheckConstraint(condition=~Q(order_id="") & ~Q(symbol=""), name="orders_named"),
            known_choices("trade_type", TradeType, name="orders_type_known"),
            known_choices("side", Side, name="orders_side_known"),
            known_choices("order_type", OrderType, name="orders_order_type_known"),
            known_choices("status", OrderStatus, name="orders_status_known"),
            positive("quantity", name="orders_quantity_positive"),
            positive("price", name="orders_price_positive"),
            positive("stop_price", name="orders_stop_price_positive"),
            positive("average_price", name="orders_average_positive"),
            models.CheckConstraint(
                condition=Q(filled_quantity__gte=Decimal(0), filled_quantity__lte=F("quantity")),
                name="orders_filled_within_quantity",
            ),
        ]
        indexes = [
            models.Index(fields=["symbol", "status"], name="orders_symbol_status_idx"),
            models.Index(fields=["created_at", "id"], name="orders_created_idx"),
            models.Index(fields=["bot", "created_at", "id"], name="orders_bot_created_idx"),
            models.Index(
                fields=["bot"], name="orders_working_idx", condition=Q(status__in=WORKING)
            ),
            models.Index(
                fields=["trade"], name="orders_trade_idx", condition=Q(trade__isnull=False)
            ),
            models.Index(
                fields=["model"], name="orders_model_idx", condition=Q(model__isnull=False)
            ),
            models.Index(
                fields=["prediction"],
                name="orders_prediction_idx",
                condition=Q(prediction__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.order_id


class Fill(CreatedModel):
    """One execution of an order, or of a part of it."""

    order = models.ForeignKey(
        Order,
        models.CASCADE,
        to_field="order_id",
        db_column="order_id",
        db_index=False,  # the unique constraint begins with it
        related_name="fills",
    )
    fill_id = models.CharField(max_length=100)
    symbol = models.CharField(max_length=50)
    quantity = fields.Size()
    price = fields.Price()
    commission = fields.Money(default=Decimal(0), db_default=Decimal(0))
    commission_currency = models.CharField(max_length=10, blank=True)
    liquidity = models.CharField(max_length=5, choices=Liquidity, blank=True)
    timestamp = models.DateTimeField()

    class Meta:
        db_table = "fills"
        constraints = [
            models.UniqueConstraint(fields=["order", "fill_id"], name="fills_one_per_id"),
            models.CheckConstraint(condition=~Q(fill_id=""), name="fills_named"),
            positive("quantity", name="fills_quantity_positive"),
            positive("price", name="fills_price_positive"),
            finite("commission", name="fills_commission_finite"),
            models.CheckConstraint(
                condition=Q(liquidity="") | Q(liquidity__in=Liquidity.values),
                name="fills_liquidity_known",
            ),
        ]
        indexes = [
            models.Index(fields=["timestamp", "id"], name="fills_timestamp_idx"),
            models.Index(fields=["symbol", "timestamp"], name="fills_symbol_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.order_id}: {self.fill_id}"
