"""Candles as they are kept between two fetches: only finished ones, number by number exact."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from apps.market.domain.cache import INCOMPLETE_SECONDS, candle_type
from apps.market.domain.candles import CandleRow, CandleValues, aligned_start, width
from apps.market.domain.feeds import distrust, finished
from apps.market.providers.base import Ask, ProviderRubbish

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def milliseconds(moment: datetime) -> int:
    """Return a moment as whole milliseconds since 1970."""
    return (moment - EPOCH) // MILLISECOND


def ask_candles(
    ask: Ask,
    *,
    source: str,
    method: str,
    symbol: str,
    granularity: str,
    since: datetime | None,
    limit: int,
    conditions: Mapping[str, object],
    quiet: timedelta,
    load: Callable[[], list[CandleValues]],
    now: datetime,
    patience: float,
) -> list[CandleValues]:
    """Return the finished candles that ``load`` brings, or that it brought a moment ago.

    A candle that was running when the venue was asked is left out at once: kept and given out
    later, what it was half way would pass for finished. ``conditions`` are what changes the
    answer beside symbol, granularity, since and limit.
    """

    def rows() -> list[list[str | int]]:
        return [
            [milliseconds(start), *map(str, numbers)]
            for start, *numbers in finished(load(), granularity, now)
        ]

    def good_until(rows: Any) -> datetime:
        return outdated(
            candles_of(rows), granularity, since=since, limit=limit, quiet=quiet, now=now
        )

    answer = ask(
        source=source,
        method=method,
        args=[symbol, granularity, "newest" if since is None else milliseconds(since), limit],
        kwargs=conditions,
        data_type=candle_type(granularity),
        load=rows,
        good_until=good_until,
        now=now,
        patience=patience,
    )
    return candles_of(answer.value)


def candles_of(rows: Any) -> list[CandleValues]:
    """Read kept candles; ProviderRubbish for what another has put in their place."""
    try:
        return [
            CandleValues(
                EPOCH + start * MILLISECOND, *map(Decimal, [opened, high, low, close, volume])
            )
            for start, opened, high, low, close, volume in rows
        ]
    except (TypeError, ValueError, OverflowError, InvalidOperation):
        raise ProviderRubbish("What is kept in the cache are no candles.") from None


def outdated(
    candles: list[CandleValues],
    granularity: str,
    *,
    since: datetime | None,
    limit: int,
    quiet: timedelta,
    now: datetime,
) -> datetime:
    """Return from when on the venue has more to say than this answer of ``now``.

    An answer that no feed would believe is outdated already. A full page of history does not
    change. Else there is news at the end of the running interval; soon, where the last
    finished candle is still missing.
    """
    rows = [CandleRow("-", "-", granularity, *each) for each in candles]
    if distrust(
        rows, now=now, previous=None if since is None else since - MILLISECOND, quiet=quiet
    ):
        return now
    if since is not None and len(candles) >= limit - 1:
        return FOR_EVER
    running = aligned_start(now, granularity)
    if candles[-1].timestamp < running - width(granularity):
        return now + timedelta(seconds=INCOMPLETE_SECONDS)
    return running + width(granularity)
