"""What agents decided, and what programs may send and read of it."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from django.utils import timezone

from apps.agents.api.rows_decisions import LoneDecisionRow
from apps.agents.choices import DecisionStatus
from apps.agents.models import AgentDecision
from apps.agents.services import decisions
from apps.shared.api import batches
from apps.shared.api.answers import check_one
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.private import Private
from apps.shared.api.viewsets import FactViewSet
from apps.shared.api.writing import in_transaction
from apps.shared.ingest import Ingested

# What models were asked and answered, word for word.
PROMPTS = Private(scope="agents:prompts", permission="agents.read_llmcall")


class AgentDecisionViewSet(FactViewSet):
    """What agents wanted to do, one row per coin, accepted or not.

    POST tells decisions without their call; those of a call come with it (``calls/``). A decision
    that breaks rules is stored as rejected with all of them: 200; one that is accepted: 201. The
    same again is harmless, and answers the verdict that was given then.
    """

    queryset = AgentDecision.objects.all()
    row = LoneDecisionRow
    lookup_field = "id"
    subject_fields = {"agent": "agent_id"}
    fields = [
        "id",
        "agent_id",
        "call_id",
        "timestamp",
        "place",
        "status",
        "action",
        "coin",
        "symbol",
        "direction",
        "size_usd",
        "leverage",
        "stop_loss_price",
        "take_profit_price",
        "confidence",
        "entry_price",
        "account_value",
        "withdrawable",
        "reasoning",
        "error_message",
        "violations",
        "execution_time_ms",
        "prompt_version",
        "created_at",
    ]
    private_fields = {"chain_of_thought": PROMPTS, "raw": PROMPTS}
    filterset_fields = {
        "agent_id": ANY_OF,
        "call_id": ANY_OF,
        "status": ANY_OF,
        "action": ANY_OF,
        "coin": ANY_OF,
        "symbol": ANY_OF,
        "direction": ANY_OF,
        "prompt_version": ANY_OF,
        "timestamp": RANGE,
        "confidence": RANGE,
        "created_at": RANGE,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[LoneDecisionRow]) -> Ingested:
        return decisions.store_decisions(rows, now=timezone.now())

    def create_one(self, batch: batches.Batch[Any]) -> HttpResponse:
        """Store one decision and answer it with its verdict."""
        if batch.failures:
            raise batches.invalid(batch.failures[0])
        outcome = in_transaction(lambda: self.store(batch.ready), all_or_none=True)
        check_one(outcome)
        found = self.get_queryset().filter(pk=batch.rows[0].id)
        accepted = found.filter(status=DecisionStatus.SUCCESS).exists()
        return self.stored(found, status=201 if outcome.created and accepted else 200)
