"""What each figure means: ids that carry the conventions, and the sentence behind each id.

An id is the name of the figure and the conventions its formula depends on, in this order,
parted by slashes::

    name [/ basis] [/ periods per year] [/ ddof0 | ddof1] [/ rf<risk-free rate per year>]

    sharpe_ratio/365/ddof1/rf0.02        max_drawdown/compounded        win_rate/net/decided

Two figures with one id were computed alike. A formula that changes takes a new basis.
"""

import re
from decimal import Decimal
from typing import NamedTuple

from apps.shared.quant.performance.accounts import ACCOUNTS
from apps.shared.quant.performance.metric import Conventions, Unit, name_of


class Definition(NamedTuple):
    """One row of the table: the conventions in the id, how values read, and the sentence."""

    conventions: str
    unit: Unit
    sentence: str


RETURNS = {
    "total_return": Definition(
        "compounded",
        Unit.FRACTION,
        "Total return: what one unit became, less that unit, "
        "(1 + r₁) × … × (1 + rₙ) − 1 over all simple returns r.",
    ),
    "annual_return": Definition(
        "compounded/{periods}",
        Unit.FRACTION,
        "Annual return: the compound growth rate per year, "
        "((1 + r₁) × … × (1 + rₙ))^({periods}/n) − 1, with {periods} returns to the year.",
    ),
    "annual_volatility": Definition(
        "{periods}/ddof{ddof}",
        Unit.FRACTION,
        "Annual volatility: the standard deviation of the returns per year, "
        "√(Σ(r − mean)² / {divisor}) × √{periods}, with {periods} returns to the year.",
    ),
    "sharpe_ratio": Definition(
        "{periods}/ddof{ddof}/rf{rate}",
        Unit.RATIO,
        "Sharpe ratio: the mean excess return over the standard deviation of the returns, per "
        "year, mean(r − f) / √(Σ(r − mean)² / {divisor}) × √{periods}, with {risk_free}.",
    ),
    "sortino_ratio": Definition(
        "{periods}/ddof0/rf{rate}",
        Unit.RATIO,
        "Sortino ratio: the mean excess return over the downside deviation, per year, "
        "mean(r − f) / √(Σ min(r − f, 0)² / n) × √{periods}, with {risk_free}; n counts all "
        "returns, not only those below f.",
    ),
    "calmar_ratio": Definition(
        "compounded/{periods}",
        Unit.RATIO,
        "Calmar ratio: the annual return over the size of the maximum drawdown, "
        "(((1 + r₁) × … × (1 + rₙ))^({periods}/n) − 1) / |maximum drawdown|, over the whole "
        "sample, with {periods} returns to the year.",
    ),
    "max_drawdown": Definition(
        "compounded",
        Unit.FRACTION,
        "Maximum drawdown: the deepest fall of the compounded value from its highest point so "
        "far, min over t of V(t) / max(V(0) … V(t)) − 1 with V(0) = 1 and "
        "V(t) = (1 + r₁) × … × (1 + rₜ); zero or negative.",
    ),
    "omega_ratio": Definition(
        "{periods}/rf{rate}",
        Unit.RATIO,
        "Omega ratio: the sum of what returns were above the threshold over the sum of what they "
        "were below, Σ max(r − f, 0) / Σ max(f − r, 0), with {risk_free}.",
    ),
    "value_at_risk_95": Definition(
        "linear",
        Unit.FRACTION,
        "Value at risk, 95 %: the 5th percentile of the returns, at position 0.05 × (n − 1) of "
        "the sorted returns counted from 0, linear between two neighbors; per period, a loss is "
        "negative.",
    ),
    "conditional_value_at_risk_95": Definition(
        "lower",
        Unit.FRACTION,
        "Conditional value at risk, 95 %: the mean of the worst returns, the lowest "
        "⌊0.05 × (n − 1)⌋ + 1 of them; per period, a loss is negative.",
    ),
}

TRADES = {
    "total_trades": Definition("net", Unit.COUNT, "Trades: how many were closed."),
    "winning_trades": Definition(
        "net", Unit.COUNT, "Winning trades: how many had a net return above zero."
    ),
    "losing_trades": Definition(
        "net", Unit.COUNT, "Losing trades: how many had a net return below zero."
    ),
    "breakeven_trades": Definition(
        "net", Unit.COUNT, "Breakeven trades: how many had a net return of exactly zero."
    ),
    "win_rate": Definition(
        "net/decided",
        Unit.FRACTION,
        "Win rate: winning trades / (winning + losing trades), by net return; trades that broke "
        "even do not count.",
    ),
    "profit_factor": Definition(
        "net",
        Unit.RATIO,
        "Profit factor: Σ net returns of winning trades / |Σ net returns of losing trades|.",
    ),
    "expectancy": Definition(
        "net",
        Unit.FRACTION,
        "Expectancy: the mean net return of a trade, Σ net / n, trades that broke even included.",
    ),
    "average_win": Definition(
        "net", Unit.FRACTION, "Average win: the mean net return of the winning trades."
    ),
    "average_loss": Definition(
        "net", Unit.FRACTION, "Average loss: the mean net return of the losing trades; negative."
    ),
    "payoff_ratio": Definition(
        "net", Unit.RATIO, "Payoff ratio: average win / |average loss|, by net return."
    ),
    "best_trade": Definition("net", Unit.FRACTION, "Best trade: the highest net return."),
    "worst_trade": Definition("net", Unit.FRACTION, "Worst trade: the lowest net return."),
    "longest_winning_streak": Definition(
        "net",
        Unit.COUNT,
        "Longest winning streak: the most trades in a row with a net return above zero, in the "
        "order given.",
    ),
    "longest_losing_streak": Definition(
        "net",
        Unit.COUNT,
        "Longest losing streak: the most trades in a row with a net return below zero, in the "
        "order given; a trade that broke even ends it.",
    ),
    "sharpe_per_trade": Definition(
        "net/ddof1",
        Unit.RATIO,
        "Sharpe ratio per trade: the mean net return over its standard deviation, "
        "mean / √(Σ(net − mean)² / (n − 1)); not annualized, without a risk-free rate.",
    ),
}

DEFINITIONS = RETURNS | TRADES

_CARRIED = {
    "periods_per_year": re.compile(r"[0-9]{1,9}"),
    "ddof": re.compile(r"ddof([01])"),
    "risk_free_rate": re.compile(r"rf(-?[0-9]{1,3}(?:\.[0-9]{1,8})?)"),
}


def identify(name: str, conventions: Conventions | None = None) -> str:
    """Return the definition id of a figure under these conventions.

    >>> identify("sharpe_ratio", Conventions(365))
    'sharpe_ratio/365/ddof1/rf0'
    """
    return f"{name}/{DEFINITIONS[name].conventions.format(**_words(conventions))}"


def define(definition: str) -> str:
    """Return the sentence that tells the formula behind a definition id.

    Raises ValueError for an id that no figure of ours has.
    """
    if definition in ACCOUNTS:
        return ACCOUNTS[definition]
    conventions = _read(definition)
    return DEFINITIONS[name_of(definition)].sentence.format(**_words(conventions))


def unit_of(name: str) -> Unit:
    """Return how the values of a figure read; raises ValueError for an unknown name."""
    if name not in DEFINITIONS:
        raise ValueError(f"There is no figure {name!r}.")
    return DEFINITIONS[name].unit


def _read(definition: str) -> Conventions:
    """Return the conventions an id carries, defaults for those it does not depend on."""
    found: dict[str, str] = {}
    for part in definition.split("/")[1:]:
        for field, pattern in _CARRIED.items():
            if match := pattern.fullmatch(part):
                found[field] = match[match.lastindex or 0]
    name = name_of(definition)
    if name in DEFINITIONS:
        conventions = Conventions(
            periods_per_year=int(found.get("periods_per_year", 365)),
            risk_free_rate=float(found.get("risk_free_rate", 0)),
            ddof=int(found.get("ddof", 1)),
        )
        # Each meaning has one id: what does not come back as it was is none of ours.
        if identify(name, conventions) == definition:
            return conventions
    raise ValueError(f"There is no definition {definition!r}.")


def _words(conventions: Conventions | None) -> dict[str, str]:
    """Return the words that ids and sentences have gaps for."""
    given = conventions or Conventions()
    rate = plain(given.risk_free_rate)
    periods = str(int(given.periods_per_year))
    return {
        "periods": periods,
        "ddof": str(int(given.ddof)),
        "divisor": "(n − 1)" if given.ddof else "n",
        "rate": rate,
        "risk_free": (
            f"f = (1 {'+' if given.risk_free_rate > 0 else '−'} {rate.lstrip('-')})^(1/{periods})"
            f" − 1, a risk-free rate of {plain(given.risk_free_rate, 2)} % a year"
            if given.risk_free_rate
            else "f = 0, no risk-free rate"
        ),
    }


def plain(value: float, shift: int = 0) -> str:
    """Return the shortest decimal that reads back as the float, times ten to the shift.

    >>> plain(0.025), plain(0.025, 2), plain(0.0)
    ('0.025', '2.5', '0')
    """
    return f"{(Decimal(repr(float(value) + 0.0)).scaleb(shift)).normalize():f}"
