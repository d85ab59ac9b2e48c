"""How much leverage a setup bears, by a declared formula with its parameters as data.

Each *constraint* is the most leverage that one circumstance allows. The tightest rules; trend and
strategy scale it, a safety margin is taken off, and the result is held between a floor and a
ceiling. Every figure on the way is kept, so that a person can follow it with a pencil.
"""

from apps.analysis.domain.leverage.engine import (
    CONSTRAINTS,
    FORMULA,
    Breakdown,
    LeverageUndefined,
    break_down,
)
from apps.analysis.domain.leverage.parameters import (
    LeverageParameters,
    ParametersRefused,
    Trend,
)
from apps.analysis.domain.leverage.setup import Setup, SetupRefused

__all__ = [
    "CONSTRAINTS",
    "FORMULA",
    "Breakdown",
    "LeverageParameters",
    "LeverageUndefined",
    "ParametersRefused",
    "Setup",
    "SetupRefused",
    "Trend",
    "break_down",
]
