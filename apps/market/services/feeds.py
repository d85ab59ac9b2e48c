"""Fetching candles from providers: who is due, what is believed, how it went."""

import logging
from datetime import datetime, timedelta
from time import monotonic

from django.db import transaction

from apps.logs.choices import NotificationLevel
from apps.logs.domain.evidence import storable
from apps.logs.services.notifications import notify
from apps.market.choices import FeedState, ProviderName
from apps.market.domain.candles import CandleRow
from apps.market.domain.feeds import distrust, finished, next_fetch, retry_at
from apps.market.models import Feed
from apps.market.providers import connect
from apps.market.providers.base import (
    FETCH_SECONDS,
    ProviderError,
    ProviderNotReady,
    ProviderRubbish,
    ProviderUnreachable,
    looks_like_noise,
)
from apps.market.services.cache import Recall, flush_counts
from apps.market.services.candles import store_candles

logger = logging.getLogger(__name__)

PAGE = 500
# The type of data of a venue's list of markets: an old one does not make its candles old.
MARKETS = "markets"
# A worker that dies while fetching gives the feed back after this.
LEASE = timedelta(minutes=5)
# One failure is weather; so many in a row are worth telling.
ALARMING_FAILURES = 3
# One tick starts no fetch later than this, so that it ends before the next.
TICK_SECONDS = 60 - FETCH_SECONDS


def fetch_due_feeds(*, now: datetime) -> int:
    """Fetch every feed that is due and return how many brought candles.

    A feed that fails is put off and does not stop the others. Several workers may run this
    at once: each feed is fetched by the one who claims it.
    """
    started = monotonic()
    fetched = 0
    for feed in Feed.objects.due(now).order_by("next_fetch_at", "pk"):
        if monotonic() - started > TICK_SECONDS:
            break
        if claim(feed, now):
            fetched += fetch(feed, now=now + timedelta(seconds=monotonic() - started))
    flush_counts()
    return fetched


def claim(feed: Feed, now: datetime) -> bool:
    """Take the feed for ``LEASE``; False when somebody else was faster."""
    unclaimed = Feed.objects.due(now).filter(pk=feed.pk, next_fetch_at=feed.next_fetch_at)
    claimed = unclaimed.update(next_fetch_at=now + LEASE, last_fetch_at=now, updated_at=now)
    feed.last_fetch_at = now
    return bool(claimed)


def fetch(feed: Feed, *, now: datetime) -> bool:
    """Fetch one claimed feed, store what it brought, note how it went; True when it went well."""
    try:
        # No transaction is open while the venue is asked: it may take long.
        recall = Recall()
        rows = believable_rows(feed, now, recall)
        with transaction.atomic():
            outcome = store_candles(rows, now=now)
            if outcome.failed:
                message = outcome.results[0].errors[0].message
                raise ProviderRubbish(f"Refused by the store: {message}")
            if not old_candles(recall):
                note_success(feed, rows, recall)
        # What is old is still true, so it is stored; but the venue does not answer.
        if stale := old_candles(recall):
            raise ProviderUnreachable(f"Old candles from the cache: {stale}")
    except ProviderError as error:
        # What a venue said may hold what no column does, and must not stop the other feeds.
        reason, _ = storable(str(error))
        logger.warning("Feed %s: %s", feed, reason)
        note_failure(feed, reason)
        return False
    except Exception as error:
        # A fault of ours must not keep the other feeds from being fetched.
        logger.exception("Feed %s could not be fetched", feed)
        note_failure(feed, f"Internal error: {type(error).__name__}.")
        return False
    return True


def believable_rows(feed: Feed, now: datetime, recall: Recall) -> list[CandleRow]:
    """Return the finished candles of the provider's answer; ProviderError when in doubt.

    What the cache can answer is asked of ``recall``, which remembers what was old.
    """
    venue_symbol = feed.venue_symbol or feed.symbol
    if feed.provider == ProviderName.REPLAY and (
        (venue_symbol, feed.options.get("source")) == (feed.symbol, feed.source)
    ):
        raise ProviderNotReady("A replay cannot be stored under the series that it plays.")
    provider = connect(feed, recall)
    values = provider.fetch(
        venue_symbol, feed.granularity, since=feed.last_candle_at, limit=PAGE, now=now
    )
    series = (feed.symbol, feed.source, feed.granularity)
    rows = [CandleRow._make(series + one) for one in finished(values, feed.granularity, now)]
    doubt = distrust(rows, now=now, previous=feed.last_candle_at, quiet=provider.quiet)
    if not doubt and any(map(looks_like_noise, (price for row in rows for price in row[4:8]))):
        doubt = "A price carries the noise of binary fractions."
    if doubt:
        raise ProviderRubbish(f"{doubt} {old_candles(recall)}".strip())
    return rows


def old_candles(recall: Recall) -> str:
    """Return what is told of candles that stood in for a venue without an answer, or nothing."""
    return next((str(each) for each in recall.stale if each.data_type != MARKETS), "")


# Both count from the tick that claimed the feed, so that a minute's wait is the next tick.


def note_success(feed: Feed, rows: list[CandleRow], recall: Recall) -> None:
    """Note that the venue has answered: when, and what of it was old all the same."""
    newest, asked_at = rows[-1].timestamp, feed.last_fetch_at
    assert asked_at is not None
    answered = [moment for what, moment in recall.asked_at.items() if what != MARKETS]
    old = "".join(f"Old list of markets: {each}" for each in recall.stale)
    full = len(rows) >= PAGE - 1 and newest != feed.last_candle_at
    Feed.objects.filter(pk=feed.pk).update(
        state=FeedState.OK,
        # When the venue itself was asked, by whichever feed that was.
        last_success_at=min([asked_at, *answered]),
        last_candle_at=max(newest, feed.last_candle_at or newest),
        consecutive_failures=0,
        last_error=storable(old)[0][:500],
        next_fetch_at=next_fetch(feed.granularity, newest=newest, full=full, now=asked_at),
        updated_at=asked_at,
    )
    if feed.consecutive_failures >= ALARMING_FAILURES:
        tell(feed, "feed_recovered", NotificationLevel.INFO, "brings candles again")


@transaction.atomic
def note_failure(feed: Feed, reason: str) -> None:
    failures, asked_at = feed.consecutive_failures + 1, feed.last_fetch_at
    assert asked_at is not None
    Feed.objects.filter(pk=feed.pk).update(
        state=FeedState.UNHEALTHY,
        consecutive_failures=failures,
        last_error=reason[:500],
        next_fetch_at=retry_at(failures, asked_at),
        updated_at=asked_at,
    )
    if failures == ALARMING_FAILURES:
        tell(feed, "feed_failing", NotificationLevel.WARNING, "fails", reason)


def tell(feed: Feed, what: str, level: NotificationLevel, words: str, message: str = "") -> None:
    """Tell staff of a feed, in the transaction that notes how it went."""
    assert feed.last_fetch_at is not None
    notify(
        what=what,
        level=level,
        subject=f"Feed of {feed} {words}"[:200],
        message=message,
        link=f"/admin/market/feed/{feed.pk}/change/",
        dedupe_key=f"{what}:{feed.pk}:{feed.last_fetch_at.isoformat()}",
        now=feed.last_fetch_at,
    )
