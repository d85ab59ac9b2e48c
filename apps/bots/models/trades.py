"""Round trips of bots, with the parts in which they were closed."""

import uuid
from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast

from apps.bots.choices import Direction, TradeStatus, TradeType
from apps.bots.models.instances import BotInstance
from apps.shared import fields
from apps.shared.models import TimestampedModel, finite, known_choices, positive

CLOSED_LEAF = Q(status=TradeStatus.CLOSED, partial_exits=0)


class TradeQuerySet(models.QuerySet["Trade"]):
    def roots(self) -> Self:
        """Whole round trips: what is counted."""
        return self.filter(parent_trade__isnull=True)

    def leaves(self) -> Self:
        """Closed parts, each at its own time: what is added up, and never beside the roots."""
        return self.filter(CLOSED_LEAF)

    def open(self) -> Self:
        return self.roots().filter(status=TradeStatus.OPEN)

    def of_type(self, trade_type: str) -> Self:
        return self.filter(trade_type=trade_type)


class Trade(TimestampedModel):
    """A bot's round trip (a root), or one part in which it was closed (a child).

    A root is counted, its closed leaves are added up: a root with children holds their sums. While
    it is open, those are what is realized so far. Trades of different types and currencies are
    never added together.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    bot = models.ForeignKey(BotInstance, models.PROTECT, db_index=False, related_name="trades")
    trade_type = models.CharField("type", max_length=12, choices=TradeType)
    strategy_name = models.CharField("strategy", max_length=100, blank=True)
    entry_logic_name = models.CharField("entry logic", max_length=100, blank=True)
    exit_logic_name = models.CharField("exit logic", max_length=100, blank=True)
    symbol = models.CharField(max_length=50)
    interval = models.CharField(max_length=10, blank=True)
    quote_currency = models.CharField("currency", max_length=10, blank=True)
    direction = models.CharField(max_length=5, choices=Direction)
    status = models.CharField(
        max_length=9, choices=TradeStatus, default=TradeStatus.OPEN, db_default=TradeStatus.OPEN
    )
    size = fields.Size(null=True, blank=True)
    original_position_size = fields.Size(null=True, blank=True)
    remaining_position_size = fields.Size("remaining size", null=True, blank=True)
    entry_time = models.DateTimeField("entry", null=True, blank=True)
    exit_time = models.DateTimeField("exit", null=True, blank=True)
    buy_order_created = models.DateTimeField(null=True, blank=True)
    buy_order_closed = models.DateTimeField(null=True, blank=True)
    sell_order_created = models.DateTimeField(null=True, blank=True)
    sell_order_closed = models.DateTimeField(null=True, blank=True)
    entry_price = fields.Price(null=True, blank=True)
    exit_price = fields.Price(
        null=True, blank=True, help_text="Of several parts: their value by their size."
    )
    entry_value = fields.Money(null=True, blank=True)
    exit_value = fields.Money(null=True, blank=True)
    commission_rate = fields.Ratio(null=True, blank=True, help_text="A fraction of the value.")
    entry_commission = fields.Money("entry fee", null=True, blank=True)
    exit_commission = fields.Money("exit fee", null=True, blank=True)
    commission = fields.Money("fees", null=True, blank=True)
    gross_pnl = fields.Money("gross P&L", null=True, blank=True)
    net_pnl = fields.Money("net P&L", null=True, blank=True)
    pnl_percentage = fields.Ratio(
        "P&L, percent", null=True, blank=True, help_text="Net, of the value at entry."
    )
    reported_net_pnl = fields.Money(
        "reported P&L", null=True, blank=True, help_text="What the bot itself made of it."
    )
    exit_reason = models.CharField(max_length=100, blank=True)
    extra_metadata = models.JSONField(default=dict, blank=True)
    exit_metadata = models.JSONField(default=dict, blank=True)
    # Partial exits
    parent_trade = models.ForeignKey(
        "self",
        models.CASCADE,
        null=True,
        blank=True,
        db_index=False,  # an index below leaves the empty ones out
        related_name="exits",
    )
    partial_exit_sequence = models.PositiveIntegerField("part", null=True, blank=True)
    is_partial_exit = models.BooleanField(default=False, db_default=False)
    partial_exits = models.PositiveIntegerField("parts", default=0, db_default=0)
    total_position_pnl = fields.Money(
        null=True, blank=True, help_text="Net, of all parts; on the last of them."
    )
    position_id = models.CharField(max_length=100, blank=True)

    objects = TradeQuerySet.as_manager()

    class Meta:
        db_table = "trades"
        constraints = [
            models.CheckConstraint(condition=~Q(symbol=""), name="trades_named"),
            known_choices("trade_type", TradeType, name="trades_type_known"),
            known_choices("direction", Direction, name="trades_direction_known"),
            known_choices("status", TradeStatus, name="trades_status_known"),
            positive("size", name="trades_size_positive"),
            positive("entry_price", name="trades_entry_price_positive"),
            positive("exit_price", name="trades_exit_price_positive"),
            *(
                finite(name, name=f"trades_{name}_finite")
                for name in (
                    "commission",
                    "entry_commission",
                    "exit_commission",
                    "gross_pnl",
                    "net_pnl",
                    "reported_net_pnl",
                    "total_position_pnl",
                    "entry_value",
                    "exit_value",
                )
            ),
            models.CheckConstraint(
                condition=Q(net_pnl__isnull=True)
                | Q(
                    net_pnl=F("gross_pnl") - F("commission"),
                    gross_pnl__isnull=False,
                    commission__isnull=False,
                ),
                name="trades_net_is_gross_less_fees",
            ),
            models.CheckConstraint(
                condition=Q(
                    status=TradeStatus.CLOSED,
                    entry_price__isnull=False,
                    exit_price__isnull=False,
                    exit_time__isnull=False,
                    size__isnull=False,
                    net_pnl__isnull=False,
                )
                | Q(~Q(status=TradeStatus.CLOSED), exit_price__isnull=True, exit_time__isnull=True),
                name="trades_closed_has_exit",
            ),
            models.CheckConstraint(
                condition=Q(entry_time__isnull=True)
                | Q(exit_time__isnull=True)
                | Q(exit_time__gte=F("entry_time")),
                name="trades_exit_after_entry",
            ),
            models.CheckConstraint(
                condition=Q(
                    is_partial_exit=True,
                    parent_trade__isnull=False,
                    partial_exit_sequence__isnull=False,
                    status=TradeStatus.CLOSED,
                    partial_exits=0,
                )
                | Q(
                    is_partial_exit=False,
                    parent_trade__isnull=True,
                    partial_exit_sequence__isnull=True,
                ),
                name="trades_part_has_parent",
            ),
            models.CheckConstraint(
                condition=Q(remaining_position_size__isnull=True)
                | Q(
                    remaining_position_size__gte=Decimal(0),
                    remaining_position_size__lte=F("original_position_size"),
                ),
                name="trades_remaining_within_size",
            ),
            models.UniqueConstraint(
                fields=["parent_trade", "partial_exit_sequence"], name="trades_one_part_per_number"
            ),
        ]
        indexes = [
            models.Index(fields=["symbol", "status"], name="idx_symbol_status"),
            models.Index(fields=["entry_time"], name="idx_entry_time"),
            models.Index(fields=["entry_logic_name", "exit_logic_name"], name="idx_strategy"),
            models.Index(fields=["bot", "trade_type"], name="idx_bot_trade_type"),
            models.Index(fields=["created_at", "id"], name="trades_created_idx"),
            models.Index(fields=["bot", "created_at", "id"], name="trades_bot_created_idx"),
            models.Index(
                fields=["bot"],
                name="trades_open_idx",
                condition=Q(status=TradeStatus.OPEN, parent_trade__isnull=True),
            ),
            # Money as it came in, bot by bot, and over all of them by time.
            # As a float too: turning a million decimals into floats takes as long as summing them.
            models.Index(
                F("bot"),
                F("trade_type"),
                F("quote_currency"),
                F("exit_time"),
                Cast("net_pnl", models.FloatField()),
                include=["net_pnl"],
                name="trades_ledger_idx",
                condition=CLOSED_LEAF,
            ),
            # Bots that close in parts.
            models.Index(
                fields=["bot"], name="trades_parted_idx", condition=Q(partial_exits__gt=0)
            ),
            # Round trips that are over, the oldest first: what leaves for an archive.
            models.Index(
                fields=["exit_time", "id"],
                name="trades_left_idx",
                condition=Q(parent_trade__isnull=True, exit_time__isnull=False),
            ),
            models.Index(
                fields=["exit_time"],
                include=["trade_type", "quote_currency", "net_pnl"],
                name="trades_exit_idx",
                condition=CLOSED_LEAF,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.direction} {str(self.id)[:13]}"
