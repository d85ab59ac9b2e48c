"""Errors that are one and the same, counted."""

from __future__ import annotations

from typing import Self

from django.db import models

from apps.logs.choices import ErrorState
from apps.shared.models import TimestampedModel, known_choices


class ErrorGroupQuerySet(models.QuerySet["ErrorGroup"]):
    def unsettled(self) -> Self:
        """Errors that nobody muted or resolved."""
        return self.filter(state__in=[ErrorState.NEW, ErrorState.REGRESSED])


class ErrorGroup(TimestampedModel):
    """All errors of one type from one place, and how staff stand towards them."""

    fingerprint = models.CharField(max_length=32)
    error_type = models.CharField(max_length=255)
    culprit = models.CharField(
        max_length=300, blank=True, default="", help_text="The innermost place in code of our own."
    )
    component = models.CharField(max_length=100, blank=True, default="")
    message = models.TextField(blank=True, default="", help_text="As it came last.")
    count = models.BigIntegerField(default=0)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    state = models.CharField(max_length=10, choices=ErrorState, default=ErrorState.NEW)
    state_changed_at = models.DateTimeField(null=True, blank=True)
    state_changed_by = models.CharField(max_length=150, blank=True, default="")

    objects = ErrorGroupQuerySet.as_manager()

    class Meta:
        db_table = "error_groups"
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"], name="error_groups_one_per_fingerprint"
            ),
            known_choices("state", ErrorState, name="error_groups_state_known"),
        ]
        indexes = [
            models.Index(fields=["-last_seen", "-id"], name="error_groups_last_seen_idx"),
            models.Index(fields=["state", "-last_seen"], name="error_groups_state_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.error_type} {self.fingerprint[:8]}"
