"""What a model signal or a prediction claims about a price: which way, and until when."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from apps.shared.errors import DomainError, FieldError

UP, DOWN = 1, -1
HALF = Decimal("0.5")
HOUR = timedelta(hours=1)
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=366)
SHOWN = 40

UP_WORDS = frozenset({
    "buy", "strong_buy", "weak_buy",
    "long", "strong_long", "open_long", "enter_long", "go_long",
    "up", "strong_up", "bull", "bullish", "strong_bullish",
})  # fmt: skip
DOWN_WORDS = frozenset({
    "sell", "strong_sell", "weak_sell",
    "short", "strong_short", "open_short", "enter_short", "go_short",
    "down", "strong_down", "bear", "bearish", "strong_bearish",
})  # fmt: skip

DIRECTIONS = frozenset({"price_direction", "direction", "trend_direction"})
UP_PROBABILITIES = frozenset({"probability_up", "up_probability"})
DOWN_PROBABILITIES = frozenset({"probability_down", "down_probability"})
RETURNS = frozenset({
    "return", "returns", "log_return", "price_return",
    "expected_return", "predicted_return", "future_return", "return_pct",
    "change", "change_pct", "pct", "pct_change", "percent_change", "percentage_change",
    "price_change", "price_change_pct", "predicted_change",
})  # fmt: skip
PRICES = frozenset({
    "price", "target_price", "price_target", "predicted_price",
    "price_prediction", "price_forecast", "future_price", "next_price",
    "close", "close_price", "next_close",
})  # fmt: skip

BETWEEN_WORDS = re.compile(r"[\s\-_]+")
# "return_24h" is a return; how far ahead it looks is told by the horizon.
HORIZON_SUFFIX = re.compile(r"_[0-9]+(?:m|min|h|d|w)$")


class ClaimRefused(DomainError):
    """A claim that cannot be judged as it stands."""

    code = "claim_refused"


class Direction(NamedTuple):
    """Which way a claim points: +1 up, −1 down; ``None`` with the reason when it does not."""

    sign: int | None
    reason: str = ""


def direction_of_signal(signal: str) -> int | None:
    """Return +1 for a word that says buy, −1 for one that says sell.

    ``None`` for hold and for every other word, such as an event that was stored as a signal.
    Case, spaces, hyphens and underscores between words make no difference.
    """
    word = plain(signal)
    if word in UP_WORDS:
        return UP
    return DOWN if word in DOWN_WORDS else None


def direction_of_prediction(
    prediction_type: str, value: Decimal, entry: Decimal | None
) -> Direction:
    """Return which way a prediction points.

    - a direction (``price_direction``) or a return (``return``, ``price_change_pct``): the sign
      of the value, so 0.3 is up as well; whoever means a probability must say so in the type;
    - a probability (``probability_up``), from 0 to 1: above or below one half;
    - a price (``target_price``): above or below ``entry``, the price when it was predicted.

    A horizon at the end of the type (``return_24h``) makes no difference. Everything else, such
    as a volatility, has no direction; the reason says so. Nothing here raises an error.
    """
    kind = HORIZON_SUFFIX.sub("", plain(prediction_type))
    if not value.is_finite():
        return Direction(None, "The predicted value is no number.")
    if kind in DIRECTIONS or kind in RETURNS:
        what = "direction" if kind in DIRECTIONS else "change"
        return signed(value, f"A predicted {what} of 0 points neither up nor down.")
    if kind in UP_PROBABILITIES | DOWN_PROBABILITIES:
        if not 0 <= value <= 1:
            return Direction(None, "A probability lies between 0 and 1.")
        over = value - HALF if kind in UP_PROBABILITIES else HALF - value
        return signed(over, "A probability of one half points neither up nor down.")
    if kind in PRICES:
        return towards(value, entry)
    name = " ".join(prediction_type.split())
    name = name if len(name) <= SHOWN else name[:SHOWN] + "…"
    if not name:
        return Direction(None, "A prediction without a type claims no direction.")
    return Direction(None, f"A prediction of {name} claims no direction of the price.")


def horizon(hours: Decimal | float | None, default: timedelta) -> timedelta:
    """Return how long after its own time a claim is judged; ``default`` when it does not say.

    Raises ClaimRefused unless that is at least a minute and at most 366 days.
    """
    if hours is None:
        return default
    # Through float, NaN fails the comparison as it should; Decimal's own would raise.
    length = float(hours)
    if not SHORTEST / HOUR <= length <= LONGEST / HOUR:
        message = f"Must be at least a minute and at most {LONGEST // HOUR} hours."
        error = FieldError("/horizon_hours", "out_of_range", message)
        raise ClaimRefused("This claim cannot be judged.", [error])
    return timedelta(hours=length)


def plain(text: str) -> str:
    return BETWEEN_WORDS.sub("_", text.strip().lower())


def signed(value: Decimal, reason: str) -> Direction:
    if value == 0:
        return Direction(None, reason)
    return Direction(UP if value > 0 else DOWN)


def towards(price: Decimal, entry: Decimal | None) -> Direction:
    if price <= 0:
        return Direction(None, "A predicted price must lie above zero.")
    if entry is None:
        return Direction(None, "No price is known at the time of the prediction.")
    if price == entry:
        return Direction(None, "The predicted price is the price at the time of the prediction.")
    return Direction(UP if price > entry else DOWN)
