"""Crypto exchanges through ccxt (optional: requirements-providers.txt)."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import ccxt

from apps.market.domain.cache import digest
from apps.market.domain.candles import CandleValues
from apps.market.providers.base import (
    FETCH_SECONDS,
    Ask,
    Connection,
    Options,
    ProviderNotReady,
    ProviderRubbish,
    ProviderUnreachable,
    ask_venue,
    cells,
    exact,
    within,
)
from apps.market.providers.kept import EPOCH, ask_candles, milliseconds
from apps.market.providers.session import READ_SECONDS, CuttableSession

# A process remembers an exchange's markets for so long: to read megabytes takes its time too.
MARKETS_SECONDS = 300
MARKETS: dict[tuple[str, str], tuple[float, Any]] = {}
# Here ccxt looks into the raw market for the name that its candles go by.
READS_INFO = ("delta", "okx")
# What ccxt runs into when an answer has another shape than its exchange's.
MISSHAPEN = (AttributeError, TypeError, KeyError, IndexError, ValueError, ArithmeticError)


class CcxtProvider:
    """One exchange. Numbers stay the text that the exchange sent."""

    quiet = timedelta(hours=1)

    def __init__(
        self, exchange: str, connection: Connection, options: Options, ask: Ask = ask_venue
    ) -> None:
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
        # What changes an answer beside the question, and may hold what must not be shown.
        others = {"at": connection.url, "params": self.parameters}
        self.conditions = {name: digest(value) for name, value in others.items() if value}
        self.ask = ask

    def fetch(
        self, symbol: str, granularity: str, *, since: datetime | None, limit: int, now: datetime
    ) -> list[CandleValues]:
        """Return candles of ccxt's unified ``symbol``, such as ETH/BTC."""
        if granularity not in (self.exchange.timeframes or {}):
            raise ProviderNotReady(f"{self.exchange.id} has no candles of {granularity}.")
        start = None if since is None else milliseconds(since)
        deadline = monotonic() + FETCH_SECONDS

        def fetch_candles() -> list[CandleValues]:
            self.load_markets(now, deadline)
            # After the markets, which ccxt computes with.
            self.exchange.number = str
            rows = self.within(
                deadline,
                lambda: self.exchange.fetch_ohlcv(
                    symbol, granularity, start, limit, self.parameters
                ),
                about=symbol,
            )
            if not isinstance(rows, list):
                raise ProviderRubbish(f"{self.exchange.id} answered without candles.")
            return [candle(row) for row in rows]

        return ask_candles(
            self.ask,
            source=self.exchange.id,
            method="fetch_ohlcv",
            symbol=symbol,
            granularity=granularity,
            since=since,
            limit=limit,
            conditions=self.conditions,
            quiet=self.quiet,
            load=fetch_candles,
            now=now,
            patience=FETCH_SECONDS,
        )

    def load_markets(self, now: datetime, deadline: float) -> None:
        """Let ccxt know the exchange's markets: megabytes, so they are seldom asked for."""
        loaded_at, markets = MARKETS.get(self.address, (0.0, None))
        if not markets or monotonic() - loaded_at > MARKETS_SECONDS:
            answer = self.ask(
                source=self.exchange.id,
                method="load_markets",
                args=[],
                kwargs=self.conditions,
                data_type="markets",
                load=lambda: self.slim(self.within(deadline, self.exchange.load_markets)),
                good_until=None,
                now=now,
                patience=max(0.1, deadline - monotonic()),
            )
            markets = answer.value
            if not answer.is_stale:
                MARKETS[self.address] = (monotonic(), markets)
        try:
            self.exchange.set_markets(markets)
        except MISSHAPEN as error:
            raise ProviderRubbish("What is kept in the cache are no markets.") from error

    def slim(self, markets: Any) -> Any:
        """Return markets without what ccxt fills in by itself, and without the raw ones."""
        dropped = () if self.exchange.id in READS_INFO else ("info",)
        return {
            symbol: without_nothing({name: market[name] for name in market if name not in dropped})
            for symbol, market in markets.items()
        }

    def within(self, deadline: float, call: Callable[[], Any], about: str = "") -> Any:
        """Return what ccxt's call brings by the deadline; ProviderError says what went wrong."""
        try:
            left = max(0.1, deadline - monotonic())
            return within(left, call, stop=self.session.cut)
        except ccxt.BadSymbol:
            raise ProviderNotReady(f"{self.exchange.id} does not trade {about}.") from None
        except ccxt.NetworkError as error:
            raise ProviderUnreachable(told(error)) from error
        except ccxt.BaseError as error:
            raise ProviderRubbish(told(error)) from error
        except MISSHAPEN as error:
            message = f"The answer of {self.exchange.id} is not in its own format."
            raise ProviderRubbish(message) from error


def candle(row: object) -> CandleValues:
    """Read ccxt's row: milliseconds, open, high, low, close, volume."""
    start, *numbers = cells(row, 6)[:6]
    try:
        return CandleValues(EPOCH + timedelta(milliseconds=int(start)), *map(exact, numbers))
    except (TypeError, ValueError, OverflowError):
        raise ProviderRubbish(f"{str(start)[:40]!r} stands where a time should.") from None


def without_nothing(value: Any) -> Any:
    """Return a structure without the names whose value is None, at any depth."""
    if not isinstance(value, dict):
        return value
    return {name: without_nothing(each) for name, each in value.items() if each is not None}


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
