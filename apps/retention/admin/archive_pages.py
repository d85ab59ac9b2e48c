"""What the pages of archives tell: their files, and what a restore would bring back."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from django.conf import settings
from django.utils.safestring import SafeString

from apps.retention.admin import shown
from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive, RetentionPolicy
from apps.retention.services.restoring import preview_restore
from apps.retention.services.verifying import File, files_of
from apps.shared import display
from apps.shared.errors import DomainError
from apps.shared.retention.restoring import Restored, TablePreview

MOST_STAYED, MOST_CONFLICTS = 20, 5
# So many rows are brought back while a page waits for it; more of them by a command.
MOST_AT_ONCE = 200_000


class ArchiveStory:
    """Everything that the page of an archive asks for, each read once."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.refusal = ""
        self.found: list[File] = []
        try:
            self.found = files_of(archive)
        except DomainError as refusal:
            self.refusal = refusal.message

    @property
    def notices(self) -> list[tuple[str, str]]:
        said = []
        if self.archive.status == ArchiveStatus.DAMAGED:
            note = self.archive.note or "Its files are no longer what was written."
            said.append(
                (
                    "danger",
                    f"{note} Nothing is deleted by it. Bring its files back from a copy and"
                    " verify it again.",
                )
            )
        if self.refusal:
            said.append(("danger", self.refusal))
        missing = [each.name for each in self.found if not each.there]
        if missing:
            said.append(("danger", f"Missing, or of another length: {', '.join(missing)}."))
        if self.archive.status in {ArchiveStatus.WRITTEN, ArchiveStatus.EMPTYING}:
            said.append(
                ("info", "Its rows have not all left yet: the next run of its policy goes on.")
            )
        return said

    @property
    def size(self) -> SafeString:
        return shown.size(self.archive.bytes)

    @property
    def range(self) -> SafeString:
        return shown.time_range(self.archive.first_time, self.archive.last_time)

    @property
    def files(self) -> list[dict[str, Any]]:
        """Return its files, that of the dataset's own table first."""
        return [
            {
                "table": words,
                "name": each.name,
                "rows": each.rows,
                "size": shown.size(each.bytes),
                "sha256": each.sha256,
                "there": each.there,
            }
            for words, each in zip(
                shown.tables_words([file.table for file in self.found]), self.found, strict=True
            )
        ]

    @property
    def policy_url(self) -> str:
        found = RetentionPolicy.objects.filter(dataset=self.archive.dataset)
        pk = found.values_list("pk", flat=True).first()
        return shown.address(RetentionPolicy, "change", pk) if pk else ""

    @property
    def stayed(self) -> list[str]:
        return [str(key) for key in self.archive.stayed[:MOST_STAYED]]

    @property
    def stayed_count(self) -> int:
        return len(self.archive.stayed)

    @property
    def more_stayed(self) -> int:
        return max(len(self.archive.stayed) - MOST_STAYED, 0)


class RestoreStory:
    """What a restore would bring back, table by table, as of now."""

    def __init__(self, archive: Archive, *, now: datetime) -> None:
        self.archive, self.now = archive, now
        self.refusal = ""
        self.tables: list[TablePreview] = []
        self.too_large = archive.rows > MOST_AT_ONCE
        if self.too_large:
            return
        try:
            self.tables = preview_restore(archive=archive, now=now)
        except DomainError as refusal:
            self.refusal = refusal.message

    @cached_property
    def missing(self) -> int:
        """Return how many rows would come back: of the missing, those with a free place."""
        return sum(each.missing - each.conflicting for each in self.tables)

    @property
    def conflicting(self) -> int:
        """Return how many rows would not come back, as others stand in their place."""
        return sum(each.conflicting for each in self.tables)

    @property
    def differing(self) -> int:
        return sum(each.differing for each in self.tables)

    @property
    def same(self) -> int:
        return sum(each.same for each in self.tables)

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.tables)

    @property
    def refused(self) -> bool:
        return bool(self.refusal) or any(each.refused for each in self.tables)

    @property
    def lines(self) -> list[dict[str, Any]]:
        names = shown.tables_words([each.table for each in self.tables])
        return [
            {"title": name, "told": each, "missing": each.missing - each.conflicting}
            for name, each in zip(names, self.tables, strict=True)
        ]

    @property
    def hold(self) -> str:
        """Return for how long what came back does not count as old."""
        return display.span_words(settings.RESTORED_HOLD)

    @property
    def title(self) -> str:
        return shown.title_of(self.archive.dataset)


def restored_words(done: Sequence[Restored]) -> str:
    """Return what a restore did, in a sentence."""
    inserted, same = sum(each.inserted for each in done), sum(each.same for each in done)
    differing = sum(each.differing for each in done)
    conflicting = sum(each.conflicting for each in done)
    words = f"{inserted:,} row{'' if inserted == 1 else 's'} restored"
    words += f"; {same:,} stood there already" if same else ""
    words += f"; {differing:,} stand there with other values and were left" if differing else ""
    words += f"; {conflicting:,} found another row in their place" if conflicting else ""
    named = [line for each in done for line in each.conflicts][:MOST_CONFLICTS]
    return f"{words}.{' ' if named else ''}{' '.join(named)}"
