"""A page of candles over HTTP: CPU per request of web process and database together."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.harness import Case, Server, at_most, connect, serving

NAMES = [
    "CPU of a page of 100 candles, against a stock ModelSerializer view",
    "CPU of a page far down the list, against the first page",
]
CANDLES = "/api/v1/market/candles/?limit=100"
PEER = "/peer/candles/?limit=100"
ROWS = 300_000
FIRST = "2020-01-01T00:00Z"
# The system counts CPU in hundredths of a second.
REQUESTS = 200

FILL = """
INSERT INTO candles (symbol, source, granularity, timestamp, open, high, low, close, volume)
SELECT 'SYM' || number %% 10, 'bench', '5m',
       %(first)s::timestamptz + (number / 10) * interval '5 minutes',
       100.12, 110.5, 90.25, 105.01, 0.00006123
FROM generate_series(0, %(rows)s - 1) AS number
"""


def fill(rows: int = ROWS) -> None:
    """Have candles of ten symbols stored, and the planner know of them."""
    with connect() as connection:
        connection.execute("TRUNCATE candles RESTART IDENTITY")
        connection.execute(FILL, {"rows": rows, "first": FIRST})
        connection.execute("VACUUM ANALYZE candles")


def cpu_of(server: Server, path: str) -> float:
    """Return the CPU seconds of one request, the mean of many."""
    before = server.cpu()
    for _ in range(REQUESTS):
        server.get(path)
    return (server.cpu() - before) / REQUESTS


def far_down() -> str:
    """Return the address of a page in the middle of the list, as its next link would be."""
    from apps.shared.api.pagination import Cursor, Ordering

    with connect() as connection:
        found = connection.execute(
            "SELECT timestamp::text, id::text FROM candles WHERE id = %s", [ROWS // 2]
        )
        row = found.fetchone()
    assert row is not None
    path = CANDLES.partition("?")[0]
    cursor = Cursor(row[0], row[1], backwards=False)
    return f"{CANDLES}&cursor={cursor.text(path, Ordering('timestamp', descending=True))}"


@contextmanager
def cases() -> Iterator[list[Case]]:
    from benchmarks.keys import make_key

    fill()
    with serving(make_key()) as server:
        deep = far_down()
        yield [
            Case(
                NAMES[0],
                at_most(0.3),
                lambda: cpu_of(server, CANDLES),
                lambda: cpu_of(server, PEER),
            ),
            Case(
                NAMES[1],
                at_most(1.5),
                lambda: cpu_of(server, deep),
                lambda: cpu_of(server, CANDLES),
            ),
        ]
