"""Lines as Python's own ``logging.handlers.HTTPHandler`` posts them, one per request."""

from typing import Any
from urllib.parse import parse_qsl

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.logs.models import SystemLog
from apps.logs.services.records import store_record
from apps.shared.api import parsing
from apps.shared.api.negotiation import OnlyJson

FORM = "application/x-www-form-urlencoded"
BODY_BYTES = 16 * parsing.MEBIBYTE


class RecordsView(APIView):
    """Takes whatever a record holds: nobody reads the answer, so a refusal would lose the line.

    ``HTTPHandler(host, "/api/v1/logs/records/", method="POST", credentials=("any", KEY))``.
    """

    queryset = SystemLog.objects.all()
    content_negotiation_class = OnlyJson
    metadata_class = None
    parser_classes: Any = []
    throttle_scope = "logs"

    @extend_schema(
        request={FORM: {"type": "object", "additionalProperties": {"type": "string"}}},
        responses={204: None},
    )
    def post(self, request: Request) -> HttpResponse:
        """Store the line of one record, formatted; of an exception the error too."""
        parsing.content_type(request._request, (FORM,))
        body = parsing.read_body(request._request, BODY_BYTES)
        pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, errors="replace")
        store_record(fields=dict(pairs), now=timezone.now())
        return HttpResponse(status=204)
