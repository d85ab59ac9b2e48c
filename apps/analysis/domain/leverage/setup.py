"""What is known of a trade at the moment it is entered, before any formula."""

from dataclasses import dataclass
from decimal import Decimal

from apps.analysis.domain.leverage.parameters import ONE, ZERO, Trend
from apps.shared.errors import DomainError, FieldError
from apps.shared.quant.digits import PRICE_LIMIT, PRICE_PLACES

MOST_VOLATILITY = Decimal(10) ** 6
LEAST_PRICE = Decimal(1).scaleb(-PRICE_PLACES)

PRICES = ("price", "support", "next_support", "resistance", "next_resistance")
NEEDED = ("price", "support_strength", "resistance_strength")
A_PRICE = (LEAST_PRICE, PRICE_LIMIT, "Must be a price above zero.")
A_SHARE = (ZERO, ONE, "Must lie between 0 and 1.")
LIMITS = {
    **dict.fromkeys(PRICES, A_PRICE),
    "support_strength": A_SHARE,
    "resistance_strength": A_SHARE,
    "confidence": A_SHARE,
    "btc_correlation": (-ONE, ONE, "Must lie between -1 and 1."),
    "volatility_pct": (ZERO, MOST_VOLATILITY, "Must be a percentage from 0 on."),
}


class SetupRefused(DomainError):
    """Inputs that no market can have shown; names each."""

    code = "setup_refused"


@dataclass(frozen=True, slots=True)
class Setup:
    """What is known at the moment a trade is entered. ``None``: not known.

    - ``price``: where the trade would be entered, above zero.
    - ``support``, ``next_support``: the nearest level below the price and the one below that;
      ``resistance``, ``next_resistance``: the same above. For a **short** they change places:
      the resistance protects, the support is the target.
    - ``support_strength``, ``resistance_strength``: 0 (a guess) to 1 (never broken).
    - ``confidence``: probability 0 to 1 that the trade goes right.
    - ``btc_correlation``: of returns with Bitcoin's, −1 to 1.
    - ``volatility_pct``: standard deviation of the returns of one bar, percent, from 0 on.
    - ``direction``: +1 long, −1 short.

    Raises SetupRefused for what cannot be: a number out of its span, NaN, infinity.
    """

    price: Decimal
    support: Decimal | None
    next_support: Decimal | None
    resistance: Decimal | None
    next_resistance: Decimal | None
    support_strength: Decimal
    resistance_strength: Decimal
    confidence: Decimal | None
    btc_correlation: Decimal | None
    volatility_pct: Decimal | None
    trend: Trend | None
    direction: int = 1

    def __post_init__(self) -> None:
        errors = []
        for name, (least, most, what) in LIMITS.items():
            value: Decimal | None = getattr(self, name)
            if value is None and name not in NEEDED:
                continue
            if value is None or not value.is_finite() or not least <= value <= most:
                errors.append(FieldError(f"/{name}", "out_of_range", what))
        if self.direction not in (1, -1):
            message = "Must be 1 (long) or -1 (short)."
            errors.append(FieldError("/direction", "out_of_range", message))
        if errors:
            raise SetupRefused("No market can have shown this.", errors)
