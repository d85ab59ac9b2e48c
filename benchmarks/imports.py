"""The import command, against COPY of the same rows."""

import csv
import gzip
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Case, at_least, timed
from benchmarks.intake import Table, candles, copy_pieces

NAMES = [
    "import of 100,000 candles from CSV, against COPY",
    "import of 100,000 candles of which 10,000 are stored otherwise, against COPY",
]
FIELDS = ["timestamp", "open", "high", "low", "close", "volume"]


@contextmanager
def cases() -> Iterator[list[Case]]:
    from django.core.management import call_command
    from django.db import connection

    rows = candles(100_000)
    pieces = copy_pieces(rows)
    other = copy_pieces([{**row, "close": row["low"]} for row in rows[::10]])
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candles.csv.gz"
        with gzip.open(path, "wt", newline="") as file:
            sink = csv.DictWriter(file, FIELDS, extrasaction="ignore")
            sink.writeheader()
            sink.writerows(rows)

        def load() -> float:
            named = {"symbol": "BTC/USDT", "source": "binance", "granularity": "5m"}
            with open("/dev/null", "w") as silent:
                cost = timed(
                    lambda: call_command(
                        "import_candles", str(path), **named, stdout=silent, stderr=silent
                    )
                )
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM candles WHERE close <> low")
                if cursor.fetchone() != (100_000,):
                    raise RuntimeError("Not all was imported.")
            return cost

        def fresh() -> float:
            table.empty()
            return load()

        def upsert() -> float:
            table.copy(other)
            return load()

        def copied() -> float:
            return table.copy(pieces)

        yield [
            Case(NAMES[0], at_least(0.45), fresh, copied),
            Case(NAMES[1], at_least(0.45), upsert, copied),
        ]
    connection.close()
    table.connection.close()
