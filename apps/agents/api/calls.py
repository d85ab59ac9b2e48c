"""What models were asked and answered: one cycle of an agent in one request."""

from collections.abc import Sequence
from typing import Any

from django.http import Http404, HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from apps.agents.api.decisions import PROMPTS
from apps.agents.api.rows_calls import CallAnswer, CallRow
from apps.agents.models import AgentDecision, LLMCall
from apps.agents.services import calls
from apps.shared.api import batches
from apps.shared.api.answers import check_one, plain_values
from apps.shared.api.filters import ANY_OF, EXACT, RANGE
from apps.shared.api.openapi import describe
from apps.shared.api.viewsets import BULK_BODY_BYTES, FactViewSet, answer
from apps.shared.api.writing import in_transaction
from apps.shared.ingest import Ingested

VERDICT = ("id", "place", "coin", "action", "status", "violations", "error_message")


class LLMCallViewSet(FactViewSet):
    """Questions to models, with their answers, cost and decisions.

    POST tells one cycle: the call and its decisions or, without those, the answer to read them
    from. It is stored whole and answered with 200 and the verdict on each decision, whatever the
    verdicts: one that breaks rules is *rejected*, with every rule it breaks, and must not be
    carried out. The same again is harmless, and answers the verdicts that were given then.

    ``prompt`` and ``answer`` are redacted of secrets before they are stored, and are in no answer
    unless ``fields=`` names them.
    """

    queryset = LLMCall.objects.all()
    row = CallRow
    lookup_field = "id"
    subject_fields = {"agent": "agent_id"}
    # A prompt and an answer may have a million characters each.
    body_bytes = BULK_BODY_BYTES
    fields = [
        "id",
        "agent_id",
        "timestamp",
        "cycle",
        "status",
        "provider",
        "model",
        "prompt_version",
        "error",
        "tokens_in",
        "tokens_out",
        "cost",
        "cost_source",
        "latency_ms",
        "temperature",
        "max_tokens",
        "account_value",
        "withdrawable",
        "positions",
        "decisions_count",
        "accepted_count",
        "altered",
        "extra_metadata",
        "created_at",
    ]
    private_fields = {"prompt": PROMPTS, "answer": PROMPTS}
    filterset_fields = {
        "agent_id": ANY_OF,
        "status": ANY_OF,
        "provider": ANY_OF,
        "model": ANY_OF,
        "prompt_version": ANY_OF,
        "cost_source": ANY_OF,
        "cycle": EXACT,
        "timestamp": RANGE,
        "cost": RANGE,
        "created_at": RANGE,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[CallRow]) -> Ingested:
        return calls.store_calls(rows, now=timezone.now())

    @describe(answer=CallAnswer)
    def create(self, request: Request) -> HttpResponse:
        """Store one cycle or many; one is answered with its verdicts."""
        return super().create(request)

    def create_one(self, batch: batches.Batch[Any]) -> HttpResponse:
        """Store one cycle and answer its verdicts."""
        if batch.failures:
            raise batches.invalid(batch.failures[0])
        outcome = in_transaction(lambda: self.store(batch.ready), all_or_none=True)
        check_one(outcome)
        return answer(self.verdicts(batch.rows[0].id, created=bool(outcome.created)))

    def verdicts(self, call_id: str, *, created: bool) -> dict[str, Any]:
        """Return what became of a stored call and of its decisions."""
        columns = ("id", "status", "cost", "timestamp", "provider", "model", "tokens_in")
        call = self.get_queryset().filter(pk=call_id).only(*columns, "tokens_out").first()
        if call is None:
            raise Http404
        cost = calls.cost_of(call)
        rows = AgentDecision.objects.filter(call=call.pk).order_by("place").values(*VERDICT)
        return {
            "id": str(call.pk),
            "status": call.status,
            "created": created,
            "cost": plain_values(cost.amount),
            "cost_reason": cost.reason,
            "decisions": [{**row, "id": str(row["id"])} for row in rows],
        }
