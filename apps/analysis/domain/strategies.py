"""Strategy configurations: what they may say, the eighteen defaults, and when each enters."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.analysis.domain.bars import exact
from apps.analysis.domain.indicators import Indicators
from apps.market.choices import Granularity
from apps.shared.errors import DomainError, FieldError

# How much each part of the score counts; each row adds up to 1. The strategies' names are those
# of systems whose models were never written: what they mean is defined here and nowhere else.
WEIGHTS: Final[Mapping[str, Mapping[str, Decimal]]] = {
    base: {part: Decimal(weight) for part, weight in weights.items()}
    for base, weights in {
        # Pullbacks in a trend, above a support that held.
        "Conservative_ML": {
            "trend": "0.40",
            "strength": "0.25",
            "reversion": "0.20",
            "room": "0.15",
        },
        # Speed and volume on the way to the highs.
        "Aggressive_ML": {
            "momentum": "0.40",
            "breakout": "0.30",
            "volume": "0.20",
            "trend": "0.10",
        },
        # Some of each.
        "Balanced": {
            "trend": "0.30",
            "momentum": "0.25",
            "strength": "0.15",
            "room": "0.15",
            "volume": "0.15",
        },
        # Averages, oscillators, volume.
        "Traditional": {"trend": "0.50", "momentum": "0.30", "volume": "0.20"},
        # Every part there is.
        "Full_ML": {
            "trend": "0.20",
            "momentum": "0.20",
            "reversion": "0.12",
            "breakout": "0.12",
            "volume": "0.12",
            "room": "0.12",
            "strength": "0.12",
        },
        # The bounce from a support.
        "Custom_ML": {"reversion": "0.40", "strength": "0.30", "room": "0.30"},
    }.items()
}
BASE_STRATEGIES: Final = tuple(WEIGHTS)

CALCULATORS: Final = tuple(
    f"{name}SLTPCalculator"
    for name in ("Conservative", "Aggressive", "Traditional", "ML", "Default", "Custom")
)
# Where parameters by percent leave them out: the least confidence, and stop and target in
# percent by timeframe (15m to 1h are the original's, the others continue them).
LEAST_CONFIDENCE: Final = Decimal("0.5")
STOPS_AND_TARGETS: Final = {
    "1m": ("2", "4"),
    "3m": ("2.5", "5"),
    "5m": ("3", "6.5"),
    "15m": ("3.5", "8"),
    "30m": ("4", "10"),
    "1h": ("5", "12"),
    "2h": ("6", "14"),
    "4h": ("8", "18"),
    "6h": ("9", "20"),
    "12h": ("10", "22"),
    "1d": ("12", "26"),
    "1w": ("15", "32"),
}


class StrategyRefused(DomainError):
    """The parameters of a strategy are not what can be run; every fault is named."""

    code = "invalid_strategy"


@dataclass(frozen=True, slots=True)
class StrategyParameters:
    """What a strategy runs with, whichever vocabulary it was written in.

    ``stop_loss`` and ``take_profit`` are fractions of the entry price, ``fee_rate`` one of the
    leveraged value per side, ``stake`` the share of equity put up as margin per trade.
    ``confidence_threshold`` is the least score, 0 to 1. ``min_risk_reward`` is how many times
    farther away resistance must be than support; 0 asks for nothing. A trade ends after
    ``max_bars`` bars, or, with None, not before stop, target or the end of data.
    ``risk_multiplier`` and ``max_leverage`` are for the leverage engine.
    ``custom_sltp_calculator`` is kept as it was named; stops and targets are the fractions.
    """

    risk_multiplier: Decimal
    confidence_threshold: Decimal
    max_leverage: Decimal
    stop_loss: Decimal
    take_profit: Decimal
    min_risk_reward: Decimal = Decimal(0)
    fee_rate: Decimal = Decimal("0.001")
    stake: Decimal = Decimal("0.1")
    max_bars: int | None = None
    custom_sltp_calculator: str = ""


class DefaultStrategy(NamedTuple):
    """A strategy configuration that every installation begins with; parameters as in JSON."""

    name: str
    base_strategy: str
    timeframe: str
    parameters: dict[str, Any]


# The defaults' own addition: a trade whose levels lie weeks away would say little about its
# entry, and nothing else would be entered meanwhile. In bars: a day of those of 15 minutes.
LONGEST_TRADE: Final = 96

# Per row the risk multiplier, the confidence threshold, the ceiling of the leverage, stop and
# target, as the original had them.
_DEFAULTS: Final = {
    "Conservative_ML": {
        "15m": (0.7, 0.80, 10, 0.05, 0.10),
        "30m": (0.8, 0.75, 12, 0.06, 0.12),
        "1h": (0.9, 0.70, 15, 0.08, 0.15),
        "4h": (1.0, 0.65, 18, 0.10, 0.20),
        "1d": (1.1, 0.60, 20, 0.12, 0.25),
        "1w": (1.2, 0.55, 25, 0.15, 0.30),
    },
    "Aggressive_ML": {
        "15m": (1.3, 0.60, 30, 0.08, 0.25),
        "30m": (1.4, 0.55, 35, 0.10, 0.30),
        "1h": (1.5, 0.50, 40, 0.12, 0.35),
        "4h": (1.6, 0.45, 45, 0.15, 0.40),
        "1d": (1.7, 0.40, 50, 0.18, 0.45),
        "1w": (1.8, 0.35, 55, 0.20, 0.50),
    },
    "Balanced": {
        "15m": (1.0, 0.65, 20, 0.06, 0.15),
        "30m": (1.1, 0.60, 25, 0.08, 0.18),
        "1h": (1.2, 0.55, 30, 0.10, 0.20),
        "4h": (1.3, 0.50, 35, 0.12, 0.25),
        "1d": (1.4, 0.45, 40, 0.15, 0.30),
        "1w": (1.5, 0.40, 45, 0.18, 0.35),
    },
}
_BY_FRACTION: Final = (
    "risk_multiplier",
    "confidence_threshold",
    "max_leverage",
    "stop_loss_threshold",
    "take_profit_threshold",
)
DEFAULTS: Final = [
    DefaultStrategy(
        f"{base} - {timeframe}",
        base,
        timeframe,
        dict(zip(_BY_FRACTION, values, strict=True)) | {"max_bars": LONGEST_TRADE},
    )
    for base, rows in _DEFAULTS.items()
    for timeframe, values in rows.items()
]


# --- When a strategy enters ---------------------------------------------------------------


def scores(base_strategy: str, indicators: Indicators) -> NDArray[np.float64]:
    """Return the strategy's score at the close of each bar, 0 to 1; NaN while warming up.

    The weighted mean of parts of the indicators (``WEIGHTS``); it is a trade's confidence.
    Raises KeyError for a strategy that is not among ``BASE_STRATEGIES``.
    """
    total = np.zeros(indicators.close.size)
    for part, weight in WEIGHTS[base_strategy].items():
        total += float(weight) * getattr(indicators, f"{part}_part")
    # Weights that add up to 1 may add up to a trifle more in binary.
    return np.clip(total, 0.0, 1.0)


def entries(
    base_strategy: str, indicators: Indicators, parameters: StrategyParameters
) -> NDArray[np.int8]:
    """Return +1 where a long trade may be entered at the next bar's open, else 0.

    So it is where the score reaches the threshold, the close lies above support and below
    resistance, and resistance is ``min_risk_reward`` times as far away as support. No strategy
    here goes short: the originals never did.
    """
    close, support, resistance = indicators.close, indicators.support, indicators.resistance
    threshold = float(parameters.confidence_threshold)
    may = scores(base_strategy, indicators) >= threshold
    may &= (support < close) & (close < resistance)
    if parameters.min_risk_reward:
        may &= resistance - close >= float(parameters.min_risk_reward) * (close - support)
    return may.astype(np.int8)


# --- What a configuration may say ---------------------------------------------------------


class _Rule(NamedTuple):
    """The bounds of a number, both allowed."""

    least: str
    most: str
    required: bool = False
    whole: bool = False


_SHARED: Final = {
    "fee_rate": _Rule("0", "0.05"),
    "stake": _Rule("0.0001", "1"),
    "max_bars": _Rule("1", "1000000", whole=True),
}
_FRACTIONS: Final = _SHARED | {
    "risk_multiplier": _Rule("0.1", "5", required=True),
    "confidence_threshold": _Rule("0", "1", required=True),
    "max_leverage": _Rule("1", "500", required=True),
    "stop_loss_threshold": _Rule("0.0001", "0.99", required=True),
    "take_profit_threshold": _Rule("0.0001", "10", required=True),
    "min_risk_reward": _Rule("0.5", "10"),
}
_PERCENTS: Final = _SHARED | {
    "risk_multiplier": _Rule("0.1", "5", required=True),
    "confidence_boost": _Rule("-0.2", "0.2"),
    "leverage_cap": _Rule("1", "500", required=True, whole=True),
    "min_risk_reward": _Rule("0.5", "10", required=True),
    "stop_loss_percent": _Rule("0.5", "20"),
    "take_profit_percent": _Rule("1", "50"),
}
_CALCULATOR: Final = "custom_sltp_calculator"


def read_parameters(
    base_strategy: str, timeframe: str, raw: Mapping[str, Any]
) -> StrategyParameters:
    """Return the parameters of a configuration, written in either vocabulary.

    One speaks in fractions (confidence_threshold, max_leverage, stop_loss_threshold,
    take_profit_threshold, all required), the other in percent (leverage_cap and min_risk_reward
    required; confidence_boost, stop_loss_percent, take_profit_percent,
    custom_sltp_calculator). One key that only the second knows makes it the second. Both require
    risk_multiplier and know fee_rate, stake and max_bars. A boost lowers the
    threshold of 0.5 by as much. Numbers may be texts.

    Raises StrategyRefused, naming all that is unknown, missing or out of range.
    """
    problems: list[FieldError] = []
    if base_strategy not in WEIGHTS:
        problems.append(_one_of("/base_strategy", BASE_STRATEGIES))
    if timeframe not in Granularity.values:
        problems.append(_one_of("/timeframe", tuple(Granularity.values)))
    if not isinstance(raw, Mapping):
        problems.append(FieldError("/parameters", "invalid", "Must be an object."))
        raise _refused(problems)
    by_percent = any(key == _CALCULATOR or key in _PERCENTS.keys() - _FRACTIONS for key in raw)
    rules = _PERCENTS if by_percent else _FRACTIONS
    found: dict[str, Decimal] = {}
    calculator = ""
    for key, value in raw.items():
        if by_percent and key == _CALCULATOR:
            calculator = str(value)
            if value not in CALCULATORS:
                problems.append(_one_of(_pointer(key), CALCULATORS))
        elif key not in rules:
            problems.append(_unknown(key))
        elif isinstance(read := _number(key, value, rules[key]), FieldError):
            problems.append(read)
        elif read is not None:
            found[key] = read
    for key, rule in rules.items():
        if rule.required and key not in raw:
            problems.append(FieldError(_pointer(key), "required", "This value is required."))
    if problems:
        raise _refused(problems)
    shared: dict[str, Any] = {
        key: found[key] for key in ("fee_rate", "stake", "min_risk_reward") if key in found
    }
    if "max_bars" in found:
        shared["max_bars"] = int(found["max_bars"])
    if not by_percent:
        return StrategyParameters(
            risk_multiplier=found["risk_multiplier"],
            confidence_threshold=found["confidence_threshold"],
            max_leverage=found["max_leverage"],
            stop_loss=found["stop_loss_threshold"],
            take_profit=found["take_profit_threshold"],
            **shared,
        )
    stop, target = map(Decimal, STOPS_AND_TARGETS[timeframe])
    return StrategyParameters(
        risk_multiplier=found["risk_multiplier"],
        confidence_threshold=LEAST_CONFIDENCE - found.get("confidence_boost", Decimal(0)),
        max_leverage=found["leverage_cap"],
        stop_loss=found.get("stop_loss_percent", stop) / 100,
        take_profit=found.get("take_profit_percent", target) / 100,
        custom_sltp_calculator=calculator,
        **shared,
    )


def _number(key: str, value: Any, rule: _Rule) -> Decimal | FieldError | None:
    """Return the number, what is wrong with it, or None for an optional one left empty."""
    pointer = _pointer(key)
    if value is None and not rule.required:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise ValueError
        number = exact(value) if isinstance(value, float) else Decimal(value)
        if not number.is_finite():
            raise ValueError
    except (InvalidOperation, ValueError):
        return FieldError(pointer, "invalid", "Must be a number.")
    if not Decimal(rule.least) <= number <= Decimal(rule.most):
        message = f"Must lie between {rule.least} and {rule.most}."
        return FieldError(pointer, "out_of_range", message)
    if rule.whole and number != int(number):
        return FieldError(pointer, "not_whole", "Must be a whole number.")
    return number


def _unknown(key: Any) -> FieldError:
    known = key in _FRACTIONS or key in _PERCENTS
    message = (
        "Cannot stand beside parameters of the other vocabulary."
        if known
        else "There is no such parameter."
    )
    return FieldError(_pointer(key), "mixed" if known else "unknown", message)


def _one_of(pointer: str, allowed: tuple[str, ...]) -> FieldError:
    return FieldError(pointer, "unknown", f"Must be one of {', '.join(allowed)}.")


def _pointer(key: Any) -> str:
    return "/parameters/" + str(key).replace("~", "~0").replace("/", "~1")


def _refused(problems: list[FieldError]) -> StrategyRefused:
    return StrategyRefused("The strategy cannot be run as it is configured.", problems)
