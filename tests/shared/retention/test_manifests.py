"""Manifests and files are believed only when they bear each other out."""

import hashlib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apps.shared.retention.columns import Kind
from apps.shared.retention.manifests import (
    BlockRecord,
    DamagedArchive,
    Manifest,
    OutsideRoot,
    TableRecord,
    as_json,
    read_manifest,
    read_table,
    resolve,
    verify_files,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FILE = "0_lines.parquet"


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Have an archive of three rows in a folder."""
    table = pa.table({"block": pa.array([0, 0, 1], pa.int32()), "id": [1, 2, 3]})
    pq.write_table(table, tmp_path / FILE)
    content = (tmp_path / FILE).read_bytes()
    record = TableRecord(
        table="lines",
        model="logs.Line",
        file=FILE,
        key="id",
        rows=3,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        schema_version="0" * 16,
        columns=[("id", Kind.INTEGER, "bigint")],
        checksums={"id": "00"},
        blocks=[BlockRecord(2, "aa"), BlockRecord(1, "bb")],
    )
    manifest = Manifest(
        dataset="lines",
        time="created_at",
        cutoff=NOON,
        first_time=NOON,
        last_time=NOON,
        last_key="3",
        month=date(2026, 1, 1),
        migrations={"logs": "0001_initial"},
        tables=[record],
    )
    (tmp_path / "manifest.json").write_bytes(as_json(manifest))
    return manifest


class TestManifests:
    def test_are_read_as_they_were_written(self, manifest: Manifest, tmp_path: Path) -> None:
        assert read_manifest(tmp_path) == manifest
        assert (manifest.rows, manifest.roots, manifest.blocks) == (3, 3, 2)
        assert manifest.bytes == (tmp_path / FILE).stat().st_size
        assert len(manifest.schema_version) == 16

    def test_are_refused_when_any_byte_is_another(self, manifest: Manifest, tmp_path: Path) -> None:
        place = tmp_path / "manifest.json"
        content = place.read_bytes()
        known = hashlib.sha256(content).hexdigest()
        for at in range(len(content)):
            place.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises(DamagedArchive):
                read_manifest(tmp_path, sha256=known)

    @pytest.mark.parametrize(
        "changes", [{"format": 2}, {"tables": []}, {"more": 1}, {"cutoff": "soon"}, {"time": None}]
    )
    def test_are_refused_when_they_say_what_is_not_understood(
        self, changes: dict[str, Any], manifest: Manifest, tmp_path: Path
    ) -> None:
        values = msgspec.to_builtins(manifest) | changes
        (tmp_path / "manifest.json").write_bytes(msgspec.json.encode(values))
        with pytest.raises(DamagedArchive):
            read_manifest(tmp_path)

    def test_are_refused_when_they_are_missing_or_a_link(
        self, manifest: Manifest, tmp_path: Path
    ) -> None:
        (tmp_path / "manifest.json").rename(tmp_path / "elsewhere.json")
        with pytest.raises(DamagedArchive):
            read_manifest(tmp_path)
        (tmp_path / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
        with pytest.raises(DamagedArchive):
            read_manifest(tmp_path)


class TestFiles:
    def test_are_what_the_manifest_says(self, manifest: Manifest, tmp_path: Path) -> None:
        verify_files(tmp_path, manifest)
        table = read_table(tmp_path, manifest.tables[0])
        assert table.to_pydict() == {"block": [0, 0, 1], "id": [1, 2, 3]}
        assert read_table(tmp_path, manifest.tables[0], columns=[]).column_names == ["block"]

    def test_are_refused_when_any_byte_is_another(self, manifest: Manifest, tmp_path: Path) -> None:
        content = (tmp_path / FILE).read_bytes()
        for at in range(len(content)):
            changed = content[:at] + bytes([content[at] ^ 0x80]) + content[at + 1 :]
            (tmp_path / FILE).write_bytes(changed)
            with pytest.raises(DamagedArchive, match=FILE):
                verify_files(tmp_path, manifest)

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 10])
    def test_are_refused_when_they_are_no_table(
        self, content: bytes, manifest: Manifest, tmp_path: Path
    ) -> None:
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(DamagedArchive, match=FILE):
            read_table(tmp_path, manifest.tables[0])

    def test_are_refused_when_they_are_missing_or_no_file(
        self, manifest: Manifest, tmp_path: Path
    ) -> None:
        (tmp_path / FILE).unlink()
        with pytest.raises(DamagedArchive, match=FILE):
            verify_files(tmp_path, manifest)
        (tmp_path / FILE).mkdir()
        with pytest.raises(DamagedArchive, match=FILE):
            verify_files(tmp_path, manifest)

    @pytest.mark.parametrize("name", ["../lines", "/etc/passwd", "", "..", "a\x00b"])
    def test_are_never_looked_for_outside_of_their_folder(
        self, name: str, manifest: Manifest, tmp_path: Path
    ) -> None:
        record = msgspec.structs.replace(manifest.tables[0], file=name)
        with pytest.raises(DamagedArchive):
            verify_files(tmp_path, msgspec.structs.replace(manifest, tables=[record]))


class TestPaths:
    def test_lie_below_the_root(self, tmp_path: Path) -> None:
        assert resolve(tmp_path, "trades/run-1/1") == tmp_path / "trades" / "run-1" / "1"

    @pytest.mark.parametrize(
        "path",
        [
            *("", ".", "..", "/etc", "../out", "a/../../out", "a/..", "a//b", "a/", "a/./b"),
            *("a\\b", "C:", "a\x00b", "a\nb", "a" * 256, "\ud800"),
        ],
    )
    def test_that_are_not_plain_are_refused(self, path: str, tmp_path: Path) -> None:
        with pytest.raises(OutsideRoot):
            resolve(tmp_path, path)

    def test_that_go_by_a_link_are_refused(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        (root / "real").mkdir(parents=True)
        (root / "out").symlink_to(tmp_path)
        (root / "inside").symlink_to(root / "real")
        (root / "around").symlink_to(root / "around")
        for path in ("out", "out/x", "inside", "around", "around/x"):
            with pytest.raises(OutsideRoot):
                resolve(root, path)

    def test_may_lie_below_a_root_that_is_a_link_itself(self, tmp_path: Path) -> None:
        (tmp_path / "disk").mkdir()
        (tmp_path / "root").symlink_to(tmp_path / "disk")
        assert resolve(tmp_path / "root", "a/b") == tmp_path / "disk" / "a" / "b"
