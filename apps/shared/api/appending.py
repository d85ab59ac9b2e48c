"""Facts without a key of their own: each one sent is one stored, as lines of a log are."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse

from apps.shared.api import batches
from apps.shared.api.viewsets import FactViewSet
from apps.shared.api.writing import in_transaction
from apps.shared.ingest import Ingested


class AppendedViewSet(FactViewSet):
    """What happened, told without a key: what comes twice stands twice.

    A client that may have to send again names an ``Idempotency-Key``.
    """

    sent_again = "What is sent twice stands twice, unless an Idempotency-Key says it is the same."

    def append(self, rows: Any) -> Sequence[int]:
        """Store what ``prepare`` made of the rows; return their primary keys, in their order."""
        raise NotImplementedError

    def store(self, rows: Any) -> Ingested:
        return Ingested(created=len(self.append(rows)))

    def create_one(self, batch: batches.Batch[Any]) -> HttpResponse:
        """Store one row and answer it as stored."""
        if batch.failures:
            raise batches.invalid(batch.failures[0])
        keys: list[int] = []

        def store() -> Ingested:
            keys[:] = self.append(batch.ready)
            return Ingested(created=1)

        in_transaction(store, all_or_none=True)
        return self.stored(self.get_queryset().filter(pk=keys[0]), status=201)
