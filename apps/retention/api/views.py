"""Policies, what changed in them, and archives: to be read. Staff change them, and runs write."""

from django.http import Http404, HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.retention.api.answers import PlanAnswer
from apps.retention.models import Archive, PolicyChange, RetentionPolicy
from apps.retention.services.previews import preview
from apps.shared.api import filters
from apps.shared.api.filters import ANY_OF, EXACT, RANGE
from apps.shared.api.openapi import describe
from apps.shared.api.viewsets import ReadOnlyViewSet, answer


class RetentionPolicyViewSet(ReadOnlyViewSet):
    """For how long the rows of each dataset are kept, and how its last run went.

    ``exemptions`` name what stays however old it is; rows that others cite stay without being
    named. Nothing leaves before ``held_until``, because rows were restored.
    """

    queryset = RetentionPolicy.objects.all()
    fields = [
        "id",
        "dataset",
        "enabled",
        "age_days",
        "time_column",
        "exemptions",
        "archive",
        "held_until",
        "last_run_id",
        "last_run_at",
        "last_rows",
        "last_bytes",
        "last_error",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "dataset": ANY_OF,
        "enabled": EXACT,
        "archive": EXACT,
        "age_days": RANGE,
        "held_until": RANGE,
        "last_run_at": RANGE,
    }
    ordering_fields = ["dataset", "created_at"]
    ordering = "dataset"

    @action(detail=True)
    @describe(answer=PlanAnswer)
    def preview(self, request: Request, **kwargs: str) -> HttpResponse:
        """Count what would leave now, along with what, and what stays for which reason.

        Nothing leaves by asking. Over large tables the counting may take seconds.
        """
        filters.check_known(request._request.GET, [])
        name = self.found().values_list("dataset", flat=True).first()
        if name is None:
            raise Http404
        return answer(PlanAnswer.of(preview(dataset=name, now=timezone.now())))


class PolicyChangeViewSet(ReadOnlyViewSet):
    """Changes of policies: by whom, when, what each column was and what it became."""

    queryset = PolicyChange.objects.all()
    fields = ["id", "policy_id", "policy.dataset", "changed_at", "changed_by", "before", "after"]
    filterset_fields = {
        "policy_id": ANY_OF,
        "policy__dataset": ANY_OF,
        "changed_by": ANY_OF,
        "changed_at": RANGE,
    }
    ordering_fields = ["changed_at"]


class ArchiveViewSet(ReadOnlyViewSet):
    """Archives: rows that left the database, in files below the archive root.

    ``rows`` counts all its tables, ``roots`` those of the dataset itself, ``left_rows`` those
    that have left so far. ``stayed`` are keys of rows that changed in between and stay.
    """

    queryset = Archive.objects.all()
    fields = [
        "id",
        "path",
        "dataset",
        "status",
        "execution_id",
        "part",
        "month",
        "sha256",
        "schema_version",
        "rows",
        "roots",
        "bytes",
        "first_time",
        "last_time",
        "cutoff",
        "tables",
        "left_rows",
        "stayed",
        "emptied_at",
        "restored_at",
        "restored_by",
        "note",
        "created_at",
    ]
    filterset_fields = {
        "path": ANY_OF,
        "dataset": ANY_OF,
        "status": ANY_OF,
        "execution_id": ANY_OF,
        "month": RANGE,
        "first_time": RANGE,
        "last_time": RANGE,
        "created_at": RANGE,
    }
    ordering_fields = ["created_at"]
