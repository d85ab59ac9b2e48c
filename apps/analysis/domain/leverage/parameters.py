"""The constants of the leverage formula, as data that a person may edit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from apps.shared.errors import DomainError, FieldError
from apps.shared.quant.digits import RATIO_PLACES, digits_behind

ZERO, ONE, HUNDRED, THOUSAND = Decimal(0), Decimal(1), Decimal(100), Decimal(1000)


class ParametersRefused(DomainError):
    """Parameters that are unknown, no numbers, or impossible; names each."""

    code = "parameters_refused"


class Trend(StrEnum):
    """Where the market is going, from best to worst for a long."""

    STRONG_BULLISH = "strong_bullish"
    BULLISH = "bullish"
    SIDEWAYS = "sideways"
    BEARISH = "bearish"
    STRONG_BEARISH = "strong_bearish"

    @property
    def mirrored(self) -> "Trend":
        """The trend as a short sees it."""
        trends = list(Trend)
        return trends[-1 - trends.index(self)]


class Step(NamedTuple):
    """From this ratio of reward to risk on, this much leverage."""

    ratio: Decimal
    leverage: Decimal


class Span(NamedTuple):
    """What a parameter may be: from ``least`` (unless ``above``, then beyond it) to ``most``."""

    least: Decimal
    most: Decimal
    above: bool = False

    def holds(self, value: Decimal) -> bool:
        """Say whether the value lies inside."""
        return self.least <= value <= self.most and not (self.above and value == self.least)

    def __str__(self) -> str:
        return f"{'above' if self.above else 'at least'} {self.least} and at most {self.most}"


SHARE = Span(ZERO, ONE)
POSITIVE_SHARE = Span(ZERO, ONE, above=True)
LEVERAGE = Span(ZERO, THOUSAND, above=True)
FACTOR = Span(ONE, Decimal(10))
PERCENT = Span(ZERO, Decimal(99))

SPANS = {
    "floor": LEVERAGE,
    "emergency_ceiling": LEVERAGE,
    "constraint_ceiling": LEVERAGE,
    "bounce_probability": SHARE,
    "support_span": POSITIVE_SHARE,
    "support_least_share": POSITIVE_SHARE,
    "further_support_factor": FACTOR,
    "breakout_probability": SHARE,
    "next_target_factor": FACTOR,
    "least_profit": SHARE,
    "least_ratio": Span(ZERO, THOUSAND),
    "most_ratio": Span(ZERO, THOUSAND, above=True),
    "confidence_zero": Span(ZERO, Decimal("0.99")),
    "leverage_per_confidence": LEVERAGE,
    "btc_threshold": SHARE,
    "btc_move": POSITIVE_SHARE,
    "volatility_multiple": Span(ZERO, THOUSAND, above=True),
    "safety_margin_pct": PERCENT,
    "safety_margin_per_volatility": Span(ZERO, HUNDRED),
    "safety_margin_most_pct": PERCENT,
}
MULTIPLIER = Span(ZERO, Decimal(10), above=True)

# Pairs of which the first must not exceed the second.
ORDERED = (
    ("floor", "emergency_ceiling"),
    ("floor", "constraint_ceiling"),
    ("least_ratio", "most_ratio"),
    ("safety_margin_pct", "safety_margin_most_pct"),
)


def default_steps() -> tuple[Step, ...]:
    return (
        Step(Decimal(2), Decimal(10)),
        Step(Decimal(1), Decimal(2)),
        Step(Decimal(0), Decimal(1)),
    )


def default_multipliers() -> dict[Trend, Decimal]:
    return {
        Trend.STRONG_BULLISH: Decimal("1.25"),
        Trend.BULLISH: Decimal("1.1"),
        Trend.SIDEWAYS: Decimal("1"),
        Trend.BEARISH: Decimal("0.75"),
        Trend.STRONG_BEARISH: Decimal("0.5"),
    }


@dataclass(frozen=True, slots=True)
class LeverageParameters:
    """Every constant of the formula; *source* means the predecessor's own value.

    Leverage is a plain factor, shares and distances are fractions, ``…_pct`` is percent. A
    number outside its span (``SPANS``), with more than 8 digits behind the point, or in the
    wrong order raises ParametersRefused.

    - ``floor``, ``emergency_ceiling``: what the result never leaves (source: 1 and 50).
      ``constraint_ceiling``: the most that a single constraint allows (source: 100).
    - ``bounce_probability`` (source: 0.5), ``support_span`` (0.10), ``support_least_share``
      (0.3), ``further_support_factor`` (1.3): the support constraint, all the source's.
    - ``breakout_probability`` (source: 0.3), ``next_target_factor`` (1.5), ``least_profit``
      (0.01), ``least_ratio`` and ``most_ratio`` (0.1, 10), ``risk_reward_steps`` (2 → 10,
      1 → 2, else 1): the risk/reward constraint, all the source's. Steps stand in falling order
      of ratio and the last begins at 0.
    - ``confidence_zero`` (0.5), ``leverage_per_confidence`` (50): ours. The line goes through the
      three pairs by which the source ranks its alerts: 0.7 → 10, 0.8 → 15, 0.9 → 20.
    - ``btc_threshold`` (source: 0.5), ``btc_move`` (0.1875): a move of Bitcoin to be survived.
      The source assumes a fall of 0.15 at a correlation of 0.8, which is 0.1875 at 1.
    - ``volatility_multiple`` (10): ours. So many typical bars in a row must fit before
      liquidation; three deviations of a random walk over eleven bars are 3 √11 ≈ 10.
    - ``trend_multipliers``: ours, for a long; never rising from strong_bullish to strong_bearish.
      1.25 is the source's 1/0.8; its 1/1.3 and, in a marked-down market, 1/1.82 are taken down
      to 0.75 and 0.5.
    - ``safety_margin_pct`` (10), ``safety_margin_per_volatility`` (0.3 percentage points for each
      percent), ``safety_margin_most_pct`` (50): the source's numbers with the sign put right.
    """

    floor: Decimal = ONE
    emergency_ceiling: Decimal = Decimal(50)
    constraint_ceiling: Decimal = HUNDRED
    bounce_probability: Decimal = Decimal("0.5")
    support_span: Decimal = Decimal("0.1")
    support_least_share: Decimal = Decimal("0.3")
    further_support_factor: Decimal = Decimal("1.3")
    breakout_probability: Decimal = Decimal("0.3")
    next_target_factor: Decimal = Decimal("1.5")
    least_profit: Decimal = Decimal("0.01")
    least_ratio: Decimal = Decimal("0.1")
    most_ratio: Decimal = Decimal(10)
    risk_reward_steps: tuple[Step, ...] = field(default_factory=default_steps)
    confidence_zero: Decimal = Decimal("0.5")
    leverage_per_confidence: Decimal = Decimal(50)
    btc_threshold: Decimal = Decimal("0.5")
    btc_move: Decimal = Decimal("0.1875")
    volatility_multiple: Decimal = Decimal(10)
    trend_multipliers: Mapping[Trend, Decimal] = field(default_factory=default_multipliers)
    safety_margin_pct: Decimal = Decimal(10)
    safety_margin_per_volatility: Decimal = Decimal("0.3")
    safety_margin_most_pct: Decimal = Decimal(50)

    def __post_init__(self) -> None:
        errors = [
            error
            for name, span in SPANS.items()
            if (error := outside(f"/{name}", getattr(self, name), span))
        ]
        errors += step_problems(self.risk_reward_steps)
        errors += multiplier_problems(self.trend_multipliers)
        if not errors:
            errors = [
                FieldError(f"/{high}", "out_of_order", f"Must not be less than {low}.")
                for low, high in ORDERED
                if getattr(self, low) > getattr(self, high)
            ]
        if errors:
            raise ParametersRefused("These parameters of the leverage cannot be.", errors)

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> "LeverageParameters":
        """Read what ``as_mapping`` wrote; whatever is left out keeps its default.

        A number may be a string, as written, or a JSON number. Raises ParametersRefused that
        names every unknown key, every text that is no number and every impossible value.
        """
        values: dict[str, Any] = {}
        errors: list[FieldError] = []
        for name, value in raw.items():
            if name == "risk_reward_steps":
                values[name] = read_steps(value, errors)
            elif name == "trend_multipliers":
                values[name] = read_multipliers(value, errors)
            elif name in SPANS:
                values[name] = read_number(f"/{name}", value, errors)
            else:
                errors.append(FieldError(f"/{name}", "unknown", "There is no such parameter."))
        known = {name: value for name, value in values.items() if value is not None}
        try:
            parameters = cls(**known)
        except ParametersRefused as refusal:
            errors += refusal.errors
        if errors:
            raise ParametersRefused("These parameters of the leverage cannot be.", errors)
        return parameters

    def as_mapping(self) -> dict[str, Any]:
        """Return all parameters for JSON: numbers are strings, so no digit is lost."""
        mapping: dict[str, Any] = {
            each.name: str(getattr(self, each.name)) for each in fields(self) if each.name in SPANS
        }
        mapping["risk_reward_steps"] = [
            [str(step.ratio), str(step.leverage)] for step in self.risk_reward_steps
        ]
        mapping["trend_multipliers"] = {
            str(trend): str(self.trend_multipliers[trend]) for trend in Trend
        }
        return mapping


# --- What they must be --------------------------------------------------------------------


def outside(pointer: str, value: Decimal, span: Span) -> FieldError | None:
    """Say what keeps a number from being used, if anything."""
    if not value.is_finite():
        return FieldError(pointer, "not_a_number", "Must be a finite number.")
    if not span.holds(value):
        return FieldError(pointer, "out_of_range", f"Must be {span}.")
    if digits_behind(value) > RATIO_PLACES:
        message = f"Must have at most {RATIO_PLACES} digits behind the point."
        return FieldError(pointer, "too_many_digits", message)
    return None


def step_problems(steps: Sequence[Step]) -> list[FieldError]:
    """Say what is wrong with the steps: never less leverage for a better ratio."""
    pointer = "/risk_reward_steps"
    errors = [
        error
        for index, step in enumerate(steps)
        for place, (value, span) in enumerate(
            ((step.ratio, SPANS["least_ratio"]), (step.leverage, LEVERAGE))
        )
        if (error := outside(f"{pointer}/{index}/{place}", value, span))
    ]
    if errors:
        return errors
    if not steps or steps[-1].ratio != 0:
        return [FieldError(pointer, "incomplete", "The last step must begin at the ratio 0.")]
    if any(
        high.ratio <= low.ratio or high.leverage < low.leverage for high, low in pairwise(steps)
    ):
        message = "Ratios must fall from step to step, and leverage must never rise."
        return [FieldError(pointer, "out_of_order", message)]
    return []


def multiplier_problems(multipliers: Mapping[Trend, Decimal]) -> list[FieldError]:
    """Say what is wrong with the multipliers: a better trend never allows a long less."""
    pointer = "/trend_multipliers"
    missing = [trend for trend in Trend if trend not in multipliers]
    if missing:
        message = f"There is none for {', '.join(missing)}."
        return [FieldError(pointer, "incomplete", message)]
    errors = [
        error
        for trend in Trend
        if (error := outside(f"{pointer}/{trend}", multipliers[trend], MULTIPLIER))
    ]
    if not errors and any(multipliers[a] < multipliers[b] for a, b in pairwise(Trend)):
        message = "Must never rise from strong_bullish to strong_bearish."
        return [FieldError(pointer, "out_of_order", message)]
    return errors


# --- Reading JSON -------------------------------------------------------------------------


def read_number(pointer: str, value: Any, errors: list[FieldError]) -> Decimal | None:
    """Return a number, or None and one error more."""
    if isinstance(value, Decimal | int | float | str) and not isinstance(value, bool):
        try:
            return Decimal(str(value))
        except (InvalidOperation, ValueError):  # a whole number of very many digits, too
            pass
    errors.append(FieldError(pointer, "not_a_number", "Must be a number."))
    return None


def read_steps(value: Any, errors: list[FieldError]) -> tuple[Step, ...] | None:
    """Return the steps from a list of pairs, or None and the errors."""
    pointer = "/risk_reward_steps"
    if not isinstance(value, list | tuple):
        errors.append(FieldError(pointer, "not_a_list", "Must be a list of pairs."))
        return None
    steps = []
    for index, pair in enumerate(value):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            message = "Must be a pair: ratio and leverage."
            errors.append(FieldError(f"{pointer}/{index}", "not_a_pair", message))
            continue
        ratio = read_number(f"{pointer}/{index}/0", pair[0], errors)
        leverage = read_number(f"{pointer}/{index}/1", pair[1], errors)
        if ratio is not None and leverage is not None:
            steps.append(Step(ratio, leverage))
    return tuple(steps) if len(steps) == len(value) else None


def read_multipliers(value: Any, errors: list[FieldError]) -> dict[Trend, Decimal] | None:
    """Return the multipliers, defaults where none is given, or None and the errors."""
    pointer = "/trend_multipliers"
    if not isinstance(value, Mapping):
        errors.append(FieldError(pointer, "not_an_object", "Must be an object."))
        return None
    before = len(errors)
    multipliers = default_multipliers()
    for name, each in value.items():
        if name not in list(Trend):
            message = f"Must be one of {', '.join(Trend)}."
            errors.append(FieldError(f"{pointer}/{name}", "unknown", message))
        elif (number := read_number(f"{pointer}/{name}", each, errors)) is not None:
            multipliers[Trend(name)] = number
    return multipliers if len(errors) == before else None
