"""What programs send to the market: candles, instruments, feeds, and questions about prices."""

from typing import Annotated

from msgspec import Meta

from apps.market.choices import AssetClass, Granularity, ProviderName
from apps.shared.api.rows import (
    Amount,
    JsonObject,
    Moment,
    Price,
    Row,
    Symbol,
    Word,
    choice,
    text,
)

Source = Annotated[
    str, text(50, minimum=1, pattern=r"\S+(?: \S+)*", description="Who says so, e.g. binance.")
]
Width = Annotated[str, choice(Granularity, "How long one candle lasts.")]
Places = Annotated[int, Meta(ge=0, le=18)]
WholeMoney = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class CandleRow(Row):
    """What one source says of one interval; ``timestamp`` is its start."""

    symbol: Symbol
    source: Source
    granularity: Width
    timestamp: Moment
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount


class InstrumentRow(Row):
    """Something that has a price."""

    symbol: Symbol
    company_name: Annotated[str, text(255)] = ""
    asset_class: Annotated[str, choice(AssetClass)] = AssetClass.OTHER.value
    quote_currency: Annotated[str, text(20)] = ""
    price_precision: Places | None = None
    size_precision: Places | None = None
    primary_source: Word = ""
    sector: Annotated[str, text(100)] = ""
    industry: Annotated[str, text(150)] = ""
    market_cap: WholeMoney | None = None
    country: Annotated[str, text(100)] = ""
    currency: Annotated[str, text(10)] = ""
    exchange: Word = ""
    source: Word = ""
    timezone: Annotated[str, text(50, description="Of its trading hours, e.g. Europe/Berlin.")] = ""
    active: bool = True


class FeedRow(Row):
    """A series of candles to fetch from a provider."""

    provider: Annotated[str, choice(ProviderName)]
    symbol: Symbol
    source: Source
    granularity: Width
    exchange: Word = ""
    venue_symbol: Word = ""
    connection: Annotated[str, text(50, pattern=r"(?:[A-Z][A-Z0-9_]*)?")] = ""
    options: JsonObject = {}
    enabled: bool = True


class CloseQuery(Row):
    """Which price is asked for."""

    symbol: Symbol
    moment: Moment


class RangeQuery(Row):
    """A window on one series: ``start`` ≤ timestamp < ``end``."""

    symbol: Symbol
    source: Source
    granularity: Width
    start: Moment
    end: Moment


class ResampledQuery(RangeQuery):
    """A window on one series, and the coarser granularity to answer it in."""

    to: Width


# What an answer about a window may hold at most.
MAX_CANDLES = 10_000
