"""What staff should know."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q

from apps.logs.choices import NotificationLevel
from apps.shared.models import CreatedModel, known_choices


class NotificationQuerySet(models.QuerySet["Notification"]):
    def unseen(self) -> Self:
        return self.filter(seen_at__isnull=True)


class Notification(CreatedModel):
    """A change of state worth telling, written in the transaction that changed it."""

    what = models.CharField(max_length=50, help_text="The kind of change, such as bot_silent.")
    level = models.CharField(
        max_length=10, choices=NotificationLevel, default=NotificationLevel.WARNING
    )
    subject = models.CharField(max_length=200)
    message = models.TextField(blank=True, default="")
    link = models.CharField(
        max_length=500, blank=True, default="", help_text="The page of what it is about."
    )
    dedupe_key = models.CharField(
        max_length=255, blank=True, default="", help_text="Told once, however often it is said."
    )
    correlation_id = models.CharField(max_length=100, blank=True, default="")
    seen_by = models.CharField(max_length=150, blank=True, default="")
    seen_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        db_table = "notifications"
        constraints = [
            models.UniqueConstraint(
                fields=["dedupe_key"],
                name="notifications_told_once",
                condition=~Q(dedupe_key=""),
            ),
            known_choices("level", NotificationLevel, name="notifications_level_known"),
            models.CheckConstraint(
                condition=Q(seen_at__isnull=True, seen_by="")
                | Q(seen_at__isnull=False) & ~Q(seen_by=""),
                name="notifications_seen_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="notifications_created_idx"),
            models.Index(
                fields=["-created_at"],
                name="notifications_unseen_idx",
                condition=Q(seen_at__isnull=True),
            ),
            models.Index(fields=["correlation_id"], name="notifications_trace_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} ({self.id})"
