"""What bots keep with us for their restart."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from apps.bots.api.rows_instances import StateRow
from apps.bots.models import BotState
from apps.bots.services import states
from apps.shared.api import parsing
from apps.shared.api.errors import ApiError
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.permissions import is_bound, refuse_others
from apps.shared.api.viewsets import EntityViewSet
from apps.shared.api.writing import once
from apps.shared.errors import DomainError, FieldError
from apps.shared.ingest import Ingested, RowStatus


class BotStateViewSet(EntityViewSet):
    """Documents of bots, each under a key, with a version that goes up with every change.

    PUT with the ``version`` that was read replaces that one alone: when somebody else was faster,
    it is a 409 that names the version that is stored. The same PUT once more is harmless.
    """

    queryset = BotState.objects.all()
    row = StateRow
    lookup_field = "key"
    subject_fields = {"bot": "bot_id"}
    http_method_names = ["get", "post", "put", "head", "options"]
    body_bytes = 2 * parsing.MEBIBYTE
    fields = ["key", "bot_id", "value", "version", "created_at", "updated_at"]
    filterset_fields = {"key": ANY_OF, "bot_id": ANY_OF, "updated_at": RANGE}
    ordering_fields = ["updated_at", "key"]
    sent_again = "What is sent again with its version is unchanged."

    def store(self, rows: Sequence[StateRow]) -> Ingested:
        """Store documents one by one; one that is refused does not hold up the others."""
        outcome = Ingested()
        for place, row in enumerate(rows):
            try:
                outcome.note(place, RowStatus.CREATED if self.keep(row) else RowStatus.REPLACED)
            except (ApiError, DomainError) as refusal:
                outcome.fail(place, refusal.errors)
        return outcome

    def update(self, request: Request, **kwargs: str) -> HttpResponse:
        """Create the document of this key, or replace the version that the body names."""
        row: Any = self.read_for_path(request)
        refuse_others(request, self, row)
        created = once(lambda: self.keep(row))
        return self.stored(self.found(), status=201 if created else 200)

    def create_one(self, batch: Any) -> HttpResponse:
        """Store one document and answer it, or why it is refused."""
        if batch.failures:
            return super().create_one(batch)
        row = batch.rows[0]
        created = once(lambda: self.keep(row))
        found = self.get_queryset().filter(key=row.key)
        return self.stored(found, status=201 if created else 200)

    def keep(self, row: StateRow) -> bool:
        """Store one document; return whether its key was new."""
        if is_bound(self.request.auth, self.subject_fields):
            self.refuse_foreign(row.key)
        _, created = states.put_state(
            key=row.key,
            bot_id=row.bot_id,
            value=row.value,
            version=row.version,
            now=timezone.now(),
        )
        return created

    def refuse_foreign(self, key: str) -> None:
        """Raise ApiError (403) for a key that is stored and is not this bot's."""
        if BotState.objects.filter(pk=key).exclude(pk__in=self.get_queryset()).exists():
            message = "This key is bound to another bot."
            error = FieldError("/key", "other_subject", message)
            raise ApiError(403, "other_subject", message, [error])
