"""What was found by using the commands of the backup wrongly."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from config.backup import manifests, report, restoring
from config.backup.making import Made
from config.backup.manifests import DUMP, SUMS, ArchiveRecord, Manifest, MediaRecord
from config.management.commands import backup as backup_command

NOW = datetime(2026, 3, 2, 14, tzinfo=UTC)
NOWHERE = "postgres://nobody@127.0.0.1:1/restored"


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, settings: Any) -> None:
    settings.BACKUP_ROOT = tmp_path / "backups"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """Return a backup that is whole, of a database that holds nothing."""
    folder = tmp_path / "backups" / manifests.timed_name(NOW)
    with manifests.new_folder(folder) as draft:
        (draft / DUMP).write_bytes(b"dump")
        manifests.write(draft, empty(manifests.sha256(draft / DUMP)))
    return folder


def empty(dump: str = "", **values: Any) -> Manifest:
    known = {field.name: field.type for field in msgspec.structs.fields(Manifest)}
    nothing = {name: {} if "dict" in str(each) else [] for name, each in known.items()}
    return Manifest(
        **nothing
        | {"format": 1, "product": "1", "server": 18, "program": 18, "made_at": NOW}
        | {"dump_bytes": 4, "dump_sha256": dump}
        | values
    )


def refused(*words: str) -> CommandError:
    with pytest.raises(CommandError) as refusal:
        call_command("restore_backup", *words, stdout=StringIO())
    return refusal.value


class TestAddress:
    @pytest.mark.parametrize(
        "address",
        [
            "postgres://",
            "postgres://somebody@127.0.0.1",
            "postgres://somebody@127.0.0.1:99999/restored",
            "postgres://somebody@127.0.0.1:port/restored",
            "postgres://somebody@[::1/restored",
        ],
    )
    def test_that_names_no_database_is_refused_in_a_line(self, backup: Path, address: str) -> None:
        said = str(refused(backup.name, "--into", address))

        assert said == "Name the database as postgres://user@host/name."


class TestFolder:
    @pytest.mark.parametrize("way", [["--verify"], ["--into", NOWHERE]])
    def test_that_is_closed_to_us_is_refused_in_a_line(
        self, backup: Path, way: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def closed(folder: Path) -> Manifest:
            raise PermissionError(13, "Permission denied", str(folder / SUMS))

        monkeypatch.setattr(manifests, "_read", closed)

        refused(backup.name, *way)

    def test_says_what_is_closed(self, backup: Path) -> None:
        (backup / SUMS).unlink()
        (backup / SUMS).mkdir()

        said = str(refused(backup.name, "--into", NOWHERE))

        assert said == f"{backup / SUMS} cannot be read: Is a directory."

    def test_of_a_name_that_no_folder_can_have_is_a_finding(self) -> None:
        out = StringIO()
        with pytest.raises(CommandError, match="not good: files"):
            call_command("restore_backup", "a" * 300, "--verify", "--json", stdout=out)

        (finding,) = json.loads(out.getvalue())["findings"]
        assert finding["said"].startswith("There is no backup at ")


class TestServer:
    def test_that_goes_away_while_it_is_filled_is_told_in_a_line(
        self, backup: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(database: Any) -> Any:
            raise psycopg.OperationalError("the connection is lost\nwhile sending")

        monkeypatch.setattr(restoring.Database, "connect", gone)

        said = str(refused(backup.name, "--into", NOWHERE))

        assert said == "The database could not be filled: the connection is lost"


class TestInterrupted:
    def test_backup_says_so_in_a_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backup_command.making, "make", interrupted)

        with pytest.raises(CommandError, match=r"^Interrupted: nothing half made") as refusal:
            call_command("backup", stdout=StringIO())

        assert refusal.value.returncode == 130

    @pytest.mark.parametrize(
        ("way", "left"),
        [
            (["--verify"], "nothing is left of it"),
            (["--into", NOWHERE], "what was restored is unproven"),
        ],
    )
    def test_restore_says_so_in_a_line(
        self, backup: Path, monkeypatch: pytest.MonkeyPatch, way: list[str], left: str
    ) -> None:
        monkeypatch.setattr(restoring, "verify", interrupted)
        monkeypatch.setattr(restoring, "restore", interrupted)

        error = refused(backup.name, *way)

        assert (str(error), error.returncode) == (f"Interrupted: {left}.", 130)


def interrupted(*args: Any, **kwargs: Any) -> None:
    raise KeyboardInterrupt


def test_a_report_counts_in_words_that_fit_every_number() -> None:
    archives = [ArchiveRecord("trades/1", "trades", "kept", "0", 1)]
    made = Made(Path("/backup"), empty(archives=archives, media=[MediaRecord("a", 1, "0")]), [])

    assert "Archives (1) and lists of trades (1) are files of their own" in report.of_backup(made)
