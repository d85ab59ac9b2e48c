"""So many requests a minute for each key, counted in Valkey; without Valkey nobody is held up."""

import functools
import logging
import re
import threading
import time
from typing import Any

import redis
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

logger = logging.getLogger(__name__)

RATE = re.compile(r"([1-9][0-9]*)/(second|minute|hour|day)")
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
TIMEOUT_SECONDS = 1.0
RESTING_SECONDS = 15.0
# One step in the server, so that two requests cannot read the same count. The window ends
# by the key's own expiry; a key that lost it (it cannot, but then it would count for ever)
# gets a new one.
COUNT = """
local n = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {n, left}
"""


@functools.cache
def parse_rate(rate: str) -> tuple[int, int]:
    """Return (requests, seconds) of a rate like ``600/minute``."""
    match = RATE.fullmatch(rate)
    if not match:
        raise ImproperlyConfigured(f"{rate!r} is no rate; write it like 600/minute.")
    return int(match[1]), SECONDS[match[2]]


class Counter:
    """Counts requests per window in Valkey, and leaves Valkey alone for a while when it fails.

    A server that is away or hangs costs one request one second; until ``resting`` is over
    no request asks it again, then a single one tries while the others pass.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = TIMEOUT_SECONDS,
        resting: float = RESTING_SECONDS,
    ) -> None:
        self.resting = resting
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # The client's own default tries again three times, each with its own timeout.
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._client.register_script(COUNT)
        self._rests_until: float | None = 0.0
        self._probing = threading.Lock()

    def count(self, name: str, seconds: int) -> tuple[int, float] | None:
        """Add one to a window; return (requests in it, seconds left), or None when unknown."""
        if self._rests_until is None:
            return self._ask(name, seconds)
        if time.monotonic() < self._rests_until or not self._probing.acquire(blocking=False):
            return None
        try:
            return self._ask(name, seconds)
        finally:
            self._probing.release()

    def _ask(self, name: str, seconds: int) -> tuple[int, float] | None:
        try:
            count, left = self._script(keys=[name], args=[seconds * 1000])
        except (redis.RedisError, OSError) as error:
            logger.warning("Requests are not counted for %.0f s: %s", self.resting, error)
            self._rests_until = time.monotonic() + self.resting
            return None
        self._rests_until = None
        return count, left / 1000


@functools.cache
def counter_at(url: str) -> Counter:
    """Return this process's counter in the Valkey at ``url``."""
    return Counter(url)


class KeyThrottle(BaseThrottle):
    """Hold each key, or each staff user, to the rate of the view's bucket.

    A view chooses its bucket by ``throttle_scope``; settings.API_RATES names the rates.
    """

    left: float | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        bucket = getattr(view, "throttle_scope", None) or "default"
        limit, seconds = parse_rate(settings.API_RATES[bucket])
        name = f"throttle:{bucket}:{who(request)}:{seconds}"
        counted = counter_at(settings.BROKER_URL).count(name, seconds)
        if counted is None:
            return True
        count, self.left = counted
        return count <= limit

    def wait(self) -> float | None:
        """Return the seconds until the window ends; they become ``Retry-After``."""
        return self.left


def who(request: Request) -> str:
    """Return whose requests are counted together."""
    if request.auth is not None:
        return f"key:{request.auth.pk}"
    if request.user and request.user.is_authenticated:
        return f"user:{request.user.pk}"
    return f"address:{request.META.get('REMOTE_ADDR', '')}"
