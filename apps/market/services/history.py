"""Fetching a stretch of the past from a provider, page by page."""

from collections.abc import Callable
from datetime import datetime

from apps.market.domain.candles import aligned_start, width
from apps.market.models import Feed
from apps.market.providers.base import ProviderRubbish, ProviderUnreachable
from apps.market.services.cache import Recall
from apps.market.services.candles import store_candles
from apps.market.services.feeds import believable_rows, old_candles


def fetch_history(
    *, feed: Feed, start: datetime, clock: Callable[[], datetime], go_on: Callable[[int], bool]
) -> int:
    """Fetch and store the candles of ``feed`` from ``start`` until now; return how many came.

    ``feed`` names provider and series; it need not be stored, and nothing is noted on it. Each
    page is stored before the next is asked for, and nothing is fetched twice when this is run
    again from the last candle stored. After each page ``go_on`` is told how many came so far;
    where it says no, the rest stays unfetched. Raises ProviderError when the provider is away or
    is not to be believed.
    """
    since, fetched = start, 0
    while True:
        now = clock()
        feed.last_candle_at = since
        recall = Recall()
        rows = believable_rows(feed, now, recall)
        if stale := old_candles(recall):
            # What was kept may end too early: it would pass for all there is.
            raise ProviderUnreachable(stale)
        fresh = [
            row for row in rows if row.timestamp > since or (row.timestamp == start and not fetched)
        ]
        if not fresh:
            return fetched
        outcome = store_candles(fresh, now=now)
        if outcome.failed:
            raise ProviderRubbish(f"Refused by the store: {outcome.results[0].errors[0].message}")
        fetched += len(fresh)
        since = fresh[-1].timestamp
        # Behind the newest finished candle there is nothing to ask for.
        running = aligned_start(now, feed.granularity)
        if since + width(feed.granularity) >= running or not go_on(fetched):
            return fetched
