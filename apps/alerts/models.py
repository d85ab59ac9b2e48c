"""Alerts, the prices that followed them, and what became of them."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import F, Q

from apps.alerts.choices import (
    CheckpointStatus,
    Direction,
    FirstTouch,
    PerformanceStatus,
    Priority,
)
from apps.market.choices import Granularity
from apps.shared import fields
from apps.shared.models import CreatedModel, TimestampedModel, known_choices, positive

MAX_LEVERAGE = Decimal(1000)


def beyond(field: str, other: str, *, up: Direction, name: str) -> models.CheckConstraint:
    """Hold ``field`` above ``other`` for alerts of direction ``up`` and below for the rest."""
    down = Direction.SHORT if up == Direction.LONG else Direction.LONG
    return models.CheckConstraint(
        condition=Q(**{f"{field}__isnull": True})
        | Q(**{f"{other}__isnull": True})
        | Q(**{"direction": up, f"{field}__gt": F(other)})
        | Q(**{"direction": down, f"{field}__lt": F(other)}),
        name=name,
    )


class Alert(CreatedModel):
    """A recommendation that a scanner, bot or agent raised: this symbol will rise, or fall.

    What became of it stands in its ``performance``.
    """

    alert_id = models.CharField(max_length=255, help_text="The sender's own name for it.")
    symbol = models.CharField(max_length=50)
    alert_type = models.CharField(max_length=50, default="trading_opportunity")
    priority = models.CharField(max_length=10, choices=Priority, default=Priority.MEDIUM)
    direction = models.CharField(max_length=5, choices=Direction, default=Direction.LONG)
    timestamp = models.DateTimeField(help_text="When it was raised, by the sender's clock.")
    leverage = fields.Ratio(null=True, blank=True)
    confidence = fields.Ratio(null=True, blank=True, help_text="A probability, 0 to 1.")
    strategy = models.CharField(max_length=50, blank=True)
    timeframe = models.CharField(max_length=10, blank=True)
    entry_price = fields.Price(
        null=True, blank=True, help_text="Empty: the price at the alert's own time."
    )
    target_price = fields.Price(null=True, blank=True)
    stop_loss = fields.Price(null=True, blank=True)
    extra_data = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "alerts"
        constraints = [
            # Not unique=True: that would add a second index for LIKE, which nobody asks.
            models.UniqueConstraint(fields=["alert_id"], name="alerts_one_per_alert_id"),
            models.CheckConstraint(condition=~Q(alert_id="") & ~Q(symbol=""), name="alerts_named"),
            known_choices("priority", Priority, name="alerts_priority_known"),
            known_choices("direction", Direction, name="alerts_direction_known"),
            positive("entry_price", name="alerts_entry_positive"),
            positive("target_price", name="alerts_target_positive"),
            positive("stop_loss", name="alerts_stop_positive"),
            models.CheckConstraint(
                condition=Q(confidence__gte=0, confidence__lte=1),
                name="alerts_confidence_probability",
            ),
            models.CheckConstraint(
                condition=Q(leverage__gt=0, leverage__lte=MAX_LEVERAGE),
                name="alerts_leverage_in_range",
            ),
            beyond("target_price", "entry_price", up=Direction.LONG, name="alerts_target_ahead"),
            beyond("stop_loss", "entry_price", up=Direction.SHORT, name="alerts_stop_behind"),
            beyond(
                "target_price", "stop_loss", up=Direction.LONG, name="alerts_target_beyond_stop"
            ),
        ]
        indexes = [
            models.Index(fields=["timestamp", "id"], name="alerts_timestamp_idx"),
            models.Index(fields=["symbol", "timestamp"], name="alerts_symbol_idx"),
            models.Index(fields=["strategy", "timestamp"], name="alerts_strategy_idx"),
            models.Index(fields=["alert_type", "timestamp"], name="alerts_type_idx"),
        ]

    def __str__(self) -> str:
        return self.alert_id


class TrackedPrice(CreatedModel):
    """The price a given number of hours after an alert, as the candles of that moment said."""

    alert = models.ForeignKey(
        Alert,
        models.CASCADE,
        to_field="alert_id",
        db_column="alert_id",
        db_index=False,  # the unique constraint begins with it
        related_name="tracked_prices",
    )
    symbol = models.CharField(max_length=50)
    timestamp = models.DateTimeField(help_text="The checkpoint's own moment.")
    time_elapsed_hours = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=CheckpointStatus)
    price = fields.Price(null=True, blank=True)
    percentage_change = fields.Ratio(
        null=True, blank=True, help_text="In favor of the alert's direction, in percent."
    )
    candle_timestamp = models.DateTimeField(
        null=True, blank=True, help_text="Start of the candle whose close the price is."
    )

    class Meta:
        db_table = "price_tracking"
        verbose_name = "checkpoint price"
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "time_elapsed_hours"], name="price_tracking_one_per_hours"
            ),
            known_choices("status", CheckpointStatus, name="price_tracking_status_known"),
            models.CheckConstraint(
                condition=Q(
                    status=CheckpointStatus.KNOWN,
                    price__isnull=False,
                    candle_timestamp__isnull=False,
                )
                | Q(
                    status=CheckpointStatus.MISSING,
                    price__isnull=True,
                    candle_timestamp__isnull=True,
                    percentage_change__isnull=True,
                ),
                name="price_tracking_never_faked",
            ),
            positive("price", name="price_tracking_price_positive"),
        ]
        indexes = [models.Index(fields=["timestamp", "id"], name="price_tracking_timestamp_idx")]

    def __str__(self) -> str:
        return f"{self.alert_id} +{self.time_elapsed_hours} h"


class AlertPerformance(TimestampedModel):
    """What became of an alert: provisional while *open*, final once *settled*.

    Born open together with its alert. ``source`` stays empty until the candles to judge on
    could be chosen.
    """

    alert = models.OneToOneField(
        Alert,
        models.CASCADE,
        to_field="alert_id",
        db_column="alert_id",
        related_name="performance",
    )
    symbol = models.CharField(max_length=50)
    status = models.CharField(
        max_length=10,
        choices=PerformanceStatus,
        default=PerformanceStatus.OPEN,
        db_default=PerformanceStatus.OPEN,
    )
    source = models.CharField(
        max_length=50, blank=True, default="", db_default="", help_text="Candles judged on."
    )
    granularity = models.CharField(
        max_length=3, choices=Granularity, blank=True, default="", db_default=""
    )
    entry_price = fields.Price(null=True, blank=True, help_text="The price changes count from.")
    is_success = models.BooleanField(null=True, blank=True, help_text="Empty: undecided.")
    max_gain = fields.Ratio(
        null=True, blank=True, help_text="Best change in the window, by highs and lows, percent."
    )
    max_loss = fields.Ratio(
        null=True, blank=True, help_text="Worst change in the window, by highs and lows, percent."
    )
    checkpoint_max_gain = fields.Ratio(
        null=True, blank=True, help_text="Best change at a checkpoint, percent."
    )
    checkpoint_max_loss = fields.Ratio(
        null=True, blank=True, help_text="Worst change at a checkpoint, percent."
    )
    final_return_24h = fields.Ratio("return 24 h", null=True, blank=True)
    final_return_72h = fields.Ratio("return 72 h", null=True, blank=True)
    first_touch = models.CharField(
        max_length=10, choices=FirstTouch, blank=True, default="", db_default=""
    )
    first_touch_at = models.DateTimeField(
        null=True, blank=True, help_text="Start of the candle that touched."
    )
    evaluation_note = models.TextField(
        blank=True, default="", db_default="", help_text="Why something is empty."
    )
    settled_at = models.DateTimeField(null=True, blank=True)
    next_checkpoint_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="The earliest moment not yet priced; the alert's own time before anything is.",
    )
    judged_through = models.DateTimeField(
        null=True, blank=True, help_text="End of the newest candle that the values know."
    )

    class Meta:
        db_table = "performance_summary"
        verbose_name = "outcome"
        constraints = [
            known_choices("status", PerformanceStatus, name="performance_status_known"),
            models.CheckConstraint(
                condition=Q(first_touch="") | Q(first_touch__in=FirstTouch.values),
                name="performance_first_touch_known",
            ),
            models.CheckConstraint(
                condition=Q(status=PerformanceStatus.SETTLED, settled_at__isnull=False)
                | Q(status=PerformanceStatus.OPEN, settled_at__isnull=True),
                name="performance_settled_has_time",
            ),
        ]
        indexes = [
            # What a tick looks at: open rows only, found by series and by what they wait for.
            models.Index(
                fields=["source", "symbol", "granularity", "next_checkpoint_at"],
                name="performance_due_idx",
                condition=Q(status=PerformanceStatus.OPEN),
            ),
            models.Index(
                fields=["source", "symbol", "granularity", "judged_through"],
                name="performance_judged_idx",
                condition=Q(status=PerformanceStatus.OPEN),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.alert_id}: {self.get_status_display().lower()}"
