"""Candles by one HTTP POST, against COPY and against DRF's list serializer."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.harness import Case, at_least, connect, serving, timed

NAMES = [
    "100,000 candles by one POST, against COPY",
    "100,000 candles by one POST, 100 of them bad, against COPY",
    "100,000 known candles by one POST again, against COPY",
    "10,000 candles by one POST, against DRF with bulk_create",
]
CANDLES = "/api/v1/market/candles/"
COLUMNS = "symbol, source, granularity, timestamp, open, high, low, close, volume"
START = datetime(2020, 1, 1, tzinfo=UTC)
PIECE_BYTES = 11_000_000


def candles(count: int) -> list[dict[str, Any]]:
    """Return candles of one series as a program would send them."""
    rows = []
    for place in range(count):
        price = 60_000 + (place * 7919) % 10_007
        rows.append(
            {
                "symbol": "BTC/USDT",
                "source": "binance",
                "granularity": "5m",
                "timestamp": f"{START + place * timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}",
                "open": f"{price}.12",
                "high": f"{price + 50}.5",
                "low": f"{price - 50}.25",
                "close": f"{price + 10}.01",
                "volume": f"{place % 977}.{place % 10_000_000:07}",
            }
        )
    return rows


def copy_pieces(rows: Sequence[dict[str, Any]]) -> list[bytes]:
    """Return the rows as COPY text, ready to be sent, in the pieces that go fastest."""
    pieces, lines, size = [], [], 0
    for row in rows:
        line = "\t".join(row.values()).encode()
        lines.append(line)
        size += len(line) + 1
        if size >= PIECE_BYTES:
            pieces.append(b"\n".join(lines) + b"\n")
            lines, size = [], 0
    return [*pieces, b"\n".join(lines) + b"\n"]


class Table:
    """The candles' table, emptied before each turn."""

    def __init__(self) -> None:
        self.connection = connect()

    def empty(self) -> None:
        self.connection.execute("TRUNCATE candles RESTART IDENTITY")

    def copy(self, pieces: Sequence[bytes]) -> float:
        """Store prepared text by nothing but COPY, in one transaction."""
        self.empty()

        def work() -> None:
            with self.connection.transaction():
                for piece in pieces:
                    with self.connection.cursor().copy(
                        f"COPY candles ({COLUMNS}) FROM STDIN".encode()
                    ) as sink:
                        sink.write(piece)

        return timed(work)


@contextmanager
def cases() -> Iterator[list[Case]]:
    from benchmarks.keys import make_key

    rows = candles(100_000)
    pieces = copy_pieces(rows)
    body = json.dumps(rows).encode()
    bad = [{**row, "low": "-1"} if place % 1000 == 500 else row for place, row in enumerate(rows)]
    bad_body = json.dumps(bad).encode()
    small = json.dumps(rows[:10_000]).encode()
    table = Table()
    with serving(make_key()) as server:

        def post(
            content: bytes, created: int, path: str = CANDLES, *, known: bool = False
        ) -> float:
            if not known:
                table.empty()
            answers: list[Any] = []
            cost = timed(lambda: answers.append(server.post(path, content)))
            if answers[0]["created"] != created:
                raise RuntimeError(f"Not all was stored: {str(answers[0])[:300]}")
            return cost

        def again() -> float:
            table.copy(pieces)
            return post(body, 0, known=True)

        def copied() -> float:
            return table.copy(pieces)

        yield [
            Case(NAMES[0], at_least(0.5), lambda: post(body, 100_000), copied),
            Case(NAMES[1], at_least(0.4), lambda: post(bad_body, 99_900), copied),
            Case(NAMES[2], at_least(0.3), again, copied),
            Case(
                NAMES[3],
                at_least(8),
                lambda: post(small, 10_000),
                lambda: post(small, 10_000, "/peer/candles/"),
            ),
        ]
    table.connection.close()
