"""Everything that happened, from all five tables, as one list."""

from __future__ import annotations

from typing import Self

from django.db import models

from apps.logs.choices import ActivitySource, Severity


class ActivityQuerySet(models.QuerySet["RecentActivity"]):
    def trace(self, correlation_id: str) -> Self:
        """Return everything of one cause in the order it happened."""
        return self.filter(correlation_id=correlation_id).order_by("timestamp", "id")


class RecentActivity(models.Model):
    """One thing that happened: a log line, an event, an operation, an error or a request."""

    id = models.BigIntegerField(primary_key=True)
    source = models.CharField(max_length=20, choices=ActivitySource)
    timestamp = models.DateTimeField()
    severity = models.CharField(max_length=10, choices=Severity)
    component = models.CharField(max_length=100)
    description = models.TextField()
    correlation_id = models.CharField(max_length=100)
    metadata = models.JSONField()

    objects = ActivityQuerySet.as_manager()

    class Meta:
        managed = False
        db_table = "recent_system_activity"
        verbose_name = "activity"
        verbose_name_plural = "activity"

    def __str__(self) -> str:
        return f"{self.source} {self.id}"
