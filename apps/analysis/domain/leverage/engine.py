"""The formula itself: five constraints, the tightest of them, and what is done with it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import ROUND_DOWN, Decimal, localcontext

from apps.analysis.domain.leverage.constraints import (
    Levels,
    btc_leverage,
    confidence_leverage,
    risk_reward_ratio,
    stepped,
    support_leverage,
    volatility_leverage,
)
from apps.analysis.domain.leverage.parameters import HUNDRED, ONE, LeverageParameters
from apps.analysis.domain.leverage.setup import Setup, SetupRefused
from apps.shared.errors import DomainError, FieldError
from apps.shared.quant.samples import PLACES, rounded

FORMULA = "leverage/1"

# In the order in which they are named when they are equally tight.
CONSTRAINTS = ("support", "risk_reward", "confidence", "btc", "volatility")

MOST_RISK_MULTIPLIER = Decimal(100)
PRECISION = 60


class LeverageUndefined(DomainError):
    """Nothing is known from which a leverage could follow; names what is missing."""

    code = "leverage_undefined"


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Every figure on the way to ``final_leverage``, each rounded to 8 places, half to even.

    The first fifteen are the columns of the seed. From ``min_constraint_leverage`` on each figure
    is computed from the rounded ones before it, so a person who has only these can follow:
    ``scaled_leverage`` = min × trend × risk × (1 − margin / 100), ``final_leverage`` = that,
    held between ``floor`` and ``ceiling``.

    ``binding`` names the tightest constraint (of equals the first of ``CONSTRAINTS``), and is
    empty when none is tighter than a single constraint may be. ``bounded_by`` is "floor",
    "ceiling" or empty. ``reasons`` says, by the name of the constraint (or "trend",
    "safety_margin"), why a figure is missing or stands in for one.
    """

    support_distance_pct: Decimal | None
    support_constraint_leverage: Decimal | None
    risk_reward_ratio: Decimal | None
    risk_reward_constraint_leverage: Decimal | None
    confidence_pct: Decimal | None
    confidence_constraint_leverage: Decimal | None
    btc_correlation: Decimal | None
    btc_constraint_leverage: Decimal | None
    volatility_pct: Decimal | None
    volatility_constraint_leverage: Decimal | None
    trend_strength: str
    trend_multiplier: Decimal
    min_constraint_leverage: Decimal
    safety_margin_pct: Decimal
    final_leverage: Decimal
    risk_multiplier: Decimal
    scaled_leverage: Decimal
    floor: Decimal
    ceiling: Decimal
    binding: str
    bounded_by: str
    reasons: Mapping[str, str]

    @property
    def constraints(self) -> dict[str, Decimal | None]:
        """The leverage that each constraint allows, in the declared order."""
        return {name: getattr(self, f"{name}_constraint_leverage") for name in CONSTRAINTS}

    def as_columns(self) -> dict[str, object]:
        """Return all figures by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def break_down(
    setup: Setup,
    parameters: LeverageParameters,
    *,
    ceiling: Decimal,
    risk_multiplier: Decimal = ONE,
) -> Breakdown:
    """Return how much leverage the setup bears, and why.

    With *d* the distance to the protecting level and *t* that to the target, as shares of the
    price, each constraint at most ``constraint_ceiling``:

    - **support** = (1/d) × strength × bounce_probability × clamp(d / support_span,
      support_least_share, 1), and × further_support_factor when a further level lies behind the
      protecting one. As in the source. A nearer level never allows less.
    - **risk_reward**: reward = max(least_profit, t × (1 − strength of the target) + u ×
      breakout_probability), where u is the distance to the level behind the target, or t ×
      next_target_factor without one; ratio = reward / d, held between least_ratio and
      most_ratio; the leverage is the step of that ratio. As in the source. With the source's
      steps it never allows more than 10.
    - **confidence** = (confidence − confidence_zero) × leverage_per_confidence, at least 0.
      The source has the column and never fills it: this definition is ours.
    - **btc** = 1 / (|correlation| × btc_move) when |correlation| exceeds btc_threshold, else no
      limit. The source's 1 / predicted fall, with the fall taken from the correlation. The sign
      does not matter: Bitcoin moves both ways.
    - **volatility** = 100 / (volatility_multiple × volatility_pct): so many typical bars fit
      before liquidation. The source has the column and never fills it: this definition is ours.

    The smallest of those that are known × trend_multiplier (mirrored for a short; 1 when the
    trend is not known) × ``risk_multiplier`` (the strategy's) × (1 − margin / 100), with margin =
    min(safety_margin_most_pct, safety_margin_pct + safety_margin_per_volatility ×
    volatility_pct), the most when the volatility is not known. In the source the margin *shrank*
    with volatility; here it grows.

    ``ceiling`` is the strategy's; emergency_ceiling stands above it. A level that is missing or
    lies on the wrong side of the price gives no constraint, with the reason told; nothing is
    made up in its place. Raises LeverageUndefined when no constraint is known, SetupRefused when
    ``ceiling`` lies below the floor or ``risk_multiplier`` is not above 0 and at most 100.
    """
    check_arguments(parameters, ceiling, risk_multiplier)
    with localcontext(prec=PRECISION):
        return worked_out(setup, parameters, ceiling, risk_multiplier)


def worked_out(
    setup: Setup, parameters: LeverageParameters, ceiling: Decimal, risk_multiplier: Decimal
) -> Breakdown:
    reasons: dict[str, str] = {}
    levels = Levels.of(setup, reasons)
    ratio = risk_reward_ratio(levels, parameters)
    most = parameters.constraint_ceiling
    allowed = {
        "support": support_leverage(levels, parameters),
        "risk_reward": stepped(ratio, parameters),
        "confidence": confidence_leverage(setup.confidence, parameters),
        "btc": btc_leverage(setup.btc_correlation, parameters),
        "volatility": volatility_leverage(setup.volatility_pct, parameters),
    }
    constraints = {
        name: None if value is None else rounded(min(value, most))
        for name, value in allowed.items()
    }
    tell_missing(setup, reasons)
    known = {name: value for name, value in constraints.items() if value is not None}
    if not known:
        errors = [FieldError(f"/{name}", "missing", reasons[name]) for name in CONSTRAINTS]
        raise LeverageUndefined("No leverage follows: nothing is known of this setup.", errors)
    tightest = min(known.values())
    binding = next(name for name, value in known.items() if value == tightest)

    multiplier = trend_multiplier(setup, parameters)
    margin = rounded(safety_margin(setup.volatility_pct, parameters))
    risk = rounded(risk_multiplier)
    scaled = rounded(tightest * multiplier * risk * (1 - margin / HUNDRED))
    upper = min(ceiling, parameters.emergency_ceiling).quantize(PLACES, rounding=ROUND_DOWN)
    return Breakdown(
        support_distance_pct=percent(levels.risk),
        support_constraint_leverage=constraints["support"],
        risk_reward_ratio=None if ratio is None else rounded(ratio),
        risk_reward_constraint_leverage=constraints["risk_reward"],
        confidence_pct=percent(setup.confidence),
        confidence_constraint_leverage=constraints["confidence"],
        btc_correlation=None if setup.btc_correlation is None else rounded(setup.btc_correlation),
        btc_constraint_leverage=constraints["btc"],
        volatility_pct=None if setup.volatility_pct is None else rounded(setup.volatility_pct),
        volatility_constraint_leverage=constraints["volatility"],
        trend_strength="" if setup.trend is None else setup.trend.value,
        trend_multiplier=multiplier,
        min_constraint_leverage=tightest,
        safety_margin_pct=margin,
        final_leverage=max(parameters.floor, min(scaled, upper)),
        risk_multiplier=risk,
        scaled_leverage=scaled,
        floor=parameters.floor,
        ceiling=upper,
        binding=binding if tightest < most else "",
        bounded_by=bound(scaled, parameters.floor, upper),
        reasons=reasons,
    )


def check_arguments(
    parameters: LeverageParameters, ceiling: Decimal, risk_multiplier: Decimal
) -> None:
    errors = []
    if not ceiling.is_finite() or ceiling < parameters.floor:
        message = f"Must not lie below the floor, {parameters.floor}."
        errors.append(FieldError("/ceiling", "out_of_range", message))
    if not risk_multiplier.is_finite() or not 0 < risk_multiplier <= MOST_RISK_MULTIPLIER:
        message = f"Must be above 0 and at most {MOST_RISK_MULTIPLIER}."
        errors.append(FieldError("/risk_multiplier", "out_of_range", message))
    if errors:
        raise SetupRefused("These bounds of the leverage cannot be.", errors)


# --- What is done with the tightest -------------------------------------------------------


def trend_multiplier(setup: Setup, parameters: LeverageParameters) -> Decimal:
    if setup.trend is None:
        return ONE
    return parameters.trend_multipliers[
        setup.trend if setup.direction > 0 else setup.trend.mirrored
    ]


def safety_margin(volatility_pct: Decimal | None, parameters: LeverageParameters) -> Decimal:
    if volatility_pct is None:
        return parameters.safety_margin_most_pct
    return min(
        parameters.safety_margin_most_pct,
        parameters.safety_margin_pct + parameters.safety_margin_per_volatility * volatility_pct,
    )


def bound(scaled: Decimal, floor: Decimal, ceiling: Decimal) -> str:
    """Name the bound that held the leverage back or up; empty when neither did."""
    if scaled > ceiling:
        return "ceiling"
    return "floor" if scaled < floor else ""


def tell_missing(setup: Setup, reasons: dict[str, str]) -> None:
    """Add the reasons for what the setup itself leaves out."""
    if setup.confidence is None:
        reasons["confidence"] = "No confidence is known."
    if setup.btc_correlation is None:
        reasons["btc"] = "No correlation with Bitcoin is known."
    if setup.volatility_pct is None:
        reasons["volatility"] = "No volatility is known."
        reasons["safety_margin"] = "No volatility is known: the largest margin is taken."
    if setup.trend is None:
        reasons["trend"] = "No trend is known: the multiplier is 1."


def percent(share: Decimal | None) -> Decimal | None:
    return None if share is None else rounded(share * HUNDRED)
