"""Figures as bots report them: numbers, words for numbers, and what is none."""

from decimal import Decimal, InvalidOperation
from typing import Any, Final

from apps.shared.quant.digits import PRICE_LIMIT, PRICE_PLACES, digits_behind

COUNTS: Final = ("total_trades", "winning_trades", "losing_trades", "open_trades")
RATIOS: Final = ("sharpe_ratio", "win_rate", "profit_factor", "max_drawdown", "total_return")
LARGEST_COUNT = 2**31 - 1
LONGEST = 100

Value = Decimal | float | int | None


def read_reported(name: str, sent: Any) -> tuple[Value, str]:
    """Return the value that a column can hold, or none and why; nothing sent is no reason.

    Money must fit numeric(38,18) without rounding, counts are whole and not negative, ratios are
    finite floats.
    """
    if sent is None:
        return None, ""
    number = number_of(sent)
    if number is None:
        return None, "Reported as what is no number."
    if number.is_nan():
        return None, "Reported as NaN."
    if number.is_infinite():
        return None, f"Reported as {'minus ' if number < 0 else ''}infinity."
    if name in COUNTS:
        if number != number.to_integral_value() or not 0 <= number <= LARGEST_COUNT:
            return None, "Reported as what is no count."
        return int(number), ""
    if name in RATIOS:
        ratio = float(number)
        if ratio in (float("inf"), float("-inf")):
            return None, "Reported as a number too large to be kept."
        return ratio + 0.0, ""
    if abs(number) >= PRICE_LIMIT or digits_behind(number) > PRICE_PLACES:
        return None, "Reported with more digits than are kept."
    return number, ""


def number_of(sent: Any) -> Decimal | None:
    """Return the number that a JSON value stands for; NaN and infinity are numbers here."""
    if isinstance(sent, bool) or not isinstance(sent, int | float | Decimal | str):
        return None
    text = sent.strip() if isinstance(sent, str) else repr(sent) if isinstance(sent, float) else ""
    if len(text) > LONGEST or "_" in text:
        return None
    try:
        return Decimal(text or sent)
    except (InvalidOperation, ValueError):
        return None
