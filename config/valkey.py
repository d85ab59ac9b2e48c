"""The embedded Valkey: started, recognised.

It keeps nothing over a restart: it holds wake-ups and caches, the database holds the facts.
"""

import signal
import time
from pathlib import Path

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.places import EmbeddedError, Place
from config.processes import Command, spawn, until

START_LIMIT = 30.0  # seconds
# The client's own default waits for seconds before it says that nobody is there.
NO_RETRY = Retry(NoBackoff(), 0)


def socket(sockets: Path) -> Path:
    """Return where it listens."""
    return sockets / "valkey.sock"


def start(place: Place, *, throwaway: bool) -> None:
    """Have the server of this place running; a running one is joined.

    Raises EmbeddedError with the end of the server's log.
    """
    if process(place) is not None:
        return
    command: Command = [
        place.valkey, "--port", "0", "--unixsocket", socket(place.sockets),
        "--unixsocketperm", "700", "--dir", place.data / "run", "--save", "", "--appendonly", "no",
        # A full cache gives up what would expire anyway, never a wake-up.
        "--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru",
    ]  # fmt: skip
    with place.log("valkey") as log:
        end = signal.SIGTERM if throwaway else None
        child = spawn(command, user=place.user, output=log, end_with_us=end)
    deadline = time.monotonic() + START_LIMIT
    until(lambda: child.poll() is not None or process(place) is not None, deadline)
    if process(place) is None:
        child.kill()
        raise EmbeddedError(place.failure("valkey", "did not start"))


def process(place: Place) -> psutil.Process | None:
    """Return the running server of this place, whoever started it."""
    address = str(socket(place.sockets))
    with redis.Redis(unix_socket_path=address, socket_timeout=5, retry=NO_RETRY) as link:
        try:
            return psutil.Process(link.info("server")["process_id"])
        except (redis.RedisError, psutil.Error):
            return None
