"""Archives brought back: found, previewed, and restored in one transaction that staff can watch."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction

from apps.executions.tracking import tracked_execution
from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive, PolicyChange, RetentionPolicy
from apps.retention.services.archiving import archive_of
from apps.retention.services.policies import ensure_policies
from apps.retention.services.runs import claim, run_under_way
from apps.retention.services.verifying import folder_of, manifest_of, verify_archive
from apps.shared.errors import Conflict, DomainError
from apps.shared.partitions import detached_months
from apps.shared.retention import restoring as engine
from apps.shared.retention.datasets import dataset
from apps.shared.retention.manifests import (
    MANIFEST,
    DamagedArchive,
    OutsideRoot,
    read_manifest,
    resolve,
)
from apps.shared.retention.months import rejoin_month
from apps.shared.retention.restoring import Restored, TablePreview

TYPE: Final = "ARCHIVE_RESTORE"
LARGEST_ID: Final = 2**63 - 1


class UnknownArchive(DomainError):
    """There is no such archive, neither a row nor a folder."""

    code = "unknown_archive"
    status = 404


def find_archive(text: str) -> Archive:
    """Return an archive by its id, or by its path below the archive root or in full.

    A folder whose row is lost gives one that is not stored: what its manifest says of it. Raises
    UnknownArchive, OutsideRoot for a path that leads out, and DamagedArchive for such a folder
    without a manifest that can be read.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        found = Archive.objects.filter(pk=int(text)).first() if int(text) <= LARGEST_ID else None
        if found is None:
            raise UnknownArchive(f"There is no archive {text[:20]}.")
        return found
    path = path_below_root(text)
    if found := Archive.objects.filter(path=path).first():
        return found
    if not (Path(settings.ARCHIVE_ROOT) / path / MANIFEST).exists():
        raise UnknownArchive(f"There is no archive {path}.")
    return archive_of_folder(path)


def path_below_root(text: str) -> str:
    """Return the plain path of an archive below the root. Raises OutsideRoot."""
    root = Path(settings.ARCHIVE_ROOT).resolve()
    path = text.rstrip("/").removesuffix(f"/{MANIFEST}")
    if path.startswith("/"):
        if "\0" in path or not Path(path).resolve().is_relative_to(root):
            raise OutsideRoot("The path of the archive leads out of the archive root.")
        path = str(Path(path).resolve().relative_to(root))
    return resolve(root, path).relative_to(root).as_posix()


def archive_of_folder(path: str) -> Archive:
    """Return the row, not stored, of an archive of which nothing but its files is left."""
    folder = resolve(Path(settings.ARCHIVE_ROOT), path)
    manifest = read_manifest(folder)
    sha256 = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    archive = archive_of(manifest, path=path, sha256=sha256)
    archive.status = ArchiveStatus.KEPT
    archive.note = "Its row was lost, and made anew from its manifest."
    return archive


def preview_restore(*, archive: Archive, now: datetime) -> list[TablePreview]:
    """Return what a restore would do to each table; nothing is changed.

    Raises UnknownDataset, OutsideRoot, DamagedArchive, ForeignSchema.
    """
    return engine.preview(
        dataset=dataset(archive.dataset),
        folder=folder_of(archive),
        manifest=manifest_of(archive),
        stayed=archive.stayed,
    )


def restore_archive(*, archive: Archive, by: str, now: datetime) -> list[Restored]:
    """Bring the rows of an archive back, as an execution, and return what became of each table.

    Rows, archive and policy change in one transaction, or nothing does. Rows that came back are
    held: their policy does not run for as long as settings.RESTORED_HOLD. Restoring again inserts
    nothing and changes nothing. An archive that is not what was written becomes DAMAGED.

    Raises UnknownDataset, OutsideRoot, DamagedArchive, Conflict while a run of the dataset is under
    way, and what the engine refuses: ForeignSchema, MissingParents, NotIdentical.
    """
    dataset(archive.dataset)
    folder_of(archive)
    check_no_run(archive.dataset)
    metadata = {"archive": archive.path, "dataset": archive.dataset}
    with tracked_execution(TYPE, triggered_by=by[:150], metadata=metadata) as run:
        with run.step("verify"):
            check_files(archive, now)
        with run.step("restore") as result, transaction.atomic():
            restored = bring_back(archive, by=by, now=now)
            result["tables"] = [each._asdict() for each in restored]
            result["rows"] = sum(each.inserted for each in restored)
    return restored


def check_no_run(name: str) -> None:
    """Raise Conflict while retention works on a dataset: its archives are not whole stories yet."""
    if run := run_under_way(name):
        raise Conflict(f"Retention is working on {name} ({run.pk}): restore when that is over.")


def check_files(archive: Archive, now: datetime) -> None:
    """Raise DamagedArchive, and have the archive say so, unless its files are what was written."""
    if archive.pk is None:
        # Each file is read when its rows are.
        manifest_of(archive)
    elif wrong := verify_archive(archive=archive, now=now):
        raise DamagedArchive(wrong)


def bring_back(archive: Archive, *, by: str, now: datetime) -> list[Restored]:
    """Restore rows, and note it in the archive and its policy, in the caller's transaction."""
    # Nobody plans a run before this is over, and what is running is over before this begins.
    claim(archive.dataset)
    policies = RetentionPolicy.objects.select_for_update(no_key=True)
    policy = policies.filter(dataset=archive.dataset).first()
    if policy is None:
        # One that is made later would have what comes back leave at once.
        ensure_policies(now=now)
        policy = policies.get(dataset=archive.dataset)
    check_no_run(archive.dataset)
    if archive.pk is None:
        # Somebody else may have found the same folder in the meantime.
        archive = Archive.objects.filter(path=archive.path).first() or archive
    if archive.pk is not None:
        archive = Archive.objects.select_for_update(no_key=True).get(pk=archive.pk)
    declared = dataset(archive.dataset)
    for month in detached_months(declared.table) if declared.monthly else ():
        # A run that died has taken it out; what stands in it must not stand there twice.
        rejoin_month(declared.table, month)
    was_restored = archive.status == ArchiveStatus.RESTORED
    restored = engine.restore(
        dataset=declared,
        folder=folder_of(archive),
        manifest=manifest_of(archive),
        stayed=archive.stayed,
    )
    if was_restored and not any(each.inserted for each in restored):
        return restored
    archive.status = ArchiveStatus.RESTORED
    archive.restored_at, archive.restored_by = now, by[:150]
    archive.save()
    hold(policy, by=by, now=now)
    return restored


def hold(policy: RetentionPolicy, *, by: str, now: datetime) -> None:
    """Have nothing of a dataset leave for a while, and record who had it so."""
    until = now + settings.RESTORED_HOLD
    before = policy.held_until
    if before is not None and before >= until:
        return
    policy.held_until = until
    policy.save(update_fields=["held_until", "updated_at"])
    PolicyChange.objects.create(
        policy=policy,
        changed_at=now,
        changed_by=by[:150],
        before={"held_until": before and before.isoformat()},
        after={"held_until": until.isoformat()},
    )
