"""What failed, told to those who wait for it.

Those who wait at the lock must know that the call before them failed, or each would make it
again. A failure is no entry of the cache, so it is told by way of Valkey; without that each
asks the outside itself, one after the other.
"""

import logging
from uuid import uuid4

from django.core.cache import cache
from redis.exceptions import RedisError

from apps.market.domain.cache import digest

logger = logging.getLogger(__name__)

# Those who waited hear of it within this.
FAILURE_SECONDS = 60


def last_failure(key: str) -> str:
    """Return the last failed call of a key: a mark of its own, a space, what went wrong."""
    try:
        return str(cache.get(f"market.cache.failed:{digest(key)}", ""))
    except (RedisError, OSError):
        return ""


def tell_failure(key: str, text: str) -> None:
    try:
        mark = f"{uuid4().hex} {text}"
        cache.set(f"market.cache.failed:{digest(key)}", mark, FAILURE_SECONDS)
    except (RedisError, OSError):
        logger.warning("Those who wait for %s are not told that it failed.", key)
