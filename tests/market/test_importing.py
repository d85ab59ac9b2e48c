"""Candle files come in exactly, line by line, and as often as one likes."""

import gzip
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from apps.executions.models import Execution
from apps.market.models import Candle, Instrument
from apps.market.services.candle_files import BLOCK_BYTES, UnreadableFile
from apps.market.services.importing import FileOptions, import_candles, named_series

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HEADER = "timestamp,open,high,low,close,volume\n"
GOOD = "2024-01-01T00:00:00Z,1,2,0.5,1.5,10\n"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "candles"


def imported(content, name="BTC_USD-1d.csv", **options):
    raw = content if isinstance(content, bytes) else content.encode()
    flags = {flag: options.pop(flag, False) for flag in ("dry_run", "all_or_nothing")}
    options.setdefault("source", "test")
    return import_candles(
        io.BytesIO(raw), name=name, options=FileOptions(**options), now=NOW, **flags
    )


def counts(report):
    return report.created, report.unchanged, report.replaced, report.refused


def errors(report):
    return [(error.line, str(error)) for error in report.errors]


def daily(*rows):
    """Return a file of one line for each text of five numbers, from 1 January 2024 on."""
    days = (datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(len(rows)))
    return HEADER + "".join(f"{day:%FT%TZ},{row}\n" for day, row in zip(days, rows, strict=True))


class TestNamedSeries:
    @pytest.mark.parametrize(
        ("name", "symbol", "granularity"),
        [
            ("ETH_BTC-5m.csv.gz", "ETH/BTC", "5m"),
            ("/some/where/AAPL-1d.csv", "AAPL", "1d"),
            ("BTC-USD_1h.parquet", "BTC-USD", "1h"),
            ("candles.csv", "", ""),
            ("AAPL-7m.csv", "AAPL", ""),
        ],
    )
    def test_reads_the_name_of_the_file(self, name, symbol, granularity):
        named = named_series(name, FileOptions())
        assert (named["symbol"], named["granularity"]) == (symbol, granularity)

    def test_prefers_what_is_said(self):
        named = named_series("ETH_BTC-5m.csv", FileOptions(symbol="X", granularity="1h"))
        assert (named["symbol"], named["granularity"]) == ("X", "1h")


@pytest.mark.django_db
class TestValues:
    def test_are_taken_exactly(self):
        imported(daily("0.1,0.300000000000000001,0.1,0.3,99999999999999999999.000000000000000001"))

        candle = Candle.objects.get()
        assert candle.high == Decimal("0.300000000000000001")
        assert candle.volume == Decimal("99999999999999999999.000000000000000001")

    def test_may_carry_an_exponent(self):
        imported(daily("1e-8,2.5E-7,1e-8,2e-8,1e3"))

        assert Candle.objects.get().high == Decimal("0.00000025")

    @pytest.mark.parametrize(
        "text", ["", "x", "NaN", "inf", "1_0", "1,5", "0x10", "\N{ARABIC-INDIC DIGIT ONE}", "--1"]
    )
    def test_that_are_no_numbers_are_refused_by_name(self, text):
        report = imported(HEADER + f'2024-01-01T00:00:00Z,1,2,0.5,1.5,"{text}"\n')

        ((line, message),) = errors(report)
        assert line == 2
        assert message.startswith("volume: ")
        assert not Candle.objects.exists()

    @pytest.mark.parametrize("text", ["9" * 200, "0e-99999", "1e99999", "0." + "0" * 30 + "1"])
    def test_that_no_column_holds_are_refused(self, text):
        assert counts(imported(daily(f"1,1,1,1,{text}", "1,1,1,1,1"))) == (1, 0, 0, 1)


@pytest.mark.django_db
class TestTimes:
    @pytest.mark.parametrize(
        "text", ["2024-01-01T00:00:00Z", "2024-01-01 01:00:00+01:00", "2023-12-31T19:00-05:00"]
    )
    def test_carry_an_offset(self, text):
        imported(HEADER + f"{text},1,1,1,1,1\n")

        assert Candle.objects.get().timestamp == datetime(2024, 1, 1, tzinfo=UTC)

    def test_without_one_are_refused_unless_they_are_said_to_be_utc(self):
        content = HEADER + "2024-01-01,1,1,1,1,1\n"

        assert "offset" in errors(imported(content))[0][1]
        assert counts(imported(content, naive_is_utc=True)) == (1, 0, 0, 0)
        assert Candle.objects.get().timestamp == datetime(2024, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize(("unit", "text"), [("s", "1704067200"), ("ms", "1704067200000")])
    def test_may_count_from_the_epoch(self, unit, text):
        imported(HEADER + f"{text},1,1,1,1,1\n", epoch=unit)

        assert Candle.objects.get().timestamp == datetime(2024, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize("text", ["1.5", "", "9" * 30, "2024-01-01"])
    def test_that_do_not_count_are_refused(self, text):
        assert counts(imported(HEADER + f"{text},1,1,1,1,1\n", epoch="s")) == (0, 0, 0, 1)

    @pytest.mark.parametrize(
        "text", ["", "yesterday", "2024-13-01T00:00Z", "0001-01-01T00:00+14:00"]
    )
    def test_that_are_none_are_refused(self, text):
        assert counts(imported(HEADER + f"{text},1,1,1,1,1\n")) == (0, 0, 0, 1)


@pytest.mark.django_db
class TestLines:
    def test_that_are_wrong_are_named_and_do_not_stop_the_others(self):
        report = imported(
            HEADER
            + GOOD
            + "\n"
            + "2024-01-02T00:00:00Z,1,2,0.5,x,10\n"
            + "2024-01-03T00:00:00Z,1,2\n"
            + "2024-01-04T00:00:00Z,1,2,3,1,10\n"
            + "2024-01-05T00:01:00Z,1,2,0.5,1,10\n"
            + "2024-01-06T00:00:00Z,1,2,0.5,1,10\n"
        )

        assert counts(report) == (2, 0, 0, 4)
        assert [line for line, _ in errors(report)] == [4, 5, 6, 7]
        assert [message.split(":")[0] for _, message in errors(report)] == [
            "close",
            "Has 3 cells, not as many as the header.",
            "high",
            "timestamp",
        ]

    def test_beyond_the_first_twenty_are_only_counted(self):
        report = imported(daily(*["0,0,0,0,0"] * 2000))

        assert report.refused == 2000
        assert [error.line for error in report.errors] == list(range(2, 22))

    def test_keep_their_numbers_over_the_edge_of_a_block(self):
        rows = ["1,1,1,1,1"] * (BLOCK_BYTES // len(GOOD) + 1000)
        rows[10] = "1,1"
        rows[-5] = "1,1,1,1"
        rows[-4] = "1,1,1,1,x"
        start = datetime(2000, 1, 1, tzinfo=UTC)
        content = HEADER + "".join(
            f"{start + timedelta(minutes=n):%FT%TZ},{row}\n" for n, row in enumerate(rows)
        )
        report = imported(content, granularity="1m", dry_run=True)

        assert [line for line, _ in errors(report)] == [12, len(rows) - 3, len(rows) - 2]
        assert report.created == len(rows) - 3

    def test_twice_in_a_file_the_last_one_counts(self):
        report = imported(HEADER + GOOD + GOOD + GOOD.replace(",10", ",11"))

        assert report.created == 1
        assert Candle.objects.get().volume == 11


@pytest.mark.django_db
class TestRepeating:
    def test_changes_nothing(self):
        content = daily("1,2,0.5,1.5,10", "1,2,0.5,1.5,10")
        imported(content)

        assert counts(imported(content)) == (0, 2, 0, 0)
        assert Candle.objects.count() == 2

    def test_replaces_what_differs_and_adds_what_is_new(self):
        imported(daily("1,2,0.5,1.5,10", "1,2,0.5,1.5,10"))

        again = imported(daily("1,2,0.5,1.5,10", "1,2,0.5,1.75,10", "1,1,1,1,1"))

        assert counts(again) == (1, 1, 1, 0)

    def test_makes_each_instrument_once(self):
        imported(daily("1,1,1,1,1"))
        imported(daily("1,1,1,1,2"))

        assert Instrument.objects.get().symbol == "BTC/USD"

    def test_in_a_dry_run_stores_nothing(self):
        report = imported(daily("1,1,1,1,1"), dry_run=True)

        assert counts(report) == (1, 0, 0, 0)
        assert not report.stored
        assert not Candle.objects.exists()
        assert not Instrument.objects.exists()

    def test_all_or_nothing_stores_nothing_when_a_line_is_wrong(self):
        report = imported(daily("1,1,1,1,1", "0,0,0,0,0"), all_or_nothing=True)

        assert (report.stored, report.refused) == (False, 1)
        assert not Candle.objects.exists()


@pytest.mark.django_db
class TestGaps:
    def test_are_found_with_what_was_stored_before(self):
        lines = daily(*["1,1,1,1,1"] * 6).splitlines(keepends=True)
        first, second = lines[0] + lines[1] + lines[4], lines[0] + lines[2] + lines[6]

        (span,) = imported(first).series.values()
        assert [gap.missing for gap in span.gaps] == [2]
        (span,) = imported(second).series.values()
        assert [gap.missing for gap in span.gaps] == [1, 1]


@pytest.mark.django_db
class TestHeader:
    def test_may_use_other_words_in_any_order_and_have_more(self):
        imported("v,c,l,h,o,Date,trades\n10,1.5,0.5,2,1,2024-01-01T00:00:00Z,77\n")

        candle = Candle.objects.get()
        assert (candle.open, candle.high, candle.low) == (1, 2, Decimal("0.5"))

    def test_may_name_the_series(self):
        content = (
            "symbol,source,granularity,timestamp,open,high,low,close,volume\n"
            "A,x,1d,2024-01-01T00:00:00Z,1,1,1,1,1\nB,y,1h,2024-01-01T01:00:00Z,1,1,1,1,1\n"
        )
        imported(content, name="export.csv", source="")

        found = Candle.objects.order_by("symbol").values_list("symbol", "source", "granularity")
        assert list(found) == [("A", "x", "1d"), ("B", "y", "1h")]

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("a,b,c\n1,2,3\n", "Missing in the header .a, b, c.: timestamp"),
            ("time,date,o,h,l,c,v\n", "More than one column means timestamp"),
            ("", "is empty"),
            ("\n\n", "is empty"),
            (HEADER, "header and no rows"),
            (b"\xff\xfe\x00garbage", "does not begin with text"),
            ("t,o,h\0", "does not begin with a header"),
            ("t" * 20_000, "does not begin with a header"),
        ],
    )
    def test_that_is_none_is_refused(self, content, reason):
        with pytest.raises(UnreadableFile, match=reason):
            imported(content)

    def test_without_a_series_is_refused(self):
        with pytest.raises(UnreadableFile, match="which symbol"):
            imported(daily("1,1,1,1,1"), name="candles.csv")

    def test_may_begin_with_a_byte_order_mark(self):
        assert counts(imported("\ufeff" + HEADER + GOOD.replace("\n", "\r\n"))) == (1, 0, 0, 0)


@pytest.mark.django_db
class TestBrokenFiles:
    @pytest.mark.parametrize("kept", [20, 0.5, 0.99])
    def test_cut_off_while_compressed_store_nothing(self, kept):
        whole = gzip.compress(daily(*[f"1,1,1,1,{n}" for n in range(700)]).encode())
        cut = whole[: kept if kept > 1 else int(len(whole) * kept)]

        with pytest.raises(UnreadableFile, match="cut off"):
            imported(cut, name="BTC_USD-1d.csv.gz")
        assert not Candle.objects.exists()

    def test_damaged_while_compressed_store_nothing(self):
        whole = bytearray(gzip.compress(daily(*[f"1,1,1,1,{n}" for n in range(700)]).encode()))
        whole[-8:-4] = b"\0\0\0\0"

        with pytest.raises(UnreadableFile, match="damaged"):
            imported(bytes(whole))
        assert not Candle.objects.exists()

    def test_with_a_line_without_end_store_nothing(self):
        with pytest.raises(UnreadableFile, match="longer than"):
            imported(HEADER + GOOD + "x" * 3 * BLOCK_BYTES)
        assert not Candle.objects.exists()

    def test_with_bytes_that_are_no_text_store_nothing(self):
        with pytest.raises(UnreadableFile, match="UTF-8"):
            imported((HEADER + GOOD).encode() + b"2024-01-02T00:00:00Z,1,1,1,1,\xff\n")
        assert not Candle.objects.exists()

    def test_with_nul_in_a_cell_name_the_line(self):
        report = imported(HEADER + GOOD + "2024-01-02T00:00:00Z,1,1,1,1\0,1\n")

        assert [line for line, _ in errors(report)] == [3]

    def test_that_only_claim_to_be_parquet_are_refused(self):
        with pytest.raises(UnreadableFile, match="cannot be read"):
            imported(b"PAR1" + b"\0" * 100)


@pytest.mark.django_db
class TestParquet:
    @staticmethod
    def parquet(**columns):
        defaults = {name: pa.array([1, 2]) for name in ("open", "high", "low", "close", "volume")}
        times = pa.array([1704067200, 1704153600], pa.timestamp("s", "UTC"))
        sink = io.BytesIO()
        pq.write_table(pa.table({"timestamp": times} | defaults | columns), sink)
        return sink.getvalue()

    def test_keeps_decimals_and_the_shortest_form_of_floats(self):
        small = pa.array([Decimal("0.000000000000000001")] * 2, pa.decimal128(38, 18))
        content = self.parquet(
            low=small, volume=pa.array([0.1, 1e-7]), open=pa.array([0.1, 0.3], pa.float32())
        )
        assert counts(imported(content)) == (2, 0, 0, 0)

        first, second = Candle.objects.order_by("timestamp")
        assert first.low == Decimal("0.000000000000000001")
        assert (first.volume, second.volume) == (Decimal("0.1"), Decimal("0.0000001"))
        assert (first.open, second.open) == (Decimal("0.1"), Decimal("0.3"))

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    def test_reads_times_of_any_unit_and_zone(self, unit):
        times = pa.array([1704067200, 1704153600], pa.timestamp("s", "Europe/Zurich"))
        content = self.parquet(timestamp=times.cast(pa.timestamp(unit, "Europe/Zurich")))

        assert counts(imported(content)) == (2, 0, 0, 0)
        assert Candle.objects.earliest("timestamp").timestamp == datetime(2024, 1, 1, tzinfo=UTC)

    def test_refuses_times_without_zone_unless_they_are_said_to_be_utc(self):
        naive = pa.array([1704067200, 1704153600], pa.timestamp("s"))

        assert counts(imported(self.parquet(timestamp=naive))) == (0, 0, 0, 2)
        assert counts(imported(self.parquet(timestamp=naive), naive_is_utc=True)) == (2, 0, 0, 0)

    def test_reads_dates_and_times_since_the_epoch(self):
        days = pa.array([date(2024, 1, 1), date(2024, 1, 2)], pa.date32())
        assert counts(imported(self.parquet(timestamp=days), naive_is_utc=True)) == (2, 0, 0, 0)
        seconds = pa.array([1704067200, 1704153600])
        assert counts(imported(self.parquet(timestamp=seconds), epoch="s")) == (0, 2, 0, 0)

    def test_refuses_nulls_and_nan(self):
        content = self.parquet(close=pa.array([None, 2.0]), high=pa.array([1.0, float("nan")]))
        report = imported(content)

        assert errors(report) == [
            (1, "close: '' is not a number."),
            (2, "high: 'nan' is not a number."),
        ]


@pytest.mark.django_db(transaction=True)
class TestCommand:
    def test_says_what_became_of_each_file(self, tmp_path, capsys):
        good, bad = tmp_path / "BTC_USD-1d.csv", tmp_path / "ETH_USD-1d.csv"
        good.write_text(daily("1,1,1,1,1", "2,2,2,2,2"))
        bad.write_text(daily("1,1,1,1,1", "0,1,1,1,1"))

        call_command("import_candles", str(good), "--source", "test")
        with pytest.raises(CommandError) as failure:
            call_command("import_candles", str(good), str(bad), "--source", "test")

        assert failure.value.returncode == 1
        told = capsys.readouterr()
        assert "BTC_USD-1d.csv: 2 new, 0 unchanged, 0 replaced, 0 refused" in told.out
        assert "BTC_USD-1d.csv: 0 new, 2 unchanged, 0 replaced, 0 refused" in told.out
        assert "ETH_USD-1d.csv: 1 new, 0 unchanged, 0 replaced, 1 refused" in told.out
        assert "line 3: open: Must be greater than 0." in told.err

    def test_goes_on_after_a_file_that_cannot_be_read(self, tmp_path, capsys):
        good = tmp_path / "BTC_USD-1d.csv"
        good.write_text(daily("1,1,1,1,1"))

        with pytest.raises(CommandError):
            call_command("import_candles", str(tmp_path / "none.csv"), str(good))

        assert Candle.objects.get().source == "import"
        assert "none.csv: " in capsys.readouterr().err


@pytest.mark.django_db
@pytest.mark.skipif(not DATA.is_dir(), reason="The real candles of ../shared/data are not here.")
class TestRealFiles:
    @pytest.mark.parametrize(
        ("name", "rows", "gaps", "missing"),
        [
            ("ADA_BTC-5m.csv.gz", 5720, 5, 40),
            ("BTC_USD-1d.csv.gz", 718, 0, 0),
            ("ETH_BTC-5m.csv.gz", 5760, 0, 0),
            ("LTC_BTC-5m.csv.gz", 5760, 0, 0),
            ("TRX_BTC-5m.csv.gz", 5754, 6, 6),
        ],
    )
    def test_come_in_whole_with_their_gaps(self, name, rows, gaps, missing):
        report = imported((DATA / name).read_bytes(), name=name)

        assert counts(report) == (rows, 0, 0, 0)
        assert (report.gap_count, report.missing) == (gaps, missing)
        assert counts(imported((DATA / name).read_bytes(), name=name)) == (0, rows, 0, 0)


@pytest.mark.django_db
class TestRunOfAnImport:
    def test_is_an_execution_with_a_step_for_each_file(self, tmp_path):
        good, bad = tmp_path / "AAA-5m.csv", tmp_path / "BBB-5m.csv"
        good.write_text("timestamp,open,high,low,close,volume\n2026-01-05T00:00:00Z,1,2,1,2,5\n")
        bad.write_text("what is this")

        with pytest.raises(CommandError):
            call_command("import_candles", str(good), str(bad))

        run = Execution.objects.get(execution_type="CANDLE_IMPORT")
        steps = {step.step_name: step for step in run.steps.all()}
        assert run.status == "PARTIAL_SUCCESS"
        assert steps["AAA-5m.csv"].result_data["created"] == 1
        assert steps["BBB-5m.csv"].status == "FAILED"
        assert steps["BBB-5m.csv"].error_type == "UnreadableFile"

    def test_is_none_where_nothing_is_stored(self, tmp_path):
        file = tmp_path / "AAA-5m.csv"
        file.write_text("timestamp,open,high,low,close,volume\n2026-01-05T00:00:00Z,1,2,1,2,5\n")

        call_command("import_candles", str(file), dry_run=True)

        assert not Execution.objects.exists()
