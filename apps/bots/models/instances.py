"""Bots as they stand, and what they keep with us for their restart."""

from typing import Self

from django.db import models
from django.db.models import Q

from apps.bots.choices import BotHealth, BotStatus, DesiredState, TradeType
from apps.shared import fields
from apps.shared.models import TimestampedModel, finite, known_choices, measured

# Who is at work is expected to be heard of; the others have said goodbye.
AT_WORK = [BotStatus.STARTING, BotStatus.RUNNING, BotStatus.PAUSED, BotStatus.STOPPING]


class BotInstanceQuerySet(models.QuerySet["BotInstance"]):
    def at_work(self) -> Self:
        return self.filter(status__in=AT_WORK)

    def unwell(self) -> Self:
        """At work, but silent, on stale data or idle."""
        return self.at_work().exclude(health=BotHealth.OK)

    def silent(self) -> Self:
        return self.at_work().filter(health=BotHealth.SILENT)

    def in_error(self) -> Self:
        return self.filter(status=BotStatus.ERROR)


class BotInstance(TimestampedModel):
    """A bot under its own name: what it is, what it says of itself, what staff want of it.

    Whether it is alive is judged by our own clock alone; what its clock says is recorded.
    """

    id = models.CharField("name", primary_key=True, max_length=255)
    # Described by whoever runs it
    type = models.CharField(max_length=12, choices=TradeType)
    config_file = models.CharField(max_length=255, blank=True)
    config = models.JSONField(default=dict, blank=True)
    config_hash = models.CharField(
        max_length=64, blank=True, editable=False, help_text="SHA-256 of the configuration here."
    )
    strategy_name = models.CharField("strategy", max_length=100, blank=True)
    symbol = models.CharField(max_length=50, blank=True)
    quote_currency = models.CharField("currency", max_length=10, blank=True)
    initial_balance = fields.Money(
        null=True, blank=True, help_text="Its capital; without it there is no return and no equity."
    )
    heartbeat_interval_seconds = models.PositiveIntegerField(
        "heartbeat interval", default=60, help_text="After three of them it counts as silent."
    )
    candle_interval_seconds = models.PositiveIntegerField(
        "candle interval",
        null=True,
        blank=True,
        help_text="Its data are stale when its last candle is three of them old.",
    )
    version = models.CharField(max_length=100, blank=True)
    extra_metadata = models.JSONField(default=dict, blank=True)
    # Reported with its heartbeats
    status = models.CharField(
        max_length=9, choices=BotStatus, default=BotStatus.STARTING, db_default=BotStatus.STARTING
    )
    current_balance = fields.Money("balance", null=True, blank=True)
    total_pnl = fields.Money("total P&L", null=True, blank=True)
    open_positions = models.PositiveIntegerField(null=True, blank=True)
    last_candle_at = models.DateTimeField("last candle", null=True, blank=True)
    last_decision_at = models.DateTimeField("last decision", null=True, blank=True)
    error_count = models.PositiveIntegerField("errors", default=0, db_default=0)
    last_error = models.TextField(blank=True, default="", db_default="")
    loop_time_ms = fields.Ratio("loop time", null=True, blank=True, help_text="Milliseconds.")
    reported_config_hash = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Of what it works with."
    )
    started_at = models.DateTimeField("started", null=True, blank=True)
    reported_at = models.DateTimeField(
        null=True, blank=True, help_text="When it sent its last heartbeat, by its own clock."
    )
    # Seen from here
    last_heartbeat = models.DateTimeField("last heard", null=True, blank=True)
    beats = models.PositiveBigIntegerField("heartbeats", default=0, db_default=0)
    health = models.CharField(
        max_length=6, choices=BotHealth, default=BotHealth.OK, db_default=BotHealth.OK
    )
    health_since = models.DateTimeField(null=True, blank=True)
    overdue_at = models.DateTimeField(
        null=True, blank=True, help_text="Its health cannot turn by itself before this."
    )
    last_activity_at = models.DateTimeField("last activity", null=True, blank=True)
    usual_gap_seconds = fields.Ratio(
        "usual gap", null=True, blank=True, help_text="Between two trades or decisions of its own."
    )
    # What staff want; delivered with a heartbeat, acknowledged by a later one
    desired_state = models.CharField(
        max_length=5, choices=DesiredState, default=DesiredState.RUN, db_default=DesiredState.RUN
    )
    desired_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    desired_reason = models.CharField(max_length=500, blank=True, default="", db_default="")
    desired_at = models.DateTimeField(null=True, blank=True)
    instruction = models.PositiveIntegerField(default=0, db_default=0)
    delivered_at = models.DateTimeField("delivered", null=True, blank=True)
    acknowledged_at = models.DateTimeField("acknowledged", null=True, blank=True)

    objects = BotInstanceQuerySet.as_manager()

    class Meta:
        db_table = "bot_instances"
        verbose_name = "bot"
        constraints = [
            models.CheckConstraint(condition=~Q(id=""), name="bot_instances_named"),
            known_choices("type", TradeType, name="bot_instances_type_known"),
            known_choices("status", BotStatus, name="bot_instances_status_known"),
            known_choices("health", BotHealth, name="bot_instances_health_known"),
            known_choices("desired_state", DesiredState, name="bot_instances_desired_known"),
            models.CheckConstraint(
                condition=Q(
                    heartbeat_interval_seconds__gte=1, heartbeat_interval_seconds__lte=86400
                ),
                name="bot_instances_interval_sane",
            ),
            models.CheckConstraint(
                condition=Q(candle_interval_seconds__isnull=True)
                | Q(candle_interval_seconds__gte=1),
                name="bot_instances_candles_sane",
            ),
            finite("current_balance", name="bot_instances_balance_finite"),
            finite("total_pnl", name="bot_instances_pnl_finite"),
            finite("initial_balance", name="bot_instances_capital_finite"),
            measured("loop_time_ms", name="bot_instances_loop_measured"),
            measured("usual_gap_seconds", name="bot_instances_gap_measured"),
        ]
        # Columns that every heartbeat changes stand in no index: such an update stays in its page.
        indexes = [
            models.Index(fields=["created_at", "id"], name="bot_instances_created_idx"),
            models.Index(fields=["type"], name="idx_bot_type"),
            models.Index(fields=["status"], name="idx_bot_status"),
            models.Index(
                fields=["overdue_at"],
                name="bot_instances_overdue_idx",
                condition=Q(overdue_at__isnull=False),
            ),
            models.Index(
                fields=["health"],
                name="bot_instances_unwell_idx",
                condition=~Q(health=BotHealth.OK),
            ),
        ]

    def __str__(self) -> str:
        return self.id


class BotState(TimestampedModel):
    """One document that a bot or agent keeps with us, so that it can go on after a restart.

    Its version goes up with every write; who writes names the version it has read.
    """

    key = models.CharField(primary_key=True, max_length=255)
    bot = models.ForeignKey(
        BotInstance, models.CASCADE, null=True, blank=True, related_name="states"
    )
    value = models.JSONField(help_text="Any JSON.")
    version = models.PositiveIntegerField(default=1, db_default=1)

    class Meta:
        db_table = "bot_state"
        verbose_name = "bot state"
        constraints = [
            models.CheckConstraint(condition=~Q(key="") & Q(version__gte=1), name="bot_state_named")
        ]
        indexes = [models.Index(fields=["updated_at", "key"], name="bot_state_updated_idx")]

    def __str__(self) -> str:
        return self.key
