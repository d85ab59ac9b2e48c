"""What models cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone
from rest_framework.request import Request

from apps.agents.api.rows_prices import PriceRow
from apps.agents.models import LLMPrice
from apps.agents.services import prices
from apps.shared.api import batches
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.permissions import READING, ScopePermission
from apps.shared.api.viewsets import EntityViewSet
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested
from apps.shared.wakeups import wake

PRICE_CALLS = "apps.agents.tasks.price_calls"


class PricePermission(ScopePermission):
    """Prices are those of every agent: who is bound to one reads them, and sets none."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        key: Any = request.auth
        if request.method in READING or key is None or not key.bindings:
            return True
        self.code, self.message = "other_subject", "This key is bound, and prices are everybody's."
        return False


class LLMPriceViewSet(EntityViewSet):
    """Prices of models, each from a moment on until the next one of its provider and model.

    A call costs what its model cost at its time, whatever the case of the letters in both names.
    A price that becomes known later is applied to calls that wait for one, and never changes a
    cost that is known. Keys that are bound to an agent or a bot may only read prices.
    """

    queryset = LLMPrice.objects.all()
    permission_classes = [PricePermission]
    row = PriceRow
    lookup_field = "id"
    key = ["provider", "model", "valid_from"]
    fields = ["id", *PriceRow.__struct_fields__, "created_at", "updated_at"]
    filterset_fields = {
        "provider": ANY_OF,
        "model": ANY_OF,
        "valid_from": RANGE,
    }
    ordering_fields = ["valid_from"]

    def store(self, rows: Sequence[PriceRow]) -> Ingested:
        """Take in prices that are new; a worker prices at once what waited for them."""
        return self.noted(prices.store_prices(rows, now=timezone.now(), replace=False))

    def replace(self, rows: Sequence[PriceRow]) -> Ingested:
        """Correct the price of the address, whose moment stays."""
        held = self.found().values_list("valid_from", flat=True).first()
        if any(row.valid_from != held for row in rows):
            message = "Must be that of the price at this address."
            raise batches.invalid([FieldError("/valid_from", "differs_from_path", message)])
        return self.noted(prices.store_prices(rows, now=timezone.now()))

    def key_of_path(self) -> Mapping[str, Any]:
        """Return provider and model of the address; its moment may be written in several ways."""
        return {n: v for n, v in super().key_of_path().items() if n != "valid_from"}

    def noted(self, outcome: Ingested) -> Ingested:
        """Wake whoever prices calls, where there is a price that was not there before."""
        if outcome.created or outcome.replaced:
            wake(PRICE_CALLS)
        return outcome
