"""What programs send and ask of the regimes of markets."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.market.api.rows import Source
from apps.market.choices import DominantTrend, RegimeType, VolatilityRegime
from apps.market.models.regimes import OWN_SOURCE
from apps.shared.api.rows import JsonObject, Moment, Probability, Row, Symbol, choice

Lines = Annotated[int, Meta(ge=1, le=1_000, description="How many lines at most.")]


class MarketRegimeRow(Row):
    """The regime of a market from a moment on, as one source says.

    What is classified here from candles has the source "blotter", which nobody else may use.
    """

    symbol: Symbol
    source: Source
    timestamp: Moment
    regime_type: Annotated[str, choice(RegimeType, "How a market moves.")]
    volatility_regime: Annotated[
        str, choice(VolatilityRegime, "Whether it moves more than it used to.")
    ] = VolatilityRegime.UNKNOWN.value
    dominant_trend: Annotated[str, choice(DominantTrend, "What its averages say together.")] = (
        DominantTrend.UNKNOWN.value
    )
    confidence: Probability | None = None
    indicators_json: JsonObject = {}


class CurrentQuery(Row):
    """Of which symbol and by which source; by default of all, as classified here.

    ``after``: the symbol of the last line of the page before, as ``next`` says it.
    """

    symbol: Symbol | None = None
    source: Source = OWN_SOURCE
    after: Symbol | None = None
    limit: Lines = 100


class CurrentRegime(msgspec.Struct):
    """The last regime that is known of a market; ``age_seconds`` since it became known."""

    symbol: str
    source: str
    timestamp: datetime
    known_at: datetime
    age_seconds: float
    regime_type: str
    volatility_regime: str
    dominant_trend: str
    confidence: str | None
    confidence_reason: str
    indicators_json: dict[str, Any]


class CurrentRegimes(msgspec.Struct):
    """The last regime of each market, in order; ``next`` is the ``after`` of the next page."""

    results: list[CurrentRegime]
    next: str | None
