"""What programs tell and read of their runs."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.executions.api.rows import (
    CancellationAnswer,
    EmptyRow,
    ExecutionRow,
    FinishRow,
    ProgressRow,
    RetryRow,
    RunAnswer,
    StepRow,
)
from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.domain.states import FINAL
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services import runs
from apps.logs.api.callers import DecisionPermission, name_of
from apps.shared.api import filters, parsing
from apps.shared.api.filters import ANY_OF, RANGE, Narrowing
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.rows import Row
from apps.shared.api.values import UNSTORABLE
from apps.shared.api.viewsets import BODY_BYTES, EntityViewSet, ReadOnlyViewSet, answer
from apps.shared.api.writing import once
from apps.shared.fields import plain_text
from apps.shared.ingest import Ingested

R = TypeVar("R", bound=Row)

# What only reports and verbs may move.
LIFE = ("status", "timestamp_start")


def about(rows: QuerySet[Execution], text: str) -> QuerySet[Execution]:
    """Return the runs about any of these symbols, alone or among others."""
    symbols = text.split(",")
    return rows.filter(Q(symbol__in=symbols) | Q(symbols__has_any_keys=symbols))


class ExecutionViewSet(EntityViewSet):
    """Runs of jobs: announced, reported on while they last, and ended once.

    POST starts a run, or announces it (``PENDING``); the same again is harmless whatever the run
    has done since. PUT and PATCH change what describes it. Its state moves by what is posted to
    ``begin/``, ``progress/``, ``steps/`` and ``finish/``; a final state is never left: 409.
    """

    queryset = Execution.objects.all()
    row = ExecutionRow
    life = LIFE
    moved_by = "Is moved by begin/, progress/, steps/ and finish/ alone."
    lookup_field = "execution_id"
    throttle_scope: str | None = None
    fields = [
        "execution_id",
        "execution_type",
        "symbol",
        "symbols",
        "status",
        "health",
        "timestamp_start",
        "timestamp_end",
        "duration_seconds",
        "triggered_by",
        "server_id",
        "version",
        "runner",
        "current_operation",
        "progress_percentage",
        "completed_tasks",
        "total_tasks",
        "cpu_usage_avg",
        "memory_peak_mb",
        "disk_io_mb",
        "metadata",
        "errors",
        "error_count",
        "reported_status",
        "retry_of_id",
        "correlation_id",
        "heartbeat_at",
        "lease_seconds",
        "progressed_at",
        "longest_pause_seconds",
        "stuck_since",
        "cancel_requested_at",
        "cancel_requested_by",
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "execution_type": ANY_OF,
        "symbol": Narrowing(about, "About this symbol, also among others; several by comma."),
        "status": ANY_OF,
        "health": ANY_OF,
        "triggered_by": ANY_OF,
        "runner": ANY_OF,
        "retry_of_id": ANY_OF,
        "correlation_id": ANY_OF,
        "created_at": RANGE,
        "timestamp_start": RANGE,
        "timestamp_end": RANGE,
    }
    ordering_fields = ["created_at"]

    def store(self, rows: Sequence[ExecutionRow]) -> Ingested:
        return runs.start_executions(rows, now=timezone.now())

    def replace(self, rows: Sequence[ExecutionRow]) -> Ingested:
        outcome = Ingested()
        for place, row in enumerate(rows):
            outcome.merge(runs.describe_execution(row, now=timezone.now()), [place])
        return outcome

    # --- What a program reports -----------------------------------------------------------

    @action(detail=True, methods=["post"])
    @describe(answer=RunAnswer)
    def begin(self, request: Request, **kwargs: str) -> HttpResponse:
        """Let a waiting run begin; one that runs already is left as it is."""
        self.read_any(request, EmptyRow)
        once(lambda: runs.begin(execution_id=self.execution_id, now=timezone.now()))
        return self.standing()

    @action(detail=True, methods=["post"], throttle_scope="heartbeat")
    @describe(body=ProgressRow, answer=RunAnswer)
    def progress(self, request: Request, **kwargs: str) -> HttpResponse:
        """Take in how far a run is; every report is a sign of life, an empty object too."""
        row = self.read_one_row(request, ProgressRow)
        once(
            lambda: runs.report_progress(
                execution_id=self.execution_id, now=timezone.now(), report=report_of(row)
            )
        )
        return self.standing()

    @action(detail=True, methods=["post"], throttle_scope="heartbeat")
    @describe(body=StepRow, answer=RunAnswer)
    def steps(self, request: Request, **kwargs: str) -> HttpResponse:
        """Take in that a step began, or how it ended; 201 when it was not known before.

        The same report again has no effect. A final step that is said to have gone otherwise is
        a 409.
        """
        row = self.read_one_row(request, StepRow)
        values = msgspec.structs.asdict(row) | {"status": StepStatus(row.status)}
        report = runs.StepReport(**values)
        _, created = once(
            lambda: runs.report_step(
                execution_id=self.execution_id, now=timezone.now(), report=report
            )
        )
        return self.standing(201 if created else 200)

    @action(detail=True, methods=["post"])
    @describe(body=FinishRow, answer=RunAnswer)
    def finish(self, request: Request, **kwargs: str) -> HttpResponse:
        """End a run. A COMPLETED one of which parts failed is a PARTIAL_SUCCESS, or FAILED.

        The same word again has no effect; another one is a 409.
        """
        row = self.read_one_row(request, FinishRow)
        errors = [msgspec.structs.asdict(error) for error in row.errors]
        once(
            lambda: runs.finish(
                execution_id=self.execution_id,
                status=ExecutionStatus(row.status),
                now=timezone.now(),
                errors=errors,
                report=report_of(row),
                timestamp_end=row.timestamp_end,
            )
        )
        return self.standing()

    # --- What others wish -----------------------------------------------------------------

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(answer=RunAnswer)
    def cancel(self, request: Request, **kwargs: str) -> HttpResponse:
        """Wish a run to end: a waiting one ends at once, a running one sees it and ends itself.

        Again, and for a run that ended as cancelled, it has no effect; other final runs are a 409.
        """
        self.read_any(request, EmptyRow)
        rows = Execution.objects.filter(pk=self.held().pk)
        by = name_of(request)
        if not once(lambda: runs.request_cancel(rows, by=by, now=timezone.now())):
            run = self.held()
            if run.status in FINAL and run.status != ExecutionStatus.CANCELLED:
                raise runs.ExecutionEnded(f"The execution has ended: it is {run.status}.")
        return self.standing()

    @action(detail=True)
    @describe(answer=CancellationAnswer)
    def cancellation(self, request: Request, **kwargs: str) -> HttpResponse:
        """Answer whether somebody wishes a run to end."""
        filters.check_known(request._request.GET, [])
        run = self.held()
        return answer(
            CancellationAnswer(
                execution_id=run.execution_id,
                status=run.status,
                cancel_requested=run.cancel_requested_at is not None,
                cancel_requested_at=run.cancel_requested_at,
                cancel_requested_by=run.cancel_requested_by,
            )
        )

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(body=RetryRow, answer=STORED_ROW)
    def retry(self, request: Request, **kwargs: str) -> HttpResponse:
        """Make a new run like a final one, waiting, and answer it (201).

        With an ``execution_id`` of the client's own it is safe to repeat: 200 with the same run.
        """
        row = self.read_any(request, RetryRow)
        chosen = row.execution_id or ""
        known = bool(chosen) and Execution.objects.filter(pk=chosen).exists()
        by = name_of(request)
        new = once(
            lambda: runs.retry_execution(
                execution_id=self.execution_id, by=by, now=timezone.now(), new_id=chosen
            )
        )
        return self.stored(Execution.objects.filter(pk=new.pk), status=200 if known else 201)

    # --- Helpers --------------------------------------------------------------------------

    @property
    def execution_id(self) -> str:
        """Return the key in the address."""
        return str(self.kwargs[self.lookup_field])

    def held(self) -> Execution:
        """Return the run of the address as it is stored. Raises UnknownExecution."""
        run = None if UNSTORABLE.search(self.execution_id) else self.found().first()
        if run is None:
            raise runs.UnknownExecution("There is no execution of this id.")
        return run

    def standing(self, status: int = 200) -> HttpResponse:
        """Answer how the run stands now."""
        run = self.held()
        return answer(
            RunAnswer(
                execution_id=run.execution_id,
                status=run.status,
                progress_percentage=plain_text(run.progress_percentage),
                cancel_requested=run.cancel_requested_at is not None,
            ),
            status,
        )

    def read_one_row(self, request: Request, row: type[R]) -> R:
        """Return the body of a verb, which must be there."""
        filters.check_known(request._request.GET, [])
        return self.read_one(request, row)

    def read_any(self, request: Request, row: type[R]) -> R:
        """Return the body of a verb that needs none."""
        filters.check_known(request._request.GET, [])
        body = parsing.read_body(request._request, BODY_BYTES)
        return row() if parsing.empty_body(body) else self.read_one(request, row)


def report_of(row: ProgressRow) -> runs.ProgressReport:
    """Return what a body tells of progress."""
    return runs.ProgressReport(
        current_operation=row.current_operation,
        completed_tasks=row.completed_tasks,
        total_tasks=row.total_tasks,
        cpu_usage_avg=row.cpu_usage_avg,
        memory_peak_mb=row.memory_peak_mb,
        disk_io_mb=row.disk_io_mb,
    )


class ExecutionStepViewSet(ReadOnlyViewSet):
    """Steps of runs; they are reported to ``executions/<execution_id>/steps/``."""

    queryset = ExecutionStep.objects.all()
    fields = [
        "id",
        "execution_id",
        "step_name",
        "status",
        "stage",
        "timestamp_start",
        "timestamp_end",
        "duration_seconds",
        "parameters",
        "result_data",
        "reason",
        "error_type",
        "error_message",
        "error_traceback",
        "attempt",
        "leased_until",
        "created_at",
    ]
    filterset_fields = {
        "execution_id": ANY_OF,
        "step_name": ANY_OF,
        "status": ANY_OF,
        "created_at": RANGE,
    }
    ordering_fields = ["created_at"]
