"""Numbers as models write them: read whatever they are, and shown in sentences."""

from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

# Beyond this many digits before or behind the point a number is as good as any other such.
FAR: Final = 1_000
LONG_NUMBER: Final = 40
EXACT: Final = Context(prec=5 * FAR)


def number(value: Any) -> Decimal | None:
    """Return a finite number, None for anything else.

    Beyond a thousand digits it is that far and no farther, so that no comparison takes long.
    """
    if isinstance(value, Decimal):
        found = value
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    else:
        found = Decimal(str(value) if isinstance(value, float) else value)
    if not found.is_finite():
        return None
    if found and not -FAR <= found.adjusted() <= FAR:
        return Decimal((0, (1,), FAR if found.adjusted() > 0 else -FAR)).copy_sign(found)
    return found


def is_whole(value: Decimal) -> bool:
    """Tell whether a number has nothing behind its point."""
    return value == value.to_integral_value(context=EXACT)


def shown(value: Decimal | None) -> str:
    """Return a number in plain notation without padding zeros; a very long one shortened."""
    if value is None:
        return "that is no number"
    if not value:
        return "0"
    if len(value.as_tuple().digits) > LONG_NUMBER or abs(value.adjusted()) > LONG_NUMBER:
        return f"{value:.6e}"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown_fraction(value: Fraction) -> str:
    """Return a fraction as a number, at most 8 places behind the point."""
    number = EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
    return shown(number.quantize(Decimal("1e-8"), context=EXACT))


def cut(text: str) -> str:
    """Return a text short enough to stand in a sentence."""
    text = text or ""
    return text if len(text) <= LONG_NUMBER else f"{text[:LONG_NUMBER]}…"
