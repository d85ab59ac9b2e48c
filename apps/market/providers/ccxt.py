"""Crypto exchanges through ccxt (optional: requirements-providers.txt)."""

import json
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import ccxt

from apps.market.domain.candles import CandleValues
from apps.market.providers.base import (
    FETCH_SECONDS,
    Connection,
    Options,
    ProviderNotReady,
    ProviderRubbish,
    ProviderUnreachable,
    cells,
    exact,
    within,
)
from apps.market.providers.session import READ_SECONDS, CuttableSession

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MARKETS_SECONDS = 3600
MARKETS: dict[tuple[str, str], tuple[float, Any]] = {}
# What ccxt runs into when an answer has another shape than its exchange's.
MISSHAPEN = (AttributeError, TypeError, KeyError, IndexError, ValueError, ArithmeticError)


class CcxtProvider:
    """One exchange. Numbers stay the text that the exchange sent."""

    quiet = timedelta(hours=1)

    def __init__(self, exchange: str, connection: Connection, options: Options) -> None:
        if exchange not in ccxt.exchanges:
            raise ProviderNotReady(f"ccxt knows no exchange {exchange!r}.")
        self.session = CuttableSession()
        self.exchange = getattr(ccxt, exchange)(
            {
                "session": self.session,
                "apiKey": connection.key or None,
                "secret": connection.secret or None,
                "timeout": int(READ_SECONDS * 1000),
                # It would only put this one object to sleep; each fetch has its own.
                "enableRateLimit": False,
            }
        )
        self.exchange.on_rest_response = only_json
        # Never floats, whichever JSON parser is installed.
        self.exchange.on_json_response = as_text
        if connection.url:
            self.exchange.urls["api"] = rebased(self.exchange.urls["api"], connection.url)
        self.parameters = dict(options.get("params") or {})
        self.address = (exchange, connection.url)

    def fetch(
        self, symbol: str, granularity: str, *, since: datetime | None, limit: int, now: datetime
    ) -> list[CandleValues]:
        """Return candles of ccxt's unified ``symbol``, such as ETH/BTC."""
        if granularity not in (self.exchange.timeframes or {}):
            raise ProviderNotReady(f"{self.exchange.id} has no candles of {granularity}.")
        start = None if since is None else (since - EPOCH) // timedelta(milliseconds=1)

        def call() -> Any:
            self.load_markets()
            # After the markets, which ccxt computes with.
            self.exchange.number = str
            return self.exchange.fetch_ohlcv(symbol, granularity, start, limit, self.parameters)

        try:
            rows = within(FETCH_SECONDS, call, stop=self.session.cut)
        except ccxt.BadSymbol:
            raise ProviderNotReady(f"{self.exchange.id} does not trade {symbol}.") from None
        except ccxt.NetworkError as error:
            raise ProviderUnreachable(told(error)) from error
        except ccxt.BaseError as error:
            raise ProviderRubbish(told(error)) from error
        except MISSHAPEN as error:
            message = f"The answer of {self.exchange.id} is not in its own format."
            raise ProviderRubbish(message) from error
        if not isinstance(rows, list):
            raise ProviderRubbish(f"{self.exchange.id} answered without candles.")
        return [candle(row) for row in rows]

    def load_markets(self) -> None:
        """Let ccxt know the exchange's markets: megabytes, so they are asked for once an hour."""
        loaded_at, markets = MARKETS.get(self.address, (0.0, None))
        if markets and monotonic() - loaded_at < MARKETS_SECONDS:
            self.exchange.set_markets(markets)
        else:
            MARKETS[self.address] = (monotonic(), self.exchange.load_markets())


def candle(row: object) -> CandleValues:
    """Read ccxt's row: milliseconds, open, high, low, close, volume."""
    start, *numbers = cells(row, 6)[:6]
    try:
        return CandleValues(EPOCH + timedelta(milliseconds=int(start)), *map(exact, numbers))
    except (TypeError, ValueError, OverflowError):
        raise ProviderRubbish(f"{str(start)[:40]!r} stands where a time should.") from None


def only_json(status: int, reason: str, url: str, method: str, *rest: Any) -> str:
    """Stand in for ccxt's hook on each answer, which would take a web page for an empty list."""
    _, body, *_ = rest
    if status == 200:
        try:
            json.loads(body)
        except ValueError:
            raise ccxt.BadResponse("The answer is not JSON.") from None
    return str(body).strip()


def as_text(body: str) -> Any:
    return json.loads(body, parse_float=str, parse_int=str, parse_constant=str)


def told(error: Exception) -> str:
    """Return ccxt's own sentence, without the page that some exchanges send."""
    return f"{type(error).__name__}: {str(error).split('<', 1)[0].strip()[:200]}"


def rebased(urls: Any, base: str) -> Any:
    """Return ccxt's addresses with another scheme and host; their paths stay."""
    if isinstance(urls, str):
        return base.rstrip("/") + urlsplit(urls).path
    return {name: rebased(url, base) for name, url in urls.items()}
