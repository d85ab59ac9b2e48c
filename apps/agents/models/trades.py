"""What agents traded."""

import uuid
from typing import Self

from django.db import models
from django.db.models import F, Q

from apps.agents.choices import Side, TradeStatus
from apps.agents.models.agents import TradingAgent
from apps.agents.models.decisions import AgentDecision
from apps.shared import fields
from apps.shared.models import TimestampedModel, finite, known_choices, positive

OVER = [TradeStatus.CLOSED, TradeStatus.LIQUIDATED]
PNL_UNKNOWN = Q(status__in=OVER, realized_pnl__isnull=True)


class AgentTradeQuerySet(models.QuerySet["AgentTrade"]):
    def open(self) -> Self:
        return self.filter(status=TradeStatus.OPEN)

    def over(self) -> Self:
        return self.filter(status__in=OVER)

    def pnl_unknown(self) -> Self:
        """Over, but nobody has told at what price: counted apart, never as zero."""
        return self.filter(PNL_UNKNOWN)


class AgentTrade(TimestampedModel):
    """A round trip of an agent, born of a decision or told alone. Never purged.

    ``realized_pnl`` is net: gross less fees. Over without an exit price, its P&L is unknown.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    agent = models.ForeignKey(TradingAgent, models.PROTECT, db_index=False, related_name="trades")
    decision = models.ForeignKey(
        AgentDecision,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="trades",
        help_text="That opened it.",
    )
    close_decision = models.ForeignKey(
        AgentDecision,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="closed_trades",
        help_text="That closed it.",
    )
    coin = models.CharField(max_length=20)
    symbol = models.CharField(max_length=50, blank=True, help_text="What it is priced by.")
    side = models.CharField(max_length=5, choices=Side)
    status = models.CharField(
        max_length=10, choices=TradeStatus, default=TradeStatus.OPEN, db_default=TradeStatus.OPEN
    )
    size = fields.Size()
    leverage = fields.Ratio(null=True, blank=True)
    entry_price = fields.Price(null=True, blank=True)
    entry_time = models.DateTimeField("entry", null=True, blank=True)
    exit_price = fields.Price(null=True, blank=True)
    exit_time = models.DateTimeField("exit", null=True, blank=True)
    entry_fees = fields.Money(null=True, blank=True)
    exit_fees = fields.Money(null=True, blank=True)
    fees = fields.Money(null=True, blank=True)
    gross_pnl = fields.Money("gross P&L", null=True, blank=True)
    realized_pnl = fields.Money("realized P&L", null=True, blank=True, help_text="Net of fees.")
    reported_pnl = fields.Money(
        "reported P&L", null=True, blank=True, help_text="What the agent itself made of it."
    )
    unrealized_pnl = fields.Money(
        "unrealized P&L", null=True, blank=True, help_text="Net of the fees paid so far."
    )
    mark_price = fields.Price("marked at", null=True, blank=True)
    marked_at = models.DateTimeField("marked", null=True, blank=True)
    liquidation_price = fields.Price(null=True, blank=True, help_text="About: by its leverage.")
    exit_reason = models.CharField(max_length=100, blank=True)
    hyperliquid_order_id = models.CharField("order", max_length=100, blank=True)
    notes = models.TextField(blank=True)
    extra_metadata = models.JSONField(default=dict, blank=True)

    objects = AgentTradeQuerySet.as_manager()

    class Meta:
        db_table = "agent_trades"
        verbose_name = "agent trade"
        constraints = [
            models.CheckConstraint(condition=~Q(coin=""), name="agent_trades_named"),
            known_choices("side", Side, name="agent_trades_side_known"),
            known_choices("status", TradeStatus, name="agent_trades_status_known"),
            positive("size", name="agent_trades_size_positive"),
            positive("entry_price", name="agent_trades_entry_positive"),
            positive("exit_price", name="agent_trades_exit_positive"),
            models.CheckConstraint(
                condition=Q(leverage__isnull=True) | Q(leverage__gt=0, leverage__lte=1000),
                name="agent_trades_leverage_in_range",
            ),
            *(
                finite(name, name=f"agent_trades_{name}_finite")
                for name in ("fees", "entry_fees", "exit_fees", "gross_pnl", "reported_pnl")
            ),
            models.CheckConstraint(
                condition=Q(realized_pnl__isnull=True, gross_pnl__isnull=True)
                | Q(
                    realized_pnl=F("gross_pnl") - F("fees"),
                    gross_pnl__isnull=False,
                    fees__isnull=False,
                    status__in=OVER,
                ),
                name="agent_trades_net_is_gross_less_fees",
            ),
            models.CheckConstraint(
                condition=Q(status__in=OVER, exit_time__isnull=False, unrealized_pnl__isnull=True)
                | Q(~Q(status__in=OVER), exit_price__isnull=True, exit_time__isnull=True),
                name="agent_trades_over_has_exit",
            ),
            models.CheckConstraint(
                condition=Q(entry_time__isnull=True)
                | Q(exit_time__isnull=True)
                | Q(exit_time__gte=F("entry_time")),
                name="agent_trades_exit_after_entry",
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="agent_trades_created_idx"),
            # Money as it came in, agent by agent, without a look at the rows.
            models.Index(
                fields=["agent", "exit_time"],
                include=["realized_pnl", "fees", "decision"],
                name="agent_trades_ledger_idx",
                condition=Q(status__in=OVER),
            ),
            models.Index(
                fields=["agent", "coin"],
                name="agent_trades_open_idx",
                condition=Q(status=TradeStatus.OPEN),
            ),
            models.Index(fields=["agent", "created_at", "id"], name="idx_agent_trades_agent_id"),
            models.Index(fields=["coin"], name="idx_agent_trades_coin"),
            models.Index(fields=["entry_time"], name="idx_agent_trades_entry_time"),
            models.Index(fields=["status"], name="idx_agent_trades_status"),
            models.Index(
                fields=["decision"],
                name="agent_trades_decision_idx",
                condition=Q(decision__isnull=False),
            ),
            models.Index(
                fields=["close_decision"],
                name="agent_trades_close_idx",
                condition=Q(close_decision__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.coin} {self.side} {str(self.id)[:13]}"
