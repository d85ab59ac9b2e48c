"""Rows leave by the archives that hold them, block by block, or month by month."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import OperationalError
from django.db.models import Sum

from apps.executions.choices import StepStatus
from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive
from apps.retention.services.previews import all_rows
from apps.retention.services.runs import ARCHIVE, run_under_way
from apps.retention.services.turns import InTheWay, Turn
from apps.shared.errors import DomainError
from apps.shared.partitions import detached_months
from apps.shared.retention.datasets import datasets
from apps.shared.retention.deleting import BATCH_ROWS, Left, delete_batch, delete_block
from apps.shared.retention.manifests import (
    DamagedArchive,
    Manifest,
    OutsideRoot,
    read_manifest,
    resolve,
    verify_files,
)
from apps.shared.retention.months import leave_month, months_to_leave, rejoin_month
from apps.shared.retention.selecting import guard

logger = logging.getLogger(__name__)

# For a month: to take it out, and once more to drop it.
MONTH_PATIENCE: Final = timedelta(seconds=10)
# After so many turns in which others outlasted our patience, the run gives up till tomorrow.
MOST_WAITS: Final = 10
NOTED: Final = ("status", "blocks_done", "left_rows", "stayed")


class FoundDamaged(DomainError):
    """An archive is no longer what was written; nothing is deleted by it."""

    code = "damaged_archive"
    status = 409

    def __init__(self, archive: Archive, message: str) -> None:
        super().__init__(f"{archive.path}: {message}")
        self.archive = archive


class InUse(DomainError):
    """Somebody has used a month, or rows, for so long that they could not leave."""

    code = "in_use"
    status = 409


def empty_earlier(turn: Turn) -> None:
    """Let the rows leave that archives of earlier runs hold: those runs died, or failed.

    So no row is ever in two archives. Raises as ``empty`` does.
    """
    earlier = Archive.objects.filter(dataset=turn.rule.dataset.name).unfinished()
    earlier = earlier.exclude(execution=turn.run).order_by("created_at", "pk")
    empty_all(turn, list(earlier), earlier=True)


def empty_own(turn: Turn) -> None:
    """Let the rows leave that the archives of this run hold."""
    months = [date.fromisoformat(each) for each in turn.planned["months"]]
    own = Archive.objects.filter(execution=turn.run)
    empty_all(turn, list(own.unfinished().order_by("part")), months=months)


def empty_all(
    turn: Turn, archives: Sequence[Archive], *, months: Sequence[date] = (), earlier: bool = False
) -> None:
    """Empty archives: those of a whole month together, the others block by block.

    ``months``: those that leave even where there was nothing in them to be archived.
    """
    whole, apart = whole_months(turn)
    if not (archives or months or apart):
        return
    guard(turn.rule, turn.now)
    groups: dict[tuple[date, str], list[Archive]] = {}
    by_block: list[Archive] = []
    for each in archives:
        if each.month in whole and not each.blocks_done and is_whole(each):
            groups.setdefault((each.month, each.execution_id or ""), []).append(each)
        else:
            by_block.append(each)
    known = {month for month, _ in groups}
    # A month that stands beside its table, and is in no archive that is sound, goes back into it.
    for month in {*whole.intersection(months), *apart} - known:
        groups[month, ""] = []
    for (month, _), parts in sorted(groups.items()):
        turn.keep()
        empty_month(turn, month, parts, earlier=earlier)
        turn.make_way()
    for each in by_block:
        empty(turn, each, earlier=earlier)


def whole_months(turn: Turn) -> tuple[set[date], list[date]]:
    """Return the months that leave whole, and all that stand beside their table by now."""
    if not turn.rule.dataset.monthly:
        return set(), []
    cutoff = turn.rule.cutoff(turn.now).date()
    apart = detached_months(turn.rule.dataset.table)
    old = {month for month in apart if month < cutoff}
    return old.union(months_to_leave(turn.rule, turn.now)), apart


def is_whole(archive: Archive) -> bool:
    """Tell whether its run has archived all that there was of its month."""
    run = archive.execution
    return (
        run is not None and run.steps.filter(step_name=ARCHIVE, status=StepStatus.SUCCESS).exists()
    )


def verified(archive: Archive) -> tuple[Path, Manifest]:
    """Return where an archive is and its manifest, once its files bear it out.

    Raises FoundDamaged.
    """
    try:
        folder = resolve(Path(settings.ARCHIVE_ROOT), archive.path)
        manifest = read_manifest(folder, sha256=archive.sha256)
        verify_files(folder, manifest)
    except (DamagedArchive, OutsideRoot) as damage:
        raise FoundDamaged(archive, damage.message) from damage
    return folder, manifest


def empty(turn: Turn, archive: Archive, *, earlier: bool) -> None:
    """Let the rows of one archive leave, a block in each transaction.

    Raises FoundDamaged, ToldToStop, OutOfTime, and what ``Turn.leaving`` raises.
    """
    turn.keep()
    folder, manifest = verified(archive)
    for block in range(archive.blocks_done, manifest.blocks):
        turn.keep()
        with unless_held_up(turn, f"Rows of {archive.path}"), turn.leaving():
            try:
                left = delete_block(
                    rule=turn.rule, now=turn.now, folder=folder, manifest=manifest, block=block
                )
            except DamagedArchive as damage:
                raise FoundDamaged(archive, damage.message) from damage
            archive.blocks_done = block + 1
            note_left(turn, archive, left.rows, left.stayed, earlier=earlier)
            if archive.blocks_done == manifest.blocks:
                note_kept(turn, archive)
        say_left(turn)
        turn.make_way()


def empty_month(turn: Turn, month: date, archives: Sequence[Archive], *, earlier: bool) -> None:
    """Let a whole month leave, which these archives hold together.

    Raises FoundDamaged, InTheWay, InUse, and what ``Turn.leaving`` raises.
    """
    found = [verified(each) for each in archives]
    with turn.leaving():
        before = turn.noted.get("earlier_rows", 0)

    def noted(lefts: Sequence[Left]) -> None:
        # To take the month out has taken its time.
        turn.check()
        for archive, (_, manifest), left in zip(archives, found, lefts, strict=True):
            archive.status, archive.emptied_at = ArchiveStatus.KEPT, turn.clock()
            archive.blocks_done = manifest.blocks
            archive.left_rows, archive.stayed = left.rows, left.stayed
            archive.save(update_fields=[*NOTED, "emptied_at"])
        if earlier:
            turn.note(earlier_rows=before + sum(left.rows for left in lefts))

    with unless_held_up(turn, f"{month:%B %Y}"):
        leave_month(
            rule=turn.rule, month=month, archives=found, patience=MONTH_PATIENCE, noted=noted
        )
    say_left(turn)


@contextmanager
def unless_held_up(turn: Turn, what: str) -> Iterator[None]:
    """Have the step tried again later where others hold on to rows, or read a month, for long.

    Raises InTheWay, and InUse when that has happened too often.
    """
    try:
        yield
    except OperationalError as error:
        waits = turn.noted.get("waits", 0) + 1
        turn.note(waits=waits)
        if waits >= MOST_WAITS:
            raise InUse(f"{what} could not leave: somebody uses it.") from error
        raise InTheWay from error


def rejoin_lost_months() -> None:
    """Bring back months that stand beside their table when no run is at it any more.

    It was killed, called off or refused between two steps; nobody saw those rows since.
    """
    for declared in datasets():
        apart = detached_months(declared.table) if declared.monthly else []
        if apart and run_under_way(declared.name) is None:
            for month in apart:
                logger.warning("%s: %s is put back", declared.name, f"{month:%B %Y}")
                rejoin_month(declared.table, month, patience=MONTH_PATIENCE)


def note_left(
    turn: Turn, archive: Archive, rows: int, stayed: Sequence[str], *, earlier: bool
) -> None:
    """Note in an archive that rows have left by it, in the transaction in which they do."""
    archive.status = ArchiveStatus.EMPTYING
    archive.left_rows += rows
    archive.stayed = [*archive.stayed, *stayed]
    archive.save(update_fields=NOTED)
    if earlier:
        turn.note(earlier_rows=turn.noted.get("earlier_rows", 0) + rows)


def note_kept(turn: Turn, archive: Archive) -> None:
    archive.status, archive.emptied_at = ArchiveStatus.KEPT, turn.clock()
    archive.save(update_fields=["status", "emptied_at"])


def delete_batches(turn: Turn) -> None:
    """Delete what leaves without being archived, a batch in each transaction."""
    guard(turn.rule, turn.now)
    while True:
        turn.keep()
        with unless_held_up(turn, turn.rule.dataset.title), turn.leaving():
            rows = delete_batch(rule=turn.rule, now=turn.now, rows=BATCH_ROWS)
            turn.note(deleted=turn.noted.get("deleted", 0) + rows)
        if not rows:
            return
        total = all_rows(turn.planned)
        turn.say(f"deleted {turn.noted['deleted']:,} of {total:,} rows")
        turn.make_way()


def say_left(turn: Turn) -> None:
    """Say in the run how many rows have left, of those that its archives hold."""
    own = Archive.objects.filter(execution=turn.run)
    found: dict[str, Any] = own.aggregate(left=Sum("left_rows"), rows=Sum("rows"))
    turn.say(f"deleted {found['left'] or 0:,} of {found['rows'] or 0:,} rows")
