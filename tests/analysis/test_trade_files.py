"""Trade lists as files: exact, whole, and never outside of the media root."""

import hashlib
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apps.analysis.domain.trades import FORM, TradeRecord
from apps.analysis.models import Analysis
from apps.analysis.services import trade_files
from apps.analysis.services.trade_files import (
    MissingFile,
    TamperedFile,
    UnreadableTrades,
    open_file,
    path_problem,
    read_trades,
    write_trades,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

FULL = TradeRecord(
    trade_number=1,
    direction=-1,
    entry_time=NOON,
    exit_time=NOON + timedelta(hours=1, microseconds=1),
    entry_price=Decimal("0.000000000000000001"),
    exit_price=Decimal("99999999999999999999.999999999999999999"),
    stop_price=Decimal("12.5"),
    target_price=Decimal("100"),
    leverage=Decimal("12.34567891"),
    confidence=Decimal("0.7"),
    exit_reason="target",
    gross_pct=Decimal("-3.5"),
    fees_pct=Decimal("0.25"),
    net_pct=Decimal("-3.75"),
)
OPEN = TradeRecord(
    trade_number=2, direction=1, entry_time=NOON + timedelta(days=1), entry_price=Decimal(5)
)

BAD_PATHS = {
    "absolute": "/etc/passwd",
    "upwards": "../secrets.parquet",
    "upwards inside": "analyses/../../secrets.parquet",
    "upwards at the end": "analyses/..",
    "backslash": "analyses\\..\\x",
    "backslash root": "\\\\server\\share",
    "NUL": "analyses/a\x00.parquet",
    "line break": "analyses/a\n.parquet",
    "drive": "C:/windows/x",
    "drive relative": "c:x",
    "here": "./a.parquet",
    "empty step": "analyses//a.parquet",
    "folder": "analyses/",
    "address": "https://example.org/a",
    "long": "a/" * 300,
    "long name": "a" * 256,
    "surrogate": "a\ud800",
}


@pytest.fixture
def root(tmp_path, settings):
    place = tmp_path / "media"
    place.mkdir()
    settings.MEDIA_ROOT = place
    return place


def analysis(**values):
    return Analysis(
        execution_id="run-1", symbol="BTC/USD", timeframe="1h", config="Balanced", **values
    )


@pytest.fixture
def written(root):
    made = analysis()
    write_trades(analysis=made, trades=[OPEN, FULL])
    return made


class TestPathProblem:
    @pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS)
    def test_refuses_what_could_lead_elsewhere(self, path):
        assert path_problem(path)

    @pytest.mark.parametrize("path", ["", "a.parquet", "charts/BTC 1h/..a.png", "ä/ü…"])
    def test_takes_what_leads_down(self, path):
        assert path_problem(path) == ""


class TestWriteTrades:
    def test_notes_where_and_what_it_wrote(self, root, written):
        content = (root / written.compressed_path).read_bytes()

        assert written.trades_bytes == len(content)
        assert written.trades_checksum == hashlib.sha256(content).hexdigest()
        assert not path_problem(written.compressed_path)

    def test_keeps_every_digit(self, written):
        assert read_trades(written) == [FULL, OPEN]

    def test_declares_its_columns_and_whose_trades_they_are(self, root, written):
        with pq.ParquetFile(root / written.compressed_path) as found:
            schema = found.schema_arrow
            compression = found.metadata.row_group(0).column(0).compression

        assert schema.field("entry_price").type == pa.decimal128(38, 18)
        assert schema.field("entry_time").type == pa.timestamp("us", tz="UTC")
        assert schema.metadata[b"blotter.form"] == FORM.encode()
        assert b'"execution_id": "run-1"' in schema.metadata[b"blotter.analysis"]
        assert compression == "ZSTD"

    def test_again_writes_nothing(self, root, written):
        place = root / written.compressed_path
        os.utime(place, (1, 1))

        write_trades(analysis=written, trades=[FULL, OPEN])

        assert place.stat().st_mtime == 1

    def test_mends_a_file_that_was_changed(self, root, written):
        place = root / written.compressed_path
        place.write_bytes(b"something else")

        write_trades(analysis=written, trades=[FULL, OPEN])

        assert read_trades(written) == [FULL, OPEN]

    def test_takes_over_a_file_that_no_row_names(self, root, written):
        again = analysis()
        write_trades(analysis=again, trades=[FULL, OPEN])

        assert again.compressed_path == written.compressed_path
        assert read_trades(again) == [FULL, OPEN]
        assert len(list(root.rglob("*.parquet"))) == 1

    def test_gives_other_trades_another_name(self, root, written):
        first = written.compressed_path
        write_trades(analysis=written, trades=[FULL])

        assert written.compressed_path != first
        assert (root / first).exists()
        assert read_trades(written) == [FULL]

    def test_keeps_an_empty_list_too(self, root):
        made = analysis()
        write_trades(analysis=made, trades=[])

        assert read_trades(made) == []
        assert made.trades_bytes

    def test_leaves_no_draft_when_the_disk_is_full(self, root, monkeypatch):
        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(trade_files.os, "fsync", full)
        made = analysis()

        with pytest.raises(OSError, match="No space"):
            write_trades(analysis=made, trades=[FULL])

        assert made.compressed_path == ""
        assert [each for each in root.rglob("*") if each.is_file()] == []

    def test_does_not_follow_a_folder_out_of_the_root(self, root, tmp_path):
        outside = tmp_path / "outside"
        outside.mkdir()
        (root / "analyses").symlink_to(outside)

        with pytest.raises(MissingFile, match="out of the media root"):
            write_trades(analysis=analysis(), trades=[FULL])

        assert [each for each in outside.rglob("*") if each.is_file()] == []


class TestOpenFile:
    def test_reads_from_the_beginning(self, written):
        with open_file(written) as file:
            assert file.read(4) == b"PAR1"

    def test_finds_out_that_a_byte_was_changed(self, root, written):
        place = root / written.compressed_path
        content = bytearray(place.read_bytes())
        content[len(content) // 2] ^= 1
        place.write_bytes(content)

        with pytest.raises(TamperedFile):
            open_file(written)
        with pytest.raises(TamperedFile):
            read_trades(written)

    def test_finds_out_that_a_file_was_cut_off(self, root, written):
        place = root / written.compressed_path
        place.write_bytes(place.read_bytes()[:-1])

        with pytest.raises(TamperedFile):
            open_file(written)

    def test_misses_a_file_that_is_gone(self, root, written):
        (root / written.compressed_path).unlink()

        with pytest.raises(MissingFile):
            open_file(written)

    def test_misses_the_file_of_an_analysis_without_trades(self, root):
        with pytest.raises(MissingFile, match="no trades file"):
            open_file(analysis())

    @pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS)
    def test_does_not_follow_a_path_that_came_past_the_checks(self, root, path):
        with pytest.raises(MissingFile):
            open_file(analysis(compressed_path=path))

    def test_does_not_follow_a_link_out_of_the_root(self, root, tmp_path):
        secret = tmp_path / "secret.parquet"
        secret.write_bytes(b"PAR1 secret")
        (root / "link.parquet").symlink_to(secret)

        with pytest.raises(MissingFile, match="out of the media root"):
            open_file(analysis(compressed_path="link.parquet"))

    def test_does_not_follow_a_folder_out_of_the_root(self, root, tmp_path):
        (tmp_path / "secret.parquet").write_bytes(b"PAR1 secret")
        (root / "folder").symlink_to(tmp_path)

        with pytest.raises(MissingFile, match="out of the media root"):
            open_file(analysis(compressed_path="folder/secret.parquet"))

    def test_follows_a_link_that_stays_inside(self, root, written):
        (root / "latest.parquet").symlink_to(root / written.compressed_path)

        with open_file(analysis(compressed_path="latest.parquet")) as file:
            assert file.read(4) == b"PAR1"

    def test_does_not_mind_a_root_that_is_a_link_itself(self, root, written, tmp_path, settings):
        (tmp_path / "other").symlink_to(root)
        settings.MEDIA_ROOT = tmp_path / "other"

        open_file(written).close()

    def test_does_not_run_in_a_circle_of_links(self, root):
        (root / "a").symlink_to(root / "b")
        (root / "b").symlink_to(root / "a")

        with pytest.raises(MissingFile):
            open_file(analysis(compressed_path="a"))

    def test_opens_neither_folders_nor_pipes(self, root):
        os.mkfifo(root / "pipe")
        (root / "folder").mkdir()

        for path in ("pipe", "folder"):
            with pytest.raises(MissingFile):
                open_file(analysis(compressed_path=path))


class TestReadTrades:
    def test_returns_a_part(self, root):
        made = analysis()
        trades = [
            TradeRecord(trade_number=n, direction=1, entry_time=NOON, entry_price=Decimal(n))
            for n in range(1, 8)
        ]
        write_trades(analysis=made, trades=trades)

        assert read_trades(made, offset=2, limit=3) == trades[2:5]
        assert read_trades(made, offset=6, limit=3) == trades[6:]
        assert read_trades(made, offset=9) == []

    @pytest.mark.parametrize("content", [b"", b"no parquet at all", b"PAR1PAR1"])
    def test_refuses_what_is_no_parquet(self, root, content):
        (root / "odd.parquet").write_bytes(content)

        with pytest.raises(UnreadableTrades):
            read_trades(analysis(compressed_path="odd.parquet"))

    def test_refuses_a_parquet_file_of_somebody_else(self, root):
        pq.write_table(pa.table({"a": [1]}), root / "other.parquet")

        with pytest.raises(UnreadableTrades, match="not written here"):
            read_trades(analysis(compressed_path="other.parquet"))
