"""What pipelines send of features: versions of their definition, and rows of 100 columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from apps.market.api.rows import Source, Width
from apps.market.choices import Granularity
from apps.market.models.features import VERSION_PATTERN
from apps.shared.api.rows import Moment, Real, Row, Symbol, text
from apps.shared.api.values import ANY_NUMBER, KnownCheck, Refused

VERSION_LENGTH = 20


def is_version(text: str) -> bool:
    """Tell whether versions of features may be called so."""
    return len(text) <= VERSION_LENGTH and bool(re.fullmatch(VERSION_PATTERN.strip("^$"), text))


Version = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=VERSION_LENGTH,
        description="Numbers between points, such as 3.1; compared as a version.",
        extra={
            "check": KnownCheck(
                knows=is_version,
                code="not_a_version",
                message="Must be numbers between points, such as 3.1, without leading zeros.",
            )
        },
    ),
]


@dataclass(frozen=True, slots=True)
class WholeCheck:
    """A whole number from 0 on; 9.0 is one too, as tables with gaps have them."""

    maximum: int

    def read(self, value: Any) -> int:
        """Return the number that a JSON number or string stands for."""
        number = ANY_NUMBER.read(value)
        if not 0 <= number <= self.maximum or number != int(number):
            message = f"Must be a whole number from 0 to {self.maximum}."
            raise Refused("not_whole", message)
        return int(number)

    def admits(self, column: Sequence[int], *, short: bool) -> bool:
        """Tell whether all are within bounds."""
        return min(column) >= 0 and max(column) <= self.maximum


def whole(maximum: int, description: str) -> Meta:
    """Return the metadata of a whole number."""
    return Meta(description=description, extra={"check": WholeCheck(maximum)})


Feature = Real | None
Hour = Annotated[int, whole(23, "Local hour of the instrument, 0 to 23.")] | None
Weekday = Annotated[int, whole(6, "0 to 6; Monday is 0.")] | None
Flag = Annotated[int, whole(1, "0 or 1.")] | None
LocalDate = Annotated[str, text(20, description="Local date of the instrument.")] | None


class FeatureRow(Row):
    """The features of one candle under one version of their definition; null is not known.

    ``timestamp`` is the start of the candle.
    """

    symbol: Symbol
    source: Source
    granularity: Width
    feature_version: Version
    timestamp: Moment
    open: Feature = None
    high: Feature = None
    low: Feature = None
    close: Feature = None
    volume: Feature = None
    returns: Feature = None
    log_returns: Feature = None
    high_low_pct: Feature = None
    open_close_pct: Feature = None
    price_acceleration: Feature = None
    returns_sign: Feature = None
    returns_squared: Feature = None
    realized_vol_short: Feature = None
    realized_vol_med: Feature = None
    realized_vol_long: Feature = None
    gk_volatility: Feature = None
    vol_of_vol: Feature = None
    price_ma_short: Feature = None
    price_ma_med: Feature = None
    price_ma_long: Feature = None
    price_to_ma_short: Feature = None
    price_to_ma_med: Feature = None
    price_to_ma_long: Feature = None
    ma_short_to_med: Feature = None
    ma_med_to_long: Feature = None
    volume_ma: Feature = None
    volume_ratio: Feature = None
    log_volume: Feature = None
    vpt: Feature = None
    vpt_ma: Feature = None
    vpt_normalized: Feature = None
    mfi: Feature = None
    rsi_1d: Feature = None
    rsi_3d: Feature = None
    rsi_1w: Feature = None
    rsi_2w: Feature = None
    rsi_ema: Feature = None
    hour: Hour = None
    day_of_week: Weekday = None
    date: LocalDate = None
    hour_sin: Feature = None
    hour_cos: Feature = None
    dow_sin: Feature = None
    dow_cos: Feature = None
    is_market_open: Flag = None
    is_morning: Flag = None
    is_afternoon: Flag = None
    hours_since_open: Feature = None
    hours_to_close: Feature = None
    returns_from_daily_open: Feature = None
    intraday_high: Feature = None
    intraday_low: Feature = None
    intraday_range_pct: Feature = None
    position_in_range: Feature = None
    overnight_gap: Feature = None
    dist_from_intraday_high: Feature = None
    dist_from_intraday_low: Feature = None
    returns_lag_1: Feature = None
    vol_lag_1: Feature = None
    volume_ratio_lag_1: Feature = None
    returns_lag_2: Feature = None
    vol_lag_2: Feature = None
    volume_ratio_lag_2: Feature = None
    returns_lag_4: Feature = None
    vol_lag_4: Feature = None
    volume_ratio_lag_4: Feature = None
    returns_lag_8: Feature = None
    vol_lag_8: Feature = None
    volume_ratio_lag_8: Feature = None
    returns_lag_24: Feature = None
    vol_lag_24: Feature = None
    volume_ratio_lag_24: Feature = None
    returns_mean_6h: Feature = None
    returns_std_6h: Feature = None
    returns_skew_6h: Feature = None
    returns_kurt_6h: Feature = None
    price_momentum_6h: Feature = None
    returns_mean_12h: Feature = None
    returns_std_12h: Feature = None
    returns_skew_12h: Feature = None
    returns_kurt_12h: Feature = None
    price_momentum_12h: Feature = None
    returns_mean_24h: Feature = None
    returns_std_24h: Feature = None
    returns_skew_24h: Feature = None
    returns_kurt_24h: Feature = None
    price_momentum_24h: Feature = None
    bb_upper: Feature = None
    bb_lower: Feature = None
    bb_position: Feature = None
    bb_squeeze: Feature = None
    macd: Feature = None
    macd_signal: Feature = None
    macd_histogram: Feature = None
    macd_normalized: Feature = None
    atr: Feature = None
    atr_normalized: Feature = None
    williams_r: Feature = None


# Which stands for which row, not what is known of it.
PLACE = ("symbol", "source", "granularity", "feature_version", "timestamp")
COLUMN_NAMES = tuple(name for name in FeatureRow.__struct_fields__ if name not in PLACE)


@dataclass(frozen=True, slots=True)
class NamesCheck:
    """A list of different words out of those that are known."""

    known: tuple[str, ...]

    def read(self, value: Any) -> list[str]:
        """Return the list as it is."""
        if not isinstance(value, list):
            raise Refused("type", "Must be a list of strings.")
        for place, name in enumerate(value):
            if not isinstance(name, str):
                raise Refused("type", "Must be a string.", f"/{place}")
            if name not in self.known:
                raise Refused("not_a_choice", "There is none of this name.", f"/{place}")
            if name in value[:place]:
                raise Refused("given_twice", "Stands in the list twice.", f"/{place}")
        return value

    def admits(self, column: Sequence[list[str]], *, short: bool) -> bool:
        """Tell whether there is nothing inside; whatever is must be read one by one."""
        return not any(column)


class FeatureVersionRow(Row):
    """A definition of features that a pipeline computes by; we keep its rows apart by version."""

    version: Version
    description: Annotated[str, text(10_000, prose=True)] = ""
    definition_hash: Annotated[
        str, text(64, pattern=r"(?:[0-9a-f]{64})?", description="SHA-256 of the definition, hex.")
    ] = ""
    columns: Annotated[
        list[str],
        Meta(
            description="The columns it fills; by default not known.",
            extra={"check": NamesCheck(COLUMN_NAMES)},
        ),
    ] = []
    is_causal: bool = True
    granularities: Annotated[
        list[str],
        Meta(
            description="The granularities it is computed for.",
            extra={"check": NamesCheck(tuple(Granularity.values))},
        ),
    ] = []


class LatestFeaturesQuery(Row):
    """Whose newest row is asked for; without a version that of the highest one there is."""

    symbol: Symbol
    source: Source | None = None
    granularity: Width | None = None
    version: Version | None = None
    fields: Annotated[str, text(5_000, description="Only these columns, by comma.")] = ""


class NothingRow(Row):
    """Nothing needs to be said."""
