"""Archives: files that hold rows which have left, and what is known of them."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q

from apps.executions.models import Execution
from apps.retention.choices import ArchiveStatus
from apps.shared.models import CreatedModel, known_choices


class ArchiveQuerySet(models.QuerySet["Archive"]):
    def unfinished(self) -> Self:
        """Archives whose rows have not all left yet."""
        return self.filter(status__in=[ArchiveStatus.WRITTEN, ArchiveStatus.EMPTYING])

    def holding(self) -> Self:
        """Archives that hold rows which stand nowhere else."""
        return self.filter(status__in=[ArchiveStatus.EMPTYING, ArchiveStatus.KEPT])


class Archive(CreatedModel):
    """One archive: a folder with a file per table and a manifest, verified when it was written.

    It is written before a row leaves. ``rows`` counts all its tables, ``left_rows`` those that have
    left the database by it; ``stayed`` names rows that changed in between, and stay.
    """

    path = models.CharField(
        max_length=255, unique=True, help_text="A folder below the archive root."
    )
    dataset = models.CharField(max_length=50)
    status = models.CharField(max_length=8, choices=ArchiveStatus, default=ArchiveStatus.WRITTEN)
    execution = models.ForeignKey(
        Execution, models.SET_NULL, null=True, blank=True, related_name="archives"
    )
    part = models.PositiveIntegerField(help_text="Its number within the run.")
    month = models.DateField(
        null=True, blank=True, help_text="The month of a table cut into months."
    )
    sha256 = models.CharField(
        "SHA-256", max_length=64, help_text="Of the manifest, which holds that of each file."
    )
    schema_version = models.CharField(
        "schema", max_length=16, help_text="Of the tables as they were."
    )
    rows = models.PositiveBigIntegerField()
    roots = models.PositiveBigIntegerField(help_text="Rows of the dataset itself.")
    bytes = models.PositiveBigIntegerField(help_text="Of its files.")
    first_time = models.DateTimeField("from", null=True, blank=True)
    last_time = models.DateTimeField("to", null=True, blank=True)
    last_key = models.TextField(
        blank=True, db_default="", default="", help_text="Where the next part goes on."
    )
    cutoff = models.DateTimeField(help_text="Rows before this moment were old.")
    tables = models.JSONField(default=list, help_text="Rows of each table.")
    left_rows = models.PositiveBigIntegerField(default=0, db_default=0)
    blocks_done = models.PositiveIntegerField(default=0, db_default=0)
    stayed = models.JSONField(default=list, blank=True)
    emptied_at = models.DateTimeField(null=True, blank=True)
    restored_at = models.DateTimeField(null=True, blank=True)
    restored_by = models.CharField(max_length=150, blank=True, db_default="", default="")
    note = models.CharField(max_length=500, blank=True, db_default="", default="")

    objects = ArchiveQuerySet.as_manager()

    class Meta:
        db_table = "retention_archives"
        constraints = [
            known_choices("status", ArchiveStatus, name="retention_archives_status_known"),
            models.CheckConstraint(
                condition=Q(left_rows__lte=models.F("rows"), roots__lte=models.F("rows")),
                name="retention_archives_counts_fit",
            ),
            models.UniqueConstraint(
                fields=["execution", "part"], name="retention_archives_one_part"
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="retention_archives_time_idx"),
            models.Index(
                fields=["dataset", "created_at", "id"], name="retention_archives_dataset_idx"
            ),
            models.Index(
                fields=["dataset"],
                name="retention_archives_open_idx",
                condition=Q(status__in=["written", "emptying"]),
            ),
        ]

    def __str__(self) -> str:
        return self.path
