"""Heartbeats and lists of trades over HTTP, and the watch over ten thousand bots."""

import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.bots_rows import fill
from benchmarks.harness import Case, Server, at_least, at_most, connect, serving, timed

NAMES = [
    "a heartbeat by HTTP, against a view that only does SELECT 1",
    "a heartbeat by HTTP, against DRF with a serializer and save()",
    "10,000 bots watched, against loading them through the ORM",
    "a list of 500 trades by HTTP, against 10 ms",
]
BOTS, TRADES = 10_000, 100_000
REQUESTS = 200
LOOKS = 50
SERVER = ("NAME", "USER", "PASSWORD", "HOST", "PORT")
API = "/api/v1/bots"
INSTANCES, TRADES_PAGE = f"{API}/instances", f"{API}/trades/?limit=500"

# All bots were heard of just now and are not due for a while.
ALIVE = """
    UPDATE bot_instances SET status = 'running', last_heartbeat = now(), beats = 1,
        overdue_at = now() + interval '1 hour', started_at = now() - interval '1 day'
"""


class Beats:
    """Heartbeats as a bot sends them: one after the other on a connection that stays open."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.numbers = count(1)

    def body(self) -> bytes:
        number = next(self.numbers)
        now = datetime.now(UTC).isoformat()
        return json.dumps(
            {
                "status": "running",
                "current_balance": f"10{number:06}.25",
                "total_pnl": f"{number % 997}.125",
                "open_positions": number % 3,
                "last_candle_at": now,
                "error_count": 0,
                "loop_time_ms": "12.5",
            }
        ).encode()

    def send(self, address: str, bodies: list[bytes], method: str = "POST") -> float:
        """Return the seconds of one request, the median of many."""
        # A connection that idled while the other side had its turn may be closed by now.
        self.server.connection.close()

        def once(body: bytes) -> None:
            status, answer = self.server.call(
                method, address, body, **{"Content-Type": "application/json"}
            )
            if status != 200:
                raise RuntimeError(f"{address} answered {status}: {answer[:300]!r}")

        return statistics.median([timed(lambda body=body: once(body)) for body in bodies])

    def ours(self) -> float:
        bodies = [self.body() for _ in range(REQUESTS)]
        return self.send(f"{INSTANCES}/bot-0007/heartbeat/", bodies)

    def drf(self) -> float:
        bodies = [self.body() for _ in range(REQUESTS)]
        return self.send("/peer/heartbeat/bot-0008/", bodies)

    def select_one(self) -> float:
        return self.send("/peer/select-one/", [b""] * REQUESTS, "GET")

    def trades(self) -> float:
        """Return the seconds of one page of 500 trades, the median of many."""
        self.server.connection.close()
        if len(json.loads(self.server.get(TRADES_PAGE))["results"]) != 500:
            raise RuntimeError("The page is not full.")
        return self.send(TRADES_PAGE, [b""] * (REQUESTS // 2), "GET")


class Watch:
    """Nobody is silent: what the watch does most of the time, over and over."""

    def __init__(self) -> None:
        from apps.bots.models import BotInstance
        from apps.bots.services import watching

        self.watching, self.bots = watching, BotInstance
        self.connection = connect()

    def statement(self) -> float:
        """Return the seconds of the one statement that judges all bots."""
        now = datetime.now(UTC)
        values: dict[str, Any] = {"awake": now - timedelta(days=1), "now": now, "batch": 500}

        def work() -> None:
            for _ in range(LOOKS):
                if self.connection.execute(self.watching.JUDGE.encode(), values).fetchall():
                    raise RuntimeError("Somebody was due.")

        return timed(work) / LOOKS

    def objects(self) -> float:
        """Return the seconds of loading every bot and comparing its age."""

        def work() -> None:
            now = datetime.now(UTC)
            silent = [
                bot
                for bot in self.bots.objects.at_work()
                if now - bot.last_heartbeat > timedelta(seconds=3 * bot.heartbeat_interval_seconds)
            ]
            if len(silent) not in (0, BOTS):
                raise RuntimeError("Some are silent and others are not.")

        return timed(work)


@contextmanager
def durable() -> Iterator[None]:
    """Have a database that waits for its disk where a commit asks for it.

    The one of the other benches is careless: it promises nothing, and costs nothing for it. What
    a heartbeat saves by not waiting could not be seen there.
    """
    from django.core.management import call_command
    from django.db import connection

    from config import embedded

    with connect() as careless:
        if careless.execute("SHOW fsync").fetchone() == ("on",):
            yield
            return
    usual, settings = os.environ["DATABASE_URL"], dict(connection.settings_dict)
    with tempfile.TemporaryDirectory(prefix="blotter-bench-") as name:
        home = Path(name)
        home.chmod(0o711)
        with embedded.servers(home, valkey=False):
            address = embedded.database_url(home)
            switch(address, embedded.database_settings(address))
            call_command("migrate", verbosity=0)
            try:
                yield
            finally:
                switch(usual, settings)


def switch(address: str, settings: dict[str, Any]) -> None:
    """Have everything of this process, and what it starts, lead to another database."""
    from django.db import connection

    connection.close()
    connection.close_pool()
    os.environ["DATABASE_URL"] = address
    connection.settings_dict.update({name: settings[name] for name in SERVER})


@contextmanager
def cases() -> Iterator[list[Case]]:
    from django.db import connection

    from benchmarks.keys import make_key

    with ExitStack() as stack:
        stack.enter_context(durable())
        fill(bots=BOTS, trades=TRADES)
        watch = Watch()
        stack.callback(watch.connection.close)
        watch.connection.execute(ALIVE.encode())
        watch.connection.execute("VACUUM ANALYZE bot_instances")
        served = serving(make_key(), database=connection.settings_dict["NAME"])
        beats = Beats(stack.enter_context(served))
        yield [
            Case(NAMES[0], at_least(0.4), beats.ours, beats.select_one),
            Case(NAMES[1], at_least(4), beats.ours, beats.drf),
            Case(NAMES[2], at_least(200), watch.statement, watch.objects),
            Case(NAMES[3], at_most(1), beats.trades, lambda: 0.01),
        ]
