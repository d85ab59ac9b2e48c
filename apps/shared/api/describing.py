"""Things whose life is moved by verbs: PUT and PATCH change what describes them, nothing else."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from django.http import Http404, HttpResponse
from rest_framework.request import Request

from apps.shared.api import batches, filters, structs
from apps.shared.api.permissions import refuse_others
from apps.shared.api.rows import Row
from apps.shared.api.viewsets import EntityViewSet
from apps.shared.api.writing import once


class DescribedViewSet(EntityViewSet):
    """An entity told once; ``change_row`` holds what may be said of it anew at any time."""

    change_row: ClassVar[type[Row]]

    def describe_thing(self, pk: str, values: Mapping[str, Any]) -> Any:
        """Write what describes the thing of this id; a service does it."""
        raise NotImplementedError

    def update(self, request: Request, **kwargs: str) -> HttpResponse:
        """Replace all that describes it; what is left out becomes empty."""
        row = structs.read_row(self.change_row, self.description_sent(request))
        if isinstance(row, list):
            raise batches.invalid(row)
        return self.described(msgspec.structs.asdict(row))

    def partial_update(self, request: Request, **kwargs: str) -> HttpResponse:
        """Change what is sent of what describes it."""
        changes = structs.read_fields(self.change_row, self.description_sent(request), partial=True)
        if isinstance(changes, list):
            raise batches.invalid(changes)
        return self.described(changes)

    def described(self, values: Mapping[str, Any]) -> HttpResponse:
        """Write what describes the thing of the address, and answer it."""
        pk = self.pk_found()
        once(lambda: self.describe_thing(pk, values))
        return self.stored(self.found())

    def description_sent(self, request: Request) -> Any:
        """Return the object of a PUT or PATCH, which moves neither money nor state."""
        filters.check_known(request._request.GET, [])
        sent = self.read_sent(request)
        if not isinstance(sent, Mapping):
            return sent
        refuse_others(request, self, sent, partial=True)
        return {name: value for name, value in sent.items() if name != self.lookup_field}

    def pk_found(self) -> str:
        """Return the id in the address, where the caller may see the thing; 404 elsewhere."""
        pk = self.found().values_list("pk", flat=True).first()
        if pk is None:
            raise Http404
        return str(pk)
