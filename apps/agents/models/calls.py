"""What models were asked and what they answered."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from apps.agents.choices import CallStatus, CostSource
from apps.agents.models.agents import TradingAgent, not_negative
from apps.shared import fields
from apps.shared.models import CreatedModel, known_choices


class LLMCall(CreatedModel):
    """One answer of a language model, or the failure to get one; its decisions point to it.

    Prompt and answer are redacted of secrets before they come here, and take a permission of
    their own to read.
    """

    id = models.UUIDField(primary_key=True)
    agent = models.ForeignKey(TradingAgent, models.PROTECT, db_index=False, related_name="calls")
    timestamp = models.DateTimeField(help_text="When it was asked, by the agent's clock.")
    cycle = models.PositiveBigIntegerField(null=True, blank=True, help_text="The agent's count.")
    status = models.CharField(max_length=10, choices=CallStatus)
    provider = models.CharField(max_length=50, blank=True)
    model = models.CharField(max_length=100, blank=True)
    prompt_version = models.CharField(
        max_length=64, blank=True, help_text="A name or a hash of the template of the prompt."
    )
    prompt = models.TextField(blank=True)
    answer = models.TextField(blank=True)
    error = models.TextField(blank=True)
    tokens_in = models.PositiveBigIntegerField("tokens in", null=True, blank=True)
    tokens_out = models.PositiveBigIntegerField("tokens out", null=True, blank=True)
    cost = fields.Money(null=True, blank=True, help_text="US dollars.")
    cost_source = models.CharField("cost from", max_length=5, choices=CostSource, blank=True)
    latency_ms = models.PositiveIntegerField(
        "latency", null=True, blank=True, help_text="Milliseconds."
    )
    temperature = fields.Ratio(null=True, blank=True)
    max_tokens = models.PositiveIntegerField(null=True, blank=True)
    # What the agent saw of its account, where it told
    account_value = fields.Money(null=True, blank=True)
    withdrawable = fields.Money(null=True, blank=True)
    positions = models.JSONField(null=True, blank=True, help_text="Coin: long or short.")
    decisions_count = models.PositiveIntegerField("decisions", default=0)
    accepted_count = models.PositiveIntegerField("accepted", default=0)
    altered = models.JSONField(
        default=dict, blank=True, help_text="What was replaced, redacted or cut, by field."
    )
    content_hash = models.CharField(
        max_length=64, editable=False, help_text="SHA-256 of all that was told."
    )
    extra_metadata = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "llm_calls"
        verbose_name = "model call"
        permissions = [("read_llmcall", "Can read prompts and answers")]
        constraints = [
            known_choices("status", CallStatus, name="llm_calls_status_known"),
            models.CheckConstraint(
                condition=Q(cost__isnull=True, cost_source="")
                | Q(cost__isnull=False, cost_source__in=CostSource.values),
                name="llm_calls_cost_has_source",
            ),
            not_negative("cost", name="llm_calls_cost_measured"),
        ]
        indexes = [
            models.Index(fields=["timestamp", "id"], name="llm_calls_timestamp_idx"),
            # What an agent and each version of its prompt spent is read from the index alone.
            models.Index(
                fields=["agent", "timestamp"],
                include=["cost", "prompt_version"],
                name="llm_calls_agent_idx",
            ),
            # Calls that wait for a price, by the model whose price it is.
            models.Index(
                Lower("provider"),
                Lower("model"),
                "timestamp",
                name="llm_calls_unpriced_idx",
                condition=Q(cost__isnull=True, tokens_in__isnull=False, tokens_out__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{str(self.id)[:13]} at {self.timestamp:%Y-%m-%d %H:%M:%S}"
