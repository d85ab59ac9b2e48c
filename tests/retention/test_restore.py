"""Archives are found, previewed and restored, as executions and by the command."""

import io
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import override_settings

from apps.executions.models import Execution
from apps.market.models import CacheInvalidation
from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive, PolicyChange, RetentionPolicy
from apps.retention.services.policies import ensure_policies
from apps.retention.services.restoring import (
    UnknownArchive,
    find_archive,
    preview_restore,
    restore_archive,
)
from apps.retention.services.runs import plan_retention
from apps.shared.errors import Conflict
from apps.shared.retention.archives import write_part
from apps.shared.retention.datasets import Rule, UnknownDataset, dataset
from apps.shared.retention.manifests import DamagedArchive, OutsideRoot
from tests.factories import make_cache_invalidation
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAME = "cache_invalidations"
HELD = NOW + timedelta(days=7)


@pytest.fixture(autouse=True)
def archive_root(tmp_path: Path) -> Iterator[None]:
    root = tmp_path / "archives"
    root.mkdir()
    hold = timedelta(days=7)
    with override_settings(ARCHIVE_ROOT=root, ARCHIVE_RESERVE=0, RESTORED_HOLD=hold):
        yield


@pytest.fixture
def rows() -> list[tuple[object, ...]]:
    """Make three old rows of a dataset with a policy, and return them as they are."""
    ensure_policies(now=NOW)
    PolicyChange.objects.all().delete()
    for _ in range(3):
        make_cache_invalidation(invalidated_at=NOW - timedelta(days=200))
    return everything()


def everything() -> list[tuple[object, ...]]:
    return list(CacheInvalidation.objects.order_by("pk").values_list())


@pytest.fixture
def archive(rows: list[tuple[object, ...]]) -> Archive:
    """Return the archive of these rows, which have left."""
    declared = dataset(NAME)
    rule = Rule(declared, declared.times[0], timedelta(days=90), frozenset())
    assert write_part(rule=rule, now=NOW, after=None, path=f"{NAME}/run/0001")
    archive = find_archive(f"{NAME}/run/0001")
    archive.note = ""
    archive.emptied_at = NOW
    archive.save()
    CacheInvalidation.objects.all().delete()
    return archive


def folder() -> Path:
    return Path(settings.ARCHIVE_ROOT) / NAME / "run" / "0001"


def flip_a_byte() -> None:
    (file,) = folder().glob("*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def restored(archive: Archive) -> int:
    done = restore_archive(archive=archive, by="anna", now=NOW)
    return sum(each.inserted for each in done)


def command(*arguments: str) -> str:
    told = io.StringIO()
    call_command("restore", *arguments, stdout=told)
    return told.getvalue()


class TestFindArchive:
    def test_by_its_id_its_path_or_its_folder(self, archive: Archive) -> None:
        for text in (
            str(archive.pk),
            archive.path,
            f"{archive.path}/",
            f" {folder()} ",
            f"{folder()}/manifest.json",
        ):
            assert find_archive(text) == archive

    @pytest.mark.parametrize(
        "text",
        ["../elsewhere", "/etc", "/", "", ".", "a/../../b", "a\\b", "/etc/\0", "a//b", "~root"],
    )
    def test_what_is_outside_of_the_root_is_refused(self, text: str) -> None:
        error = UnknownArchive if text == "~root" else OutsideRoot
        with pytest.raises(error):
            find_archive(text)

    def test_a_link_that_leads_out_is_refused(self, tmp_path: Path) -> None:
        (Path(settings.ARCHIVE_ROOT) / "link").symlink_to(tmp_path)
        for text in ("link/there", f"{settings.ARCHIVE_ROOT}/link/there"):
            with pytest.raises(OutsideRoot):
                find_archive(text)

    @pytest.mark.parametrize("text", ["7", "9" * 30, "cache_invalidations/none"])
    def test_what_is_not_there_is_unknown(self, text: str) -> None:
        with pytest.raises(UnknownArchive, match=f"There is no archive {text[:20]}"):
            find_archive(text)


class TestRestoreArchive:
    def test_rows_archive_policy_and_execution_tell_the_same(
        self, archive: Archive, rows: list[tuple[object, ...]]
    ) -> None:
        assert restored(archive) == 3
        assert everything() == rows
        archive.refresh_from_db()
        assert (archive.status, archive.restored_at, archive.restored_by) == (
            ArchiveStatus.RESTORED,
            NOW,
            "anna",
        )
        change = PolicyChange.objects.get()
        assert RetentionPolicy.objects.get(dataset=NAME).held_until == HELD
        assert (change.changed_by, change.before, change.after) == (
            "anna",
            {"held_until": None},
            {"held_until": HELD.isoformat()},
        )
        run = Execution.objects.get()
        assert (run.execution_type, run.status, run.triggered_by) == (
            "ARCHIVE_RESTORE",
            "COMPLETED",
            "anna",
        )
        assert run.metadata == {"archive": archive.path, "dataset": NAME}
        assert run.steps.get(step_name="restore").result_data["rows"] == 3

    def test_twice_inserts_nothing_and_changes_nothing(self, archive: Archive) -> None:
        assert restored(archive) == 3
        again = find_archive(str(archive.pk))
        later = NOW + timedelta(days=1)
        (done,) = restore_archive(archive=again, by="ben", now=later)
        assert (done.inserted, done.same) == (0, 3)
        assert find_archive(str(archive.pk)).restored_by == "anna"
        assert PolicyChange.objects.count() == 1

    def test_a_folder_without_its_row_gets_one(
        self, archive: Archive, rows: list[tuple[object, ...]]
    ) -> None:
        Archive.objects.all().delete()
        found = find_archive(archive.path)
        assert found.pk is None
        assert [each.missing for each in preview_restore(archive=found, now=NOW)] == [3]
        assert Archive.objects.count() == 0
        assert restored(found) == 3
        assert everything() == rows
        made = Archive.objects.get()
        assert (made.status, made.rows, made.sha256) == ("restored", 3, archive.sha256)
        assert "row was lost" in made.note
        assert restored(find_archive(archive.path)) == 0

    def test_a_stale_archive_without_row_does_not_make_a_second_one(self, archive: Archive) -> None:
        Archive.objects.all().delete()
        first, second = find_archive(archive.path), find_archive(archive.path)
        assert (restored(first), restored(second)) == (3, 0)
        assert Archive.objects.count() == 1

    def test_two_who_restore_at_once_restore_it_once(
        self, archive: Archive, rows: list[tuple[object, ...]]
    ) -> None:
        Archive.objects.all().delete()
        found = [find_archive(archive.path) for _ in range(2)]
        inserted = at_once([partial(restored, each) for each in found])
        assert sorted(inserted) == [0, 3]
        assert everything() == rows
        assert (Archive.objects.count(), PolicyChange.objects.count()) == (1, 1)

    @pytest.mark.parametrize("status", [ArchiveStatus.WRITTEN, ArchiveStatus.EMPTYING])
    def test_an_archive_that_was_never_emptied_may_be_restored(
        self, archive: Archive, status: ArchiveStatus
    ) -> None:
        Archive.objects.update(status=status, emptied_at=None)
        assert restored(Archive.objects.get()) == 3
        assert Archive.objects.get().status == ArchiveStatus.RESTORED

    def test_it_waits_for_a_run_of_the_dataset(self, archive: Archive) -> None:
        run = plan_retention(dataset=NAME, by="ben", now=NOW)
        with pytest.raises(Conflict, match=run.pk):
            restored(archive)
        assert not Execution.objects.filter(execution_type="ARCHIVE_RESTORE").exists()
        assert everything() == []

    def test_a_damaged_one_says_so_and_nothing_comes_back(self, archive: Archive) -> None:
        flip_a_byte()
        with pytest.raises(DamagedArchive):
            restored(archive)
        assert everything() == []
        archive.refresh_from_db()
        assert archive.status == ArchiveStatus.DAMAGED
        assert Execution.objects.get().status == "FAILED"
        assert RetentionPolicy.objects.get(dataset=NAME).held_until is None

    def test_one_of_an_unknown_dataset_is_refused(self, archive: Archive) -> None:
        archive.dataset = "gone"
        with pytest.raises(UnknownDataset, match='no dataset called "gone"'):
            restored(archive)

    def test_a_policy_that_is_not_there_yet_is_made_and_held(self, archive: Archive) -> None:
        RetentionPolicy.objects.all().delete()
        assert restored(archive) == 3
        assert RetentionPolicy.objects.get(dataset=NAME).held_until == HELD

    def test_a_longer_hold_stays(self, archive: Archive) -> None:
        until = HELD + timedelta(days=1)
        RetentionPolicy.objects.filter(dataset=NAME).update(held_until=until)
        assert restored(archive) == 3
        assert RetentionPolicy.objects.get(dataset=NAME).held_until == until
        assert PolicyChange.objects.count() == 0

    def test_it_is_not_done_inside_of_a_transaction(self, archive: Archive) -> None:
        with pytest.raises(RuntimeError), transaction.atomic():
            restored(archive)


class TestCommand:
    def test_a_preview_shows_and_changes_nothing(self, archive: Archive) -> None:
        told = command(str(archive.pk), "--preview")
        assert "cache_invalidation_log" in told
        assert "Would come back" in told
        assert everything() == []
        assert not Execution.objects.exists()

    def test_it_restores_and_says_how_many(self, archive: Archive) -> None:
        assert "3 rows came back." in command(archive.path)
        assert "0 rows came back" in command(archive.path)

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("../../etc", "plain path below the archive root"),
            ("/etc/passwd", "leads out of the archive root"),
            ("999", "no archive 999"),
        ],
    )
    def test_refusals_are_one_clear_line(self, text: str, why: str) -> None:
        with pytest.raises(CommandError, match=why) as refusal:
            command(text)
        assert "\n" not in str(refusal.value)
        assert refusal.value.returncode == 1

    def test_a_damaged_archive_is_a_clear_line(self, archive: Archive) -> None:
        flip_a_byte()
        with pytest.raises(CommandError, match="no longer what was written"):
            command(archive.path)
        shutil.rmtree(folder())
        with pytest.raises(CommandError, match="cannot be"):
            command(str(archive.pk))
