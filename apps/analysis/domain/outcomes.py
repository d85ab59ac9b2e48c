"""What the outcome of a prediction or signal is at birth, and what it says of itself at the end."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from apps.analysis.choices import Direction, OutcomeStatus
from apps.analysis.domain.claims import (
    UP,
    direction_of_prediction,
    direction_of_signal,
    horizon,
    towards,
)
from apps.shared.quant.outcomes import Outcome, QuoteState

HOUR = timedelta(hours=1)

NO_SIDE = "The signal advises neither to buy nor to sell."
SAME_PRICE = towards(Decimal(1), Decimal(1)).reason
NO_ENTRY = "No candle tells the price when it was made."
NO_PRICE = "No candles at the end of its horizon."
EMPTY_WINDOW = "No whole candle between its time and its horizon."
TOO_LARGE = "A change is too large to be kept."


class Claimed(NamedTuple):
    """What is claimed of a price: how it stands at birth, and which way it points.

    ``claimed_price`` is a forecast whose direction follows from the price when it was made; as
    long as that is not known, ``direction`` is empty. ``note`` says why nothing is claimed.
    """

    status: str
    direction: str = ""
    claimed_price: Decimal | None = None
    note: str = ""


def claim_of_prediction(prediction_type: str, value: Decimal, direction: str = "") -> Claimed:
    """Return what a prediction claims; a ``direction`` that is named settles it."""
    if direction:
        return Claimed(OutcomeStatus.OPEN, direction)
    found = direction_of_prediction(prediction_type, value, None)
    if found.sign is not None:
        return Claimed(OutcomeStatus.OPEN, word(found.sign))
    # With a price to compare it with, would it point anywhere?
    if value > 0 and direction_of_prediction(prediction_type, value, value / 2).sign is not None:
        return Claimed(OutcomeStatus.OPEN, claimed_price=value)
    return Claimed(OutcomeStatus.NO_CLAIM, note=found.reason)


def claim_of_signal(signal: str) -> Claimed:
    """Return what a signal claims: buy is long, sell is short, everything else nothing."""
    sign = direction_of_signal(signal)
    if sign is None:
        return Claimed(OutcomeStatus.NO_CLAIM, note=NO_SIDE)
    return Claimed(OutcomeStatus.OPEN, word(sign))


def horizon_hours(named: int | None, *, usual: int) -> int:
    """Return after how many hours a claim is judged; ClaimRefused beyond what is sensible."""
    return horizon(named, usual * HOUR) // HOUR


def word(sign: int) -> str:
    return Direction.LONG if sign == UP else Direction.SHORT


class Verdict(NamedTuple):
    """What a settled outcome holds beside its prices."""

    percentage_change: Decimal | None
    max_gain: Decimal | None
    max_loss: Decimal | None
    is_hit: bool | None
    note: str


def verdict(outcome: Outcome, *, hours: int) -> Verdict:
    """Read the verdict out of what ``shared.quant.outcomes.judge`` says of a settled claim.

    A hit is a change above zero, as it is kept (8 places): what did not move is no hit. Undecided
    (``None``) when the price at its own time or at its horizon is not known. The reference for
    the set-based judging.
    """
    change = outcome.changes.get(hours)
    gain, loss = outcome.excursions
    reasons = []
    if outcome.entry_state != QuoteState.KNOWN:
        reasons.append(NO_ENTRY)
    if outcome.quotes[hours].state != QuoteState.KNOWN:
        reasons.append(NO_PRICE)
    if not outcome.candles:
        reasons.append(EMPTY_WINDOW)
    priced = outcome.entry is not None and outcome.quotes[hours].price is not None
    measured = outcome.entry is not None and outcome.candles
    if (priced and change is None) or (measured and None in (gain, loss)):
        reasons.append(TOO_LARGE)
    hit = None if change is None else change > 0
    return Verdict(change, gain, loss, hit, " ".join(reasons))


def due(moment: datetime, hours: int) -> datetime:
    """Return when a claim is judged."""
    return moment + hours * HOUR
