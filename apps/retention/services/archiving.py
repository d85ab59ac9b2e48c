"""The archive step: part by part, each on the disk and verified before it is known."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Final

from django.db import transaction

from apps.executions.choices import ExecutionStatus
from apps.executions.domain.states import FINAL
from apps.executions.models import Execution
from apps.retention.models import Archive
from apps.retention.services.previews import all_rows
from apps.retention.services.runs import runs_of
from apps.retention.services.turns import Turn
from apps.shared.partitions import existing_months
from apps.shared.retention.archives import PART_ROWS, Mark, Written, tidy, write_part
from apps.shared.retention.manifests import Manifest

# Further back nobody looks for what a dead run has left on the disk.
RUNS_TIDIED: Final = 20


def archive_rows(turn: Turn) -> None:
    """Write what leaves to archives, going on where the turn before ended.

    Raises NoRoom, ToldToStop, OutOfTime, DamagedArchive when what was written cannot be read.
    """
    tidy_earlier(turn)
    for month in months_left(turn):
        while archive_part(turn, month):
            say_archived(turn)
            turn.make_way()


def months_left(turn: Turn) -> list[date | None]:
    """Return the months that are to be archived whole, then None: what stands in no month."""
    planned = [date.fromisoformat(each) for each in turn.planned["months"]]
    there = existing_months(turn.rule.dataset.table) if planned else []
    months: list[date | None] = [month for month in planned if month in there]
    months.append(None)
    last = last_part(turn)
    if last is None or last.month not in months:
        return months
    return months[months.index(last.month) :]


def last_part(turn: Turn) -> Archive | None:
    return Archive.objects.filter(execution=turn.run).order_by("-part").first()


def archive_part(turn: Turn, month: date | None) -> bool:
    """Write the next part; False where nothing is left to be archived."""
    last = last_part(turn)
    after = None
    if last is not None and last.month == month and last.last_time is not None:
        after = Mark(last.last_time, last.last_key)
    part = last.part + 1 if last else 1
    path = path_of(turn.run, part)
    turn.keep()
    # Whatever a killed worker has left there belongs to no row.
    tidy(path)
    try:
        written = write_part(
            rule=turn.rule, now=turn.now, after=after, path=path, month=month, rows=PART_ROWS
        )
    except BaseException:
        # Why it could not be written is the one to be told of.
        with suppress(OSError):
            tidy(path)
        raise
    if written is None:
        return False
    with transaction.atomic():
        store(turn, part, written)
    return True


def path_of(run: Execution, part: int) -> str:
    """Return where a part of a run is kept, below the archive root.

    It follows from the run alone, so that what was killed while it wrote is found again.
    """
    return f"{run.metadata['dataset']}/{run.pk}/{part:04}"


def store(turn: Turn, part: int, written: Written) -> Archive:
    """Make an archive known: from here on its rows may leave."""
    archive = archive_of(written.manifest, path=written.path, sha256=written.sha256)
    archive.execution, archive.part = turn.run, part
    archive.save()
    return archive


def archive_of(manifest: Manifest, *, path: str, sha256: str) -> Archive:
    """Return the row of an archive as its manifest tells it, not stored."""
    return Archive(
        path=path,
        dataset=manifest.dataset,
        part=0,
        month=manifest.month,
        sha256=sha256,
        schema_version=manifest.schema_version,
        rows=manifest.rows,
        roots=manifest.roots,
        bytes=manifest.bytes,
        first_time=manifest.first_time,
        last_time=manifest.last_time,
        last_key=manifest.last_key,
        cutoff=manifest.cutoff,
        tables=[
            {"table": each.table, "rows": each.rows, "bytes": each.bytes}
            for each in manifest.tables
        ],
    )


def tidy_earlier(turn: Turn) -> None:
    """Remove from the disk what earlier runs were just writing when they died."""
    dead = runs_of(turn.rule.dataset.name).filter(status__in=FINAL).exclude(pk=turn.run.pk)
    for run in dead.exclude(status=ExecutionStatus.COMPLETED).order_by("-created_at")[:RUNS_TIDIED]:
        last = Archive.objects.filter(execution=run).order_by("-part").first()
        tidy(path_of(run, last.part + 1 if last else 1))


def say_archived(turn: Turn) -> None:
    """Say in the run how many rows are archived, of those that were counted."""
    rows = sum(Archive.objects.filter(execution=turn.run).values_list("rows", flat=True))
    turn.say(f"archived {rows:,} of {max(rows, all_rows(turn.planned)):,} rows")
