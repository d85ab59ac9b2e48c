"""How long each dataset is kept, and who changed that."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from apps.executions.models import Execution
from apps.retention.domain.policies import MOST_DAYS
from apps.shared.models import CreatedModel, TimestampedModel


class PolicyQuerySet(models.QuerySet["RetentionPolicy"]):
    def in_force(self, now: datetime) -> Self:
        """Switched on, and not held because somebody works with rows that were restored."""
        return self.filter(enabled=True).exclude(held_until__gt=now)


class RetentionPolicy(TimestampedModel):
    """For how long the rows of one dataset are kept, and what of it stays for good.

    What a dataset never gives away stands in the code; ``exemptions`` repeats it so that a policy
    which leaves it out is refused by name.
    """

    dataset = models.CharField(max_length=50, unique=True)
    enabled = models.BooleanField("on", default=True)
    age_days = models.PositiveIntegerField(
        "kept for (days)", help_text="Rows older than that leave. 0: as soon as their time is over."
    )
    time_column = models.CharField(
        "age counts from", max_length=63, help_text="The time that says how old a row is."
    )
    exemptions = models.JSONField(
        default=list, blank=True, help_text="What stays, however old it is."
    )
    archive = models.BooleanField(
        "archived first", default=True, help_text="Written to a file that can be restored."
    )
    held_until = models.DateTimeField(
        null=True, blank=True, help_text="Nothing leaves before: rows were restored."
    )
    # How it last went
    last_run = models.ForeignKey(
        Execution, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    last_run_at = models.DateTimeField("last run", null=True, blank=True)
    last_rows = models.PositiveBigIntegerField("rows freed", null=True, blank=True)
    last_bytes = models.PositiveBigIntegerField("bytes freed", null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True, db_default="", default="")

    objects = PolicyQuerySet.as_manager()

    class Meta:
        db_table = "retention_policies"
        verbose_name = "retention policy"
        verbose_name_plural = "retention policies"
        ordering = ["dataset"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(dataset="") & ~Q(time_column=""), name="retention_policies_named"
            ),
            models.CheckConstraint(
                condition=Q(age_days__gte=0, age_days__lte=MOST_DAYS),
                name="retention_policies_age",
            ),
        ]

    def __str__(self) -> str:
        return self.dataset


class PolicyChange(CreatedModel):
    """One change of a policy: what it was and what it became. It is never changed itself."""

    policy = models.ForeignKey(
        RetentionPolicy, models.CASCADE, db_index=False, related_name="changes"
    )
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150)
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict)

    class Meta:
        db_table = "retention_policy_changes"
        verbose_name = "change of a policy"
        verbose_name_plural = "changes of policies"
        indexes = [
            models.Index(fields=["policy", "changed_at", "id"], name="retention_changes_idx"),
            models.Index(fields=["changed_at", "id"], name="retention_changes_time_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.policy_id} by {self.changed_by}"
