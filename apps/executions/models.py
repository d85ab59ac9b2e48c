"""Runs of jobs, their steps, and who has been watching them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast, Extract

from apps.executions.choices import ExecutionStatus, Health, StepStatus
from apps.executions.domain.states import FINAL, STEP_FINAL
from apps.shared import fields
from apps.shared.models import CreatedModel, TimestampedModel, known_choices, measured

FINAL_STATES = sorted(FINAL)
FINAL_STEP_STATES = sorted(STEP_FINAL)


def duration() -> models.GeneratedField:
    """Return a column that the database keeps: seconds from start to end, empty before both."""
    return models.GeneratedField(
        expression=Cast(
            Extract(F("timestamp_end") - F("timestamp_start"), "epoch"), fields.Ratio()
        ),
        output_field=fields.Ratio(null=True),
        db_persist=True,
        verbose_name="duration",
    )


class ExecutionQuerySet(models.QuerySet["Execution"]):
    def running(self) -> Self:
        return self.filter(status=ExecutionStatus.RUNNING)

    def unfinished(self) -> Self:
        return self.filter(status__in=[ExecutionStatus.PENDING, ExecutionStatus.RUNNING])

    def in_state(self, states: Iterable[ExecutionStatus]) -> Self:
        return self.filter(status__in=sorted(states))

    def unhealthy(self) -> Self:
        """Running ones that are stuck."""
        return self.running().filter(health=Health.STUCK)

    def ended_badly_since(self, moment: datetime) -> Self:
        return self.filter(
            status__in=[ExecutionStatus.FAILED, ExecutionStatus.PARTIAL_SUCCESS],
            timestamp_end__gte=moment,
        )


class Execution(TimestampedModel):
    """One run of a job: of a program outside, or of ours.

    It begins, reports while it runs, and ends once; a final state is never left. While it runs it
    must be heard of within its lease, or it counts as lost.
    """

    execution_id = models.CharField(
        primary_key=True, max_length=255, help_text="The sender's own name for the run."
    )
    execution_type = models.CharField("type", max_length=50)
    symbol = models.CharField(max_length=50, blank=True)
    symbols = models.JSONField(default=list, blank=True)
    status = models.CharField(
        max_length=15, choices=ExecutionStatus, default=ExecutionStatus.PENDING
    )
    health = models.CharField(max_length=5, choices=Health, default=Health.OK, db_default=Health.OK)
    timestamp_start = models.DateTimeField("started", null=True, blank=True)
    timestamp_end = models.DateTimeField("ended", null=True, blank=True)
    duration_seconds = duration()
    triggered_by = models.CharField(max_length=150, blank=True)
    server_id = models.CharField("server", max_length=255, blank=True)
    version = models.CharField(max_length=100, blank=True)
    runner = models.CharField(
        max_length=150,
        blank=True,
        db_default="",
        default="",
        help_text="The task of ours that works on it; empty: a program outside.",
    )
    current_operation = models.CharField(max_length=500, blank=True, db_default="", default="")
    progress_percentage = fields.Ratio(
        "progress", default=Decimal(0), db_default=Decimal(0), help_text="0 to 100."
    )
    completed_tasks = models.JSONField(default=list, blank=True)
    total_tasks = models.PositiveIntegerField(default=0, db_default=0)
    cpu_usage_avg = fields.Ratio("CPU, average", null=True, blank=True, help_text="Percent.")
    memory_peak_mb = fields.Ratio("memory, peak", null=True, blank=True, help_text="Megabytes.")
    disk_io_mb = fields.Ratio("disk I/O", null=True, blank=True, help_text="Megabytes.")
    metadata = models.JSONField(default=dict, blank=True)
    errors = models.JSONField(default=list, blank=True)
    error_count = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Also counts those that are no longer listed."
    )
    reported_status = models.CharField(
        max_length=15,
        choices=ExecutionStatus,
        blank=True,
        db_default="",
        default="",
        help_text="What the run said of its end; its steps may say otherwise.",
    )
    retry_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="retries"
    )
    correlation_id = models.CharField(max_length=100, blank=True, db_default="", default="")
    # Liveness, by our own clock
    heartbeat_at = models.DateTimeField("last heard of", null=True, blank=True)
    lease_seconds = models.PositiveIntegerField(
        "lease", default=300, help_text="Not heard of for so many seconds, it is lost."
    )
    progressed_at = models.DateTimeField("last progress", null=True, blank=True)
    longest_pause_seconds = fields.Ratio(
        "longest pause",
        null=True,
        blank=True,
        help_text="The longest time between two signs of progress.",
    )
    stuck_since = models.DateTimeField(null=True, blank=True)
    # A wish, which the run sees and acknowledges by ending as cancelled
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_by = models.CharField(max_length=150, blank=True, db_default="", default="")

    objects = ExecutionQuerySet.as_manager()

    class Meta:
        db_table = "execution_logs"
        constraints = [
            models.CheckConstraint(
                condition=~Q(execution_id="") & ~Q(execution_type=""), name="execution_logs_named"
            ),
            known_choices("status", ExecutionStatus, name="execution_logs_status_known"),
            known_choices("health", Health, name="execution_logs_health_known"),
            models.CheckConstraint(
                condition=Q(status__in=FINAL_STATES, timestamp_end__isnull=False)
                | Q(~Q(status__in=FINAL_STATES), timestamp_end__isnull=True),
                name="execution_logs_final_has_end",
            ),
            models.CheckConstraint(
                condition=Q(status=ExecutionStatus.PENDING, timestamp_start__isnull=True)
                | Q(~Q(status=ExecutionStatus.PENDING), timestamp_start__isnull=False)
                # Called off, or found impossible, before it began.
                | Q(status__in=[ExecutionStatus.CANCELLED, ExecutionStatus.FAILED]),
                name="execution_logs_start_fits",
            ),
            models.CheckConstraint(
                condition=Q(timestamp_start__isnull=True)
                | Q(timestamp_end__isnull=True)
                | Q(timestamp_end__gte=F("timestamp_start")),
                name="execution_logs_ends_after_start",
            ),
            models.CheckConstraint(
                condition=Q(progress_percentage__gte=0, progress_percentage__lte=100),
                name="execution_logs_progress_percent",
            ),
            measured("cpu_usage_avg", name="execution_logs_cpu_measured"),
            measured("memory_peak_mb", name="execution_logs_memory_measured"),
            measured("disk_io_mb", name="execution_logs_disk_measured"),
            models.CheckConstraint(
                condition=Q(lease_seconds__gte=1), name="execution_logs_lease_positive"
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "execution_id"], name="execution_logs_created_idx"),
            models.Index(fields=["symbol", "created_at"], name="idx_execution_logs_symbol"),
            models.Index(fields=["status", "created_at"], name="idx_execution_logs_status"),
            models.Index(fields=["execution_type", "created_at"], name="idx_execution_logs_type"),
            models.Index(fields=["timestamp_start"], name="idx_execution_logs_timestamp"),
            models.Index(
                fields=["timestamp_end"],
                name="execution_logs_ended_idx",
                condition=Q(timestamp_end__isnull=False),
            ),
            # How long the last runs of a type paused, which tells whether one of them is stuck.
            models.Index(
                fields=["execution_type", "-timestamp_end"],
                name="execution_logs_usual_idx",
                condition=Q(
                    status__in=[ExecutionStatus.COMPLETED, ExecutionStatus.PARTIAL_SUCCESS]
                ),
            ),
            # What the watch looks at: a handful of rows, whatever the size of the table.
            models.Index(
                fields=["heartbeat_at"],
                name="execution_logs_running_idx",
                condition=Q(status=ExecutionStatus.RUNNING),
            ),
            models.Index(
                fields=["runner"],
                name="execution_logs_ours_idx",
                condition=Q(status__in=["PENDING", "RUNNING"]) & ~Q(runner=""),
            ),
        ]

    def __str__(self) -> str:
        return self.execution_id


class ExecutionStep(CreatedModel):
    """One step of a run, known by its name.

    Steps of our own runs are planned before they begin: one of a stage is due when all of the
    stages before are over, and is claimed by a worker for as long as its lease lasts.
    """

    execution = models.ForeignKey(
        Execution,
        models.CASCADE,
        db_column="execution_id",
        db_index=False,  # the unique constraint begins with it
        related_name="steps",
    )
    step_name = models.CharField("step", max_length=255)
    status = models.CharField(max_length=30, choices=StepStatus, default=StepStatus.PENDING)
    stage = models.PositiveSmallIntegerField(default=0, db_default=0)
    timestamp_start = models.DateTimeField("started", null=True, blank=True)
    timestamp_end = models.DateTimeField("ended", null=True, blank=True)
    duration_seconds = duration()
    parameters = models.JSONField(default=dict, blank=True)
    result_data = models.JSONField(default=dict, blank=True)
    reason = models.CharField(
        max_length=50, blank=True, db_default="", default="", help_text="Why it failed, as a code."
    )
    error_type = models.CharField(max_length=255, blank=True, db_default="", default="")
    error_message = models.TextField(blank=True, db_default="", default="")
    error_traceback = models.TextField(blank=True, db_default="", default="")
    attempt = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How often one of our workers has taken it up."
    )
    leased_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then it is the worker's who took it up."
    )

    class Meta:
        db_table = "execution_steps"
        constraints = [
            models.UniqueConstraint(
                fields=["execution", "step_name"], name="execution_steps_one_per_name"
            ),
            models.CheckConstraint(condition=~Q(step_name=""), name="execution_steps_named"),
            known_choices("status", StepStatus, name="execution_steps_status_known"),
            models.CheckConstraint(
                condition=Q(status__in=FINAL_STEP_STATES, timestamp_end__isnull=False)
                | Q(~Q(status__in=FINAL_STEP_STATES), timestamp_end__isnull=True),
                name="execution_steps_final_has_end",
            ),
            models.CheckConstraint(
                condition=Q(timestamp_start__isnull=True)
                | Q(timestamp_end__isnull=True)
                | Q(timestamp_end__gte=F("timestamp_start")),
                name="execution_steps_end_after_start",
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="execution_steps_created_idx"),
            models.Index(fields=["status", "created_at"], name="idx_execution_steps_status"),
            models.Index(
                fields=["leased_until"],
                name="execution_steps_leased_idx",
                condition=Q(leased_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.execution_id}: {self.step_name}"


class Watch(models.Model):
    """When a watch over signs of life last looked, and since when it has looked without a break.

    Nobody is silent while there was nobody to hear: deadlines count from ``awake_since`` at the
    earliest.
    """

    name = models.CharField(primary_key=True, max_length=50)
    looked_at = models.DateTimeField()
    awake_since = models.DateTimeField()

    class Meta:
        db_table = "watches"
        verbose_name_plural = "watches"

    def __str__(self) -> str:
        return self.name
