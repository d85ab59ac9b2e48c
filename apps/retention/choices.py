"""Closed vocabularies of retention."""

from django.db.models import TextChoices


class ArchiveStatus(TextChoices):
    """How far an archive is: its rows stand in the database until they have left."""

    WRITTEN = "written", "Written"
    EMPTYING = "emptying", "Rows are leaving"
    KEPT = "kept", "Kept"
    RESTORED = "restored", "Restored"
    DAMAGED = "damaged", "Damaged"


COLORS = {
    ArchiveStatus.WRITTEN: "info",
    ArchiveStatus.EMPTYING: "info",
    ArchiveStatus.KEPT: "success",
    ArchiveStatus.RESTORED: "default",
    ArchiveStatus.DAMAGED: "danger",
}
