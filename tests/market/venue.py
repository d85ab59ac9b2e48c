"""A venue on this machine: speaks the formats of Kraken and Alpaca, well or badly."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Row = tuple[datetime, str, str, str, str, str]

KRAKEN_PAIR = {
    "altname": "ETHXBT",
    "wsname": "ETH/XBT",
    "aclass_base": "currency",
    "base": "XETH",
    "aclass_quote": "currency",
    "quote": "XXBT",
    "lot": "unit",
    "cost_decimals": 10,
    "pair_decimals": 5,
    "lot_decimals": 8,
    "lot_multiplier": 1,
    "leverage_buy": [2, 3],
    "leverage_sell": [2, 3],
    "fees": [[0, 0.26]],
    "fees_maker": [[0, 0.16]],
    "fee_volume_currency": "ZUSD",
    "margin_call": 80,
    "margin_stop": 40,
    "ordermin": "0.002",
    "costmin": "0.00002",
    "tick_size": "0.00001",
    "status": "online",
}


class Venue:
    """What the server has to say. ``answer`` replaces the candles by any bytes."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.status = 200
        self.content_type = "application/json"
        self.answer: bytes | None = None
        # Seconds between two bytes of the body, or of the headers before it.
        self.drip = 0.0
        self.drip_headers = False
        self.stopping = threading.Event()
        self.url = ""

    def candles(self, first: datetime, count: int, step: timedelta, price: str = "0.0984") -> None:
        """Let it have ``count`` flat candles from ``first`` on."""
        self.rows = [
            (first + number * step, price, price, price, price, f"{number}.5")
            for number in range(count)
        ]

    def body(self, path: str, query: dict[str, str]) -> Any:
        if path.endswith("/AssetPairs"):
            return {"error": [], "result": {"XETHXXBT": KRAKEN_PAIR}}
        if path.endswith("/Assets"):
            return {"error": [], "result": {}}
        if path.endswith("/OHLC"):
            rows = [
                [int(start.timestamp()), *prices, prices[0], volume, 7]
                for start, *prices, volume in self.rows
            ]
            return {"error": [], "result": {"XETHXXBT": rows, "last": 1}}
        if path.endswith("/stocks/bars"):
            since = datetime.fromisoformat(query["start"]) if "start" in query else None
            rows = [row for row in self.rows if since is None or row[0] >= since]
            if query.get("sort") == "desc":
                rows = rows[::-1]
            bars = [Raw(alpaca_bar(row)) for row in rows]
            return {"bars": {query["symbols"]: bars}, "next_page_token": None}
        return {"error": ["EGeneral:Unknown method"]}


class Raw:
    """JSON text that is put in as it stands, so that numbers keep their digits."""

    def __init__(self, text: str) -> None:
        self.text = text


def alpaca_bar(row: Row) -> str:
    start, opened, high, low, close, volume = row
    return (
        f'{{"t": "{start:%FT%TZ}", "o": {opened}, "h": {high}, "l": {low}, "c": {close}, '
        f'"v": {volume}, "n": 7, "vw": {close}}}'
    )


def as_json(value: Any) -> bytes:
    raws: list[str] = []

    def marked(raw: Raw) -> str:
        raws.append(raw.text)
        return f"@{len(raws) - 1}@"

    text = json.dumps(value, default=marked)
    for number, raw in enumerate(raws):
        text = text.replace(f'"@{number}@"', raw, 1)
    return text.encode()


def handler_for(venue: Venue) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            venue.asked.append((parts.path, query, dict(self.headers)))
            is_candles = parts.path.endswith(("/OHLC", "/stocks/bars"))
            body = as_json(venue.body(parts.path, query))
            status, kind = 200, "application/json"
            if is_candles:
                status, kind = venue.status, venue.content_type
                body = body if venue.answer is None else venue.answer
            head = (
                f"HTTP/1.1 {status} Told\r\nContent-Type: {kind}\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            ).encode()
            drips = is_candles and venue.drip
            if drips and venue.drip_headers:
                self.slowly(head + body)
            else:
                self.wfile.write(head)
                self.slowly(body) if drips else self.wfile.write(body)
            self.close_connection = True

        def slowly(self, content: bytes) -> None:
            for place in range(len(content)):
                if venue.stopping.wait(venue.drip):
                    return
                try:
                    self.wfile.write(content[place : place + 1])
                    self.wfile.flush()
                except OSError:
                    return

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet: the test looks at ``asked``."""

    return Handler


@contextmanager
def running_venue() -> Iterator[Venue]:
    """Serve a venue for as long as this lasts."""
    venue = Venue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(venue))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    venue.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield venue
    finally:
        venue.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def soon(happened: Callable[[], bool], seconds: float = 5) -> bool:
    """Wait until something has happened; say whether it has."""
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        time.sleep(0.01)
    return happened()


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
