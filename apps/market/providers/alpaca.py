"""US equities from Alpaca (optional: requirements-providers.txt)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from time import monotonic
from typing import Any

import requests
from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from apps.market.choices import Granularity
from apps.market.domain.cache import digest
from apps.market.domain.candles import CandleValues, width
from apps.market.providers.base import (
    FETCH_SECONDS,
    Ask,
    Connection,
    Options,
    ProviderNotReady,
    ProviderRubbish,
    ProviderUnreachable,
    ask_venue,
    exact,
    within,
)
from apps.market.providers.kept import ask_candles
from apps.market.providers.session import CuttableSession

UNITS = {
    "m": TimeFrameUnit.Minute,
    "h": TimeFrameUnit.Hour,
    "d": TimeFrameUnit.Day,
    "w": TimeFrameUnit.Week,
}
DAILY = (Granularity.D1, Granularity.W1)
# Midnight in New York, in summer and in winter.
NEW_YORK_MIDNIGHTS = (timedelta(hours=4), timedelta(hours=5))
BUSY = {408, 425, 429, 500, 502, 503, 504}


class AlpacaProvider:
    """Bars of US equities. Numbers are read exactly as they are sent."""

    # A weekend with a holiday at either end.
    quiet = timedelta(days=5)

    def __init__(
        self, exchange: str, connection: Connection, options: Options, ask: Ask = ask_venue
    ) -> None:
        if not (connection.key and connection.secret):
            raise ProviderNotReady("Alpaca needs a key and a secret: name a connection.")
        try:
            self.feed = DataFeed(options.get("feed", "iex"))
            self.adjustment = Adjustment(options.get("adjustment", "raw"))
        except ValueError as error:
            raise ProviderNotReady(f"Alpaca's options: {error}.") from None
        self.client = StockHistoricalDataClient(
            connection.key,
            connection.secret,
            raw_data=True,
            url_override=connection.url.rstrip("/") or None,
        )
        self.session = CuttableSession()
        self.session.hooks["response"].append(read_exactly)
        self.client._session = self.session
        # The feed comes back by itself; waiting here would only hold the worker.
        self.client._retry = 0
        self.ask = ask
        self.conditions = {
            "adjustment": self.adjustment.value,
            "feed": self.feed.value,
        }
        if connection.url:
            self.conditions["at"] = digest(connection.url)

    def fetch(
        self, symbol: str, granularity: str, *, since: datetime | None, limit: int, now: datetime
    ) -> list[CandleValues]:
        """Return bars of ``symbol``; daily and weekly ones start at 00:00 UTC of their date."""
        deadline = monotonic() + FETCH_SECONDS
        return ask_candles(
            self.ask,
            source="alpaca",
            method="get_stock_bars",
            symbol=symbol,
            granularity=granularity,
            since=since,
            limit=limit,
            conditions=self.conditions,
            quiet=self.quiet,
            load=lambda: self.bars(symbol, granularity, since, limit, now, deadline),
            now=now,
            patience=FETCH_SECONDS,
        )

    def bars(
        self,
        symbol: str,
        granularity: str,
        since: datetime | None,
        limit: int,
        now: datetime,
        deadline: float,
    ) -> list[CandleValues]:
        """Ask Alpaca itself, until ``deadline`` of the monotonic clock."""
        # Two in three intervals of a week have no trading.
        start = since or now - 4 * limit * width(granularity)
        request = StockBarsRequest(
            symbol_or_symbols=symbol,
            timeframe=TimeFrame(int(granularity[:-1]), UNITS[granularity[-1]]),
            start=start,
            end=now,
            limit=limit,
            feed=self.feed,
            adjustment=self.adjustment,
            sort=Sort.ASC if since else Sort.DESC,
        )
        try:
            answer = within(
                max(0.1, deadline - monotonic()),
                lambda: self.client.get_stock_bars(request),
                stop=self.session.cut,
            )
        except APIError as error:
            raise refused(error) from error
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            raise ProviderRubbish("The answer of Alpaca is not in its own format.") from error
        except requests.RequestException as error:
            raise ProviderUnreachable(f"{type(error).__name__} while asking Alpaca.") from error
        bars = answer.get(symbol, []) if isinstance(answer, dict) else None
        if not isinstance(bars, list):
            raise ProviderRubbish("The answer of Alpaca holds no list of bars.")
        candles = [candle(bar, granularity) for bar in bars]
        return candles if since else candles[::-1]


def candle(bar: object, granularity: str) -> CandleValues:
    """Read Alpaca's bar: t, o, h, l, c, v."""
    if not isinstance(bar, dict) or not {"t", "o", "h", "l", "c", "v"} <= bar.keys():
        raise ProviderRubbish(f"{str(bar)[:60]!r} stands where a bar should.")
    try:
        start = datetime.fromisoformat(bar["t"]).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise ProviderRubbish(f"{str(bar['t'])[:40]!r} stands where a time should.") from None
    if granularity in DAILY:
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        if start - midnight in NEW_YORK_MIDNIGHTS:
            start = midnight
    return CandleValues(start, *(exact(bar[name]) for name in "ohlcv"))


def read_exactly(response: requests.Response, *args: Any, **kwargs: Any) -> None:
    """Let the client read this answer's numbers as decimals."""
    response.json = partial(response.json, parse_float=Decimal)  # type: ignore[method-assign]


def refused(error: APIError) -> Exception:
    """Return what an error status means."""
    status = error.status_code
    if status in BUSY:
        return ProviderUnreachable(f"Alpaca answered {status}.")
    if status in (401, 403):
        return ProviderNotReady(f"Alpaca does not accept the credentials ({status}).")
    return ProviderRubbish(f"Alpaca answered {status}.")
