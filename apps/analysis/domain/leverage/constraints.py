"""The five constraints: the most leverage that each circumstance allows, before any bound."""

from dataclasses import dataclass
from decimal import Decimal

from apps.analysis.domain.leverage.parameters import HUNDRED, ZERO, LeverageParameters
from apps.analysis.domain.leverage.setup import Setup

# A level further away than this many times the price protects from nothing.
FURTHEST = Decimal(100)


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels as the trade sees them: distances are shares of the price, above zero."""

    risk: Decimal | None
    strength: Decimal
    backed: bool
    reward: Decimal | None
    next_reward: Decimal | None
    target_strength: Decimal

    @classmethod
    def of(cls, setup: Setup, reasons: dict[str, str]) -> "Levels":
        """Sort the levels by their part in the trade, and say which of them are missing."""
        long = setup.direction > 0
        below = (setup.support, setup.next_support, setup.support_strength)
        above = (setup.resistance, setup.next_resistance, setup.resistance_strength)
        stop, behind, strength = below if long else above
        target, beyond, target_strength = above if long else below
        names = ("support", "resistance") if long else ("resistance", "support")
        risk = distance(setup.price, stop, -setup.direction)
        reward = distance(setup.price, target, setup.direction)
        further = distance(setup.price, behind, -setup.direction)
        next_reward = distance(setup.price, beyond, setup.direction)
        if risk is None:
            reasons["support"] = no_level(names[0], stop, setup.price)
            reasons["risk_reward"] = f"No risk is known. {reasons['support']}"
        elif reward is None:
            reason = no_level(names[1], target, setup.price)
            reasons["risk_reward"] = f"No reward is known. {reason}"
        return cls(
            risk=risk,
            strength=strength,
            backed=risk is not None and further is not None and further > risk,
            reward=reward,
            next_reward=(
                next_reward
                if reward is not None and next_reward is not None and next_reward > reward
                else None
            ),
            target_strength=target_strength,
        )


def distance(price: Decimal, level: Decimal | None, direction: int) -> Decimal | None:
    """Return how far the level lies from the price in that direction, if it does."""
    if level is None:
        return None
    share = direction * (level - price) / price
    return share if 0 < share <= FURTHEST else None


def no_level(name: str, level: Decimal | None, price: Decimal) -> str:
    """Say why a level gives no distance."""
    if level is None:
        return f"No {name} is known."
    if abs(level - price) > FURTHEST * price:
        return f"The {name} {level} lies too far from the price {price}."
    side = "below" if name == "support" else "above"
    return f"The {name} {level} does not lie {side} the price {price}."


def support_leverage(levels: Levels, parameters: LeverageParameters) -> Decimal | None:
    if levels.risk is None:
        return None
    # (1/d) × clamp(d/span, share, 1) multiplied out, so that rounding cannot break the order.
    reach = min(
        max(parameters.support_least_share / levels.risk, 1 / parameters.support_span),
        1 / levels.risk,
    )
    leverage = reach * levels.strength * parameters.bounce_probability
    return leverage * parameters.further_support_factor if levels.backed else leverage


def risk_reward_ratio(levels: Levels, parameters: LeverageParameters) -> Decimal | None:
    if levels.risk is None or levels.reward is None:
        return None
    beyond = levels.next_reward
    if beyond is None:
        beyond = levels.reward * parameters.next_target_factor
    profit = max(
        parameters.least_profit,
        levels.reward * (1 - levels.target_strength) + beyond * parameters.breakout_probability,
    )
    return max(parameters.least_ratio, min(profit / levels.risk, parameters.most_ratio))


def stepped(ratio: Decimal | None, parameters: LeverageParameters) -> Decimal | None:
    if ratio is None:
        return None
    return next(step.leverage for step in parameters.risk_reward_steps if ratio >= step.ratio)


def confidence_leverage(
    confidence: Decimal | None, parameters: LeverageParameters
) -> Decimal | None:
    if confidence is None:
        return None
    sure = max(ZERO, confidence - parameters.confidence_zero)
    return sure * parameters.leverage_per_confidence


def btc_leverage(correlation: Decimal | None, parameters: LeverageParameters) -> Decimal | None:
    if correlation is None:
        return None
    tied = abs(correlation)
    if tied <= parameters.btc_threshold:
        return parameters.constraint_ceiling
    return 1 / (tied * parameters.btc_move)


def volatility_leverage(
    volatility_pct: Decimal | None, parameters: LeverageParameters
) -> Decimal | None:
    if volatility_pct is None:
        return None
    swing = volatility_pct * parameters.volatility_multiple
    # Compared before dividing: a series that stands still has no quotient.
    if swing * parameters.constraint_ceiling <= HUNDRED:
        return parameters.constraint_ceiling
    return HUNDRED / swing
