"""What agents decided, accepted or not, and what became of it."""

import uuid

from django.db import models
from django.db.models import Q

from apps.agents.choices import Action, DecisionStatus, FirstTouch, OutcomeStatus, Side
from apps.agents.models.agents import TradingAgent
from apps.agents.models.calls import LLMCall
from apps.market.choices import Granularity
from apps.shared import fields
from apps.shared.models import CreatedModel, TimestampedModel, finite, known_choices, positive


def known_or_empty(
    field: str, choices: type[models.TextChoices], *, name: str
) -> models.CheckConstraint:
    """Hold a vocabulary in a column that may also be empty."""
    condition = Q(**{field: ""}) | Q(**{f"{field}__in": choices.values})
    return models.CheckConstraint(condition=condition, name=name)


class AgentDecision(CreatedModel):
    """What an agent wanted to do with one coin, with its real values, whatever came of it.

    Only one that breaks no rule is a *success*. What could not be read is empty.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    agent = models.ForeignKey(
        TradingAgent, models.PROTECT, db_index=False, related_name="decisions"
    )
    call = models.ForeignKey(
        LLMCall, models.PROTECT, null=True, blank=True, db_index=False, related_name="decisions"
    )
    timestamp = models.DateTimeField(help_text="By the agent's clock.")
    place = models.PositiveIntegerField(default=0, help_text="In its call, from 0.")
    status = models.CharField(max_length=13, choices=DecisionStatus)
    action = models.CharField(max_length=14, choices=Action, blank=True)
    coin = models.CharField(max_length=20, blank=True)
    symbol = models.CharField(max_length=50, blank=True, help_text="What it is judged on.")
    direction = models.CharField(
        max_length=5,
        choices=Side,
        blank=True,
        help_text="Which way it bets; a close against what was held.",
    )
    size_usd = fields.Money("size", null=True, blank=True, help_text="Value of the position.")
    leverage = fields.Ratio(null=True, blank=True)
    stop_loss_price = fields.Price("stop", null=True, blank=True)
    take_profit_price = fields.Price("target", null=True, blank=True)
    confidence = fields.Ratio(null=True, blank=True, help_text="A probability, 0 to 1.")
    entry_price = fields.Price(
        null=True, blank=True, help_text="As told, else the price at its time."
    )
    account_value = fields.Money(null=True, blank=True, help_text="What the size was held against.")
    withdrawable = fields.Money(
        null=True, blank=True, help_text="What the margin was held against."
    )
    reasoning = models.TextField(blank=True)
    error_message = models.TextField(blank=True)
    violations = models.JSONField(default=list, blank=True, help_text="Every rule it broke.")
    chain_of_thought = models.JSONField(
        null=True, blank=True, help_text="All that the answer says of this coin."
    )
    raw = models.TextField(blank=True, help_text="The piece of the answer that was not readable.")
    execution_time_ms = models.PositiveIntegerField("latency", null=True, blank=True)
    prompt_version = models.CharField(max_length=64, blank=True)
    content_hash = models.CharField(max_length=64, editable=False)

    class Meta:
        db_table = "agent_decisions"
        verbose_name = "decision"
        constraints = [
            known_choices("status", DecisionStatus, name="agent_decisions_status_known"),
            known_or_empty("action", Action, name="agent_decisions_action_known"),
            known_or_empty("direction", Side, name="agent_decisions_direction_known"),
            models.CheckConstraint(
                condition=~Q(status=DecisionStatus.SUCCESS)
                | Q(
                    action__in=Action.values,
                    leverage__gte=1,
                    leverage__lte=50,
                    confidence__gte=0,
                    confidence__lte=1,
                    size_usd__gte=0,
                    violations=[],
                )
                & ~Q(coin=""),
                name="agent_decisions_success_sound",
            ),
            models.CheckConstraint(
                condition=~Q(status=DecisionStatus.REJECTED) | ~Q(violations=[]),
                name="agent_decisions_rejected_why",
            ),
            positive("entry_price", name="agent_decisions_entry_positive"),
            *(
                finite(name, name=f"agent_decisions_{name}_finite")
                for name in ("size_usd", "stop_loss_price", "take_profit_price")
            ),
        ]
        indexes = [
            models.Index(fields=["timestamp", "id"], name="idx_agent_decisions_timestamp"),
            # Counted by agent and status without a look at the rows.
            models.Index(
                fields=["agent", "timestamp", "id"],
                include=["status", "action", "prompt_version"],
                name="idx_agent_decisions_agent_id",
            ),
            models.Index(fields=["status", "timestamp", "id"], name="idx_agent_decisions_status"),
            models.Index(fields=["action", "timestamp", "id"], name="idx_agent_decisions_action"),
            models.Index(fields=["coin", "timestamp", "id"], name="idx_agent_decisions_coin"),
            models.Index(
                fields=["call", "place"],
                name="agent_decisions_call_idx",
                condition=Q(call__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        words = " ".join(word for word in (self.action, self.coin) if word)
        return f"{words or self.get_status_display()} {str(self.id)[:13]}"


class DecisionOutcome(TimestampedModel):
    """What the price did after a decision: *open* until a day has passed, then final.

    Born with it. Changes are in its direction; where it has none (a HOLD) they are those of
    buying, and selling would have brought their negative.
    """

    decision = models.OneToOneField(AgentDecision, models.CASCADE, related_name="outcome")
    agent = models.ForeignKey(TradingAgent, models.CASCADE, db_index=False, related_name="outcomes")
    symbol = models.CharField(max_length=50, blank=True)
    moment = models.DateTimeField("decided")
    action = models.CharField(max_length=14, choices=Action, blank=True)
    direction = models.CharField(max_length=5, choices=Side, blank=True)
    confidence = fields.Ratio(null=True, blank=True)
    is_accepted = models.BooleanField("accepted")
    prompt_version = models.CharField(max_length=64, blank=True)
    target = fields.Price(null=True, blank=True)
    stop = fields.Price(null=True, blank=True)
    status = models.CharField(
        max_length=10,
        choices=OutcomeStatus,
        default=OutcomeStatus.OPEN,
        db_default=OutcomeStatus.OPEN,
    )
    source = models.CharField(
        max_length=50, blank=True, default="", db_default="", help_text="Candles judged on."
    )
    granularity = models.CharField(
        max_length=3, choices=Granularity, blank=True, default="", db_default=""
    )
    entry_price = fields.Price(null=True, blank=True, help_text="The price changes count from.")
    price_1h = fields.Price("price after 1 h", null=True, blank=True)
    price_4h = fields.Price("price after 4 h", null=True, blank=True)
    price_24h = fields.Price("price after 24 h", null=True, blank=True)
    change_1h = fields.Ratio("change in 1 h", null=True, blank=True, help_text="Percent.")
    change_4h = fields.Ratio("change in 4 h", null=True, blank=True, help_text="Percent.")
    change_24h = fields.Ratio("change in 24 h", null=True, blank=True, help_text="Percent.")
    max_gain = fields.Ratio(null=True, blank=True, help_text="Best change in 24 hours, percent.")
    max_loss = fields.Ratio(null=True, blank=True, help_text="Worst change in 24 hours, percent.")
    first_touch = models.CharField(
        max_length=10, choices=FirstTouch, blank=True, default="", db_default=""
    )
    first_touch_at = models.DateTimeField(null=True, blank=True)
    is_hit = models.BooleanField(
        "hit", null=True, blank=True, help_text="In its favor after 24 hours. Empty: undecided."
    )
    note = models.TextField(
        blank=True, default="", db_default="", help_text="Why something is empty."
    )
    next_hours = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="The checkpoint that it waits for."
    )
    due_at = models.DateTimeField("due", null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "decision_outcomes"
        verbose_name = "decision outcome"
        constraints = [
            known_choices("status", OutcomeStatus, name="decision_outcomes_status_known"),
            known_or_empty("first_touch", FirstTouch, name="decision_outcomes_touch_known"),
            known_or_empty("direction", Side, name="decision_outcomes_direction_known"),
            positive("entry_price", name="decision_outcomes_entry_positive"),
            models.CheckConstraint(
                condition=Q(status=OutcomeStatus.SETTLED, settled_at__isnull=False)
                | Q(~Q(status=OutcomeStatus.SETTLED), settled_at__isnull=True),
                name="decision_outcomes_settled_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["moment", "id"], name="decision_outcomes_moment_idx"),
            models.Index(fields=["agent", "moment", "id"], name="decision_outcomes_agent_idx"),
            # Hits are counted without a look at the rows.
            models.Index(
                fields=["agent", "moment"],
                include=["is_hit", "confidence", "prompt_version"],
                name="decision_outcomes_hits_idx",
                condition=Q(is_hit__isnull=False, is_accepted=True),
            ),
            # What a tick looks at: open rows only, series by series, the earliest due first.
            models.Index(
                fields=["source", "symbol", "granularity", "due_at"],
                name="decision_outcomes_due_idx",
                condition=Q(status=OutcomeStatus.OPEN),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.decision_id}: {self.get_status_display().lower()}"
