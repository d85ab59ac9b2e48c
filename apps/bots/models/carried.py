"""What trades that have left for an archive came to: carried forward, as books are."""

from django.db import models

from apps.bots.choices import TradeType
from apps.bots.models.instances import BotInstance
from apps.shared import fields
from apps.shared.models import TimestampedModel, finite, known_choices


class CarriedResult(TimestampedModel):
    """The sums of a bot's closed trades of one symbol, type and currency that were archived.

    A ledger begins with them, so that its balance is the same before and after. ``trades`` and
    their results count round trips; ``net_pnl`` and ``commission`` add up their closed leaves.
    Kept by the transaction in which the trades leave or come back.
    """

    bot = models.ForeignKey(
        BotInstance, models.PROTECT, db_index=False, related_name="carried_results"
    )
    trade_type = models.CharField("type", max_length=12, choices=TradeType)
    symbol = models.CharField(max_length=50)
    quote_currency = models.CharField("currency", max_length=10, blank=True)
    trades = models.PositiveIntegerField(default=0)
    winning = models.PositiveIntegerField(default=0)
    losing = models.PositiveIntegerField(default=0)
    net_pnl = fields.Money("net P&L")
    commission = fields.Money("fees")
    last_exit = models.DateTimeField(
        null=True, blank=True, help_text="The latest exit among them; never set back."
    )

    class Meta:
        db_table = "carried_results"
        constraints = [
            models.UniqueConstraint(
                fields=["bot", "trade_type", "symbol", "quote_currency"],
                name="carried_results_one",
            ),
            known_choices("trade_type", TradeType, name="carried_results_type_known"),
            finite("net_pnl", name="carried_results_net_finite"),
            finite("commission", name="carried_results_commission_finite"),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="carried_results_created_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.bot_id} {self.symbol} {self.trade_type}"
