"""Prices and amounts at which something must happen."""

from typing import Self

from django.db import models
from django.db.models import Q

from apps.bots.choices import Direction, LimitAction, LimitStatus, LimitType, TradeType
from apps.bots.models.instances import BotInstance
from apps.bots.models.lots import Position
from apps.shared import fields
from apps.shared.models import TimestampedModel, finite, known_choices, positive

PRICE_KINDS = [LimitType.STOP_LOSS, LimitType.TAKE_PROFIT]


class TradingLimitQuerySet(models.QuerySet["TradingLimit"]):
    def active(self) -> Self:
        return self.filter(status=LimitStatus.ACTIVE)

    def near(self) -> Self:
        """Active ones of which more than 80 % is used up."""
        return self.active().filter(usage__gte="0.8")


class TradingLimit(TimestampedModel):
    """A price, or an amount of the operator's own, that fires once when it is reached.

    It holds one bot, one symbol, both or all, always of one trade type. What it does when it
    fires is told to the bots with their next heartbeat, and to staff at once.
    """

    id = models.CharField(primary_key=True, max_length=100)
    limit_type = models.CharField("kind", max_length=19, choices=LimitType)
    status = models.CharField(
        max_length=9,
        choices=LimitStatus,
        default=LimitStatus.ACTIVE,
        db_default=LimitStatus.ACTIVE,
    )
    bot = models.ForeignKey(
        BotInstance, models.CASCADE, null=True, blank=True, related_name="limits"
    )
    type = models.CharField(max_length=12, choices=TradeType)
    symbol = models.CharField(max_length=50, blank=True)
    lot = models.ForeignKey(
        Position,
        models.CASCADE,
        db_column="lot_id",
        null=True,
        blank=True,
        related_name="limits",
    )
    direction = models.CharField(
        max_length=5,
        choices=Direction,
        default=Direction.LONG,
        db_default=Direction.LONG,
        help_text="What is held: the stop of a short lies above.",
    )
    price = fields.Price(null=True, blank=True, help_text="Of a stop loss or take profit.")
    size = fields.Size(null=True, blank=True)
    threshold = fields.Money(
        null=True, blank=True, help_text="An amount of money, a percentage or a number of trades."
    )
    currency = models.CharField(max_length=10, blank=True)
    action = models.CharField(
        max_length=6, choices=LimitAction, default=LimitAction.NOTIFY, db_default=LimitAction.NOTIFY
    )
    reference_price = fields.Price(
        null=True, blank=True, help_text="Where the way to the price begins."
    )
    counts_from = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When its price was changed: candles that began before do not touch it.",
    )
    # As it was last looked at
    current_value = fields.Money(null=True, blank=True)
    usage = fields.Ratio(null=True, blank=True, help_text="How much of it is used up; 1 fires.")
    evaluated_at = models.DateTimeField("evaluated", null=True, blank=True)
    evaluated_until = models.DateTimeField(
        null=True, blank=True, help_text="Candles up to here have been looked at."
    )
    # Its end
    triggered_at = models.DateTimeField("triggered", null=True, blank=True)
    trigger_price = fields.Price(null=True, blank=True)
    triggered_value = fields.Money(null=True, blank=True)
    cancelled_at = models.DateTimeField("cancelled", null=True, blank=True)
    cancelled_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    notes = models.TextField(blank=True)

    objects = TradingLimitQuerySet.as_manager()

    class Meta:
        db_table = "trading_limits"
        verbose_name = "limit"
        constraints = [
            models.CheckConstraint(condition=~Q(id=""), name="trading_limits_named"),
            known_choices("limit_type", LimitType, name="trading_limits_kind_known"),
            known_choices("status", LimitStatus, name="trading_limits_status_known"),
            known_choices("type", TradeType, name="trading_limits_type_known"),
            known_choices("direction", Direction, name="trading_limits_direction_known"),
            known_choices("action", LimitAction, name="trading_limits_action_known"),
            positive("price", name="trading_limits_price_positive"),
            positive("size", name="trading_limits_size_positive"),
            positive("threshold", name="trading_limits_threshold_positive"),
            positive("reference_price", name="trading_limits_reference_positive"),
            finite("current_value", name="trading_limits_value_finite"),
            models.CheckConstraint(
                condition=Q(
                    Q(symbol__gt=""),
                    limit_type__in=PRICE_KINDS,
                    price__isnull=False,
                    threshold__isnull=True,
                )
                | Q(
                    ~Q(limit_type__in=PRICE_KINDS),
                    price__isnull=True,
                    threshold__isnull=False,
                    lot__isnull=True,
                ),
                name="trading_limits_kind_fits",
            ),
            models.CheckConstraint(
                condition=Q(status=LimitStatus.TRIGGERED, triggered_at__isnull=False)
                | Q(~Q(status=LimitStatus.TRIGGERED), triggered_at__isnull=True),
                name="trading_limits_triggered_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="trading_limits_created_idx"),
            models.Index(
                fields=["limit_type", "symbol"],
                name="trading_limits_active_idx",
                condition=Q(status=LimitStatus.ACTIVE),
            ),
        ]

    def __str__(self) -> str:
        return self.id
