"""Parameters of strategies in words, as a page tells them."""

from decimal import Decimal
from typing import Any, NamedTuple

from apps.analysis.domain.leverage import LeverageParameters
from apps.analysis.domain.strategies import read_parameters
from apps.analysis.models import StrategyConfiguration
from apps.shared import display
from apps.shared.errors import DomainError


class Sentence(NamedTuple):
    """One parameter: what it is about, what it says, and how that is meant."""

    about: str
    says: str
    meaning: str


def percent(value: Decimal) -> str:
    """Return a fraction as percent with all its digits, and no more."""
    return f"{display.grouped(value * 100)} %"


def parameters_in_words(obj: StrategyConfiguration) -> list[Sentence]:
    """Return what a configuration does; one sentence with the reason when it cannot be run."""
    try:
        read = read_parameters(obj.base_strategy, obj.timeframe, obj.parameters)
    except DomainError as refusal:
        faults = "; ".join(f"{each.pointer} {each.message}" for each in refusal.errors)
        return [Sentence("Cannot be run", faults or refusal.message, "Its parameters are wrong.")]
    reward = read.take_profit / read.stop_loss if read.stop_loss else None
    found = [
        Sentence(
            "Enters",
            f"from a score of {display.grouped(read.confidence_threshold)} on",
            "The score of the base strategy lies between 0 and 1; it must reach this at the close"
            " of a bar between support and resistance. Entered at the open of the next bar.",
        ),
        Sentence(
            "Stop",
            f"{percent(read.stop_loss)} away",
            "Of the entry price, without leverage. Asked before the target where one bar touches"
            " both.",
        ),
        Sentence(
            "Target",
            f"{percent(read.take_profit)} away"
            + (f", {reward:.2f} times as far as the stop" if reward is not None else ""),
            "Of the entry price, without leverage.",
        ),
        Sentence(
            "Leverage",
            f"up to {display.grouped(read.max_leverage)}×,"
            f" scaled by {display.grouped(read.risk_multiplier)}",
            "What the leverage formula allows is multiplied by the second and never exceeds the"
            " first.",
        ),
    ]
    if read.min_risk_reward:
        found.append(
            Sentence(
                "Asks for",
                f"resistance {display.grouped(read.min_risk_reward)} times as far as support",
                "Otherwise no trade is entered.",
            )
        )
    return [
        *found,
        Sentence(
            "Stays in",
            f"at most {read.max_bars:,} bars of {obj.timeframe}"
            if read.max_bars is not None
            else "until stop, target or the end of data",
            "Then it leaves at the close.",
        ),
        Sentence(
            "Puts up",
            f"{percent(read.stake)} of the equity per trade",
            "As margin; what the trade moves is that times its leverage.",
        ),
        Sentence(
            "Pays",
            f"{percent(read.fee_rate)} per side",
            "Of the leveraged value, at entry and at exit.",
        ),
    ]


def differing_leverage(obj: StrategyConfiguration) -> list[dict[str, Any]]:
    """Return the constants of the leverage formula that a configuration sets otherwise."""
    usual = LeverageParameters().as_mapping()
    try:
        own = LeverageParameters.from_mapping(obj.leverage_parameters).as_mapping()
    except (DomainError, AttributeError):
        return []
    return [
        {"name": name, "usual": usual[name], "own": value}
        for name, value in own.items()
        if value != usual[name]
    ]
