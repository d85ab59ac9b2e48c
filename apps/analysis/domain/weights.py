"""What the weights of a model signal must be: none negative, each group a whole."""

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

from apps.shared.errors import FieldError

# The four kinds of evidence, and what each of the first three is made of.
GROUPS = {
    "top level": ("technical_weight", "onchain_weight", "sentiment_weight", "macro_weight"),
    "technical": ("momentum_weight", "trend_weight", "volatility_weight", "volume_weight"),
    "onchain": ("flow_weight", "network_weight", "holder_weight"),
    "sentiment": ("social_weight", "derivatives_weight", "fear_greed_weight"),
}
NAMES = frozenset(name for names in GROUPS.values() for name in names)
TOLERANCE = Decimal("0.000001")
ONE = Decimal(1)


def check_weights(weights: Mapping[str, Any]) -> list[FieldError]:
    """Return everything that is wrong with the weights; an empty list for good ones.

    Each is a finite JSON number (int, float or Decimal; neither a bool nor a text) from 0 to 1.
    A group of which one is given must be complete and sum to 1 within 1e-6; a group of which
    none is given is left out. Unknown names are errors. A single weight is pointed at as
    ``/signal_weights/<name>``, a wrong sum as ``/signal_weights``.
    """
    errors = [
        FieldError(pointer(name), "unknown", "There is no such weight.")
        for name in weights
        if name not in NAMES
    ]
    for group, names in GROUPS.items():
        if any(name in weights for name in names):
            errors += group_problems(group, names, weights)
    return errors


def group_problems(
    group: str, names: tuple[str, ...], weights: Mapping[str, Any]
) -> list[FieldError]:
    """Say what is wrong with one group of which something is given."""
    errors = []
    total = Decimal(0)
    with localcontext(prec=60):
        for name in names:
            if name not in weights:
                message = f"Must be given with the others of its group ({group})."
                errors.append(FieldError(pointer(name), "missing", message))
                continue
            weight = number(weights[name])
            if weight is None:
                errors.append(FieldError(pointer(name), "not_a_number", "Must be a number."))
            elif not 0 <= weight <= ONE + TOLERANCE:
                message = "Must lie between 0 and 1."
                errors.append(FieldError(pointer(name), "out_of_range", message))
            else:
                total += weight
        # The sum of what is incomplete or wrong says nothing.
        if not errors and abs(total - ONE) > TOLERANCE:
            message = f"{group}: {', '.join(names)} must sum to 1, not to {total:.8f}."
            errors.append(FieldError("/signal_weights", "wrong_sum", message))
    return errors


def number(value: Any) -> Decimal | None:
    """Return a finite JSON number, a float by its shortest decimal form; None for the rest."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    found = Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)
    return found if found.is_finite() else None


def pointer(name: str) -> str:
    """Return the JSON pointer of a weight (RFC 6901)."""
    return f"/signal_weights/{name.replace('~', '~0').replace('/', '~1')}"
