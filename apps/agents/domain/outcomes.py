"""What the outcome of a decision is at birth, and what it says of itself as prices come in.

Every decision is judged, whatever became of it: one that was rejected too, and HOLD as well.
Changes count in the direction taken. Where none is taken (HOLD) or none is known (a close of who
knows what) they are those of buying; selling would have brought the negative (``selling``), and
there is no verdict.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from apps.agents.choices import Action, DecisionStatus, OutcomeStatus, Side
from apps.shared.quant.digits import PRICE_LIMIT
from apps.shared.quant.outcomes import (
    LONG,
    SHORT,
    Claim,
    Excursions,
    Outcome,
    QuoteState,
)

HOUR = timedelta(hours=1)
# The checkpoints: hours after a decision at which its price is taken.
HOURS = (1, 4, 24)
LAST = HOURS[-1]
OPENS = (Action.OPEN_LONG, Action.OPEN_SHORT)

NO_ACTION = "What it decides could not be read."
NO_COIN = "It names no coin."
NO_SYMBOL = "The agent has no symbol for this coin."
NO_ENTRY = "No candle tells the price when it was made."
EMPTY_WINDOW = "No whole candle in the 24 hours after it."
TOO_LARGE = "A change is too large to be kept."


def no_price(hours: int) -> str:
    """Say that the price at a checkpoint is missing for good."""
    return f"No candles {hours} h after it."


class Decided(Protocol):
    """A decision, as far as judging needs it: ``AgentDecision`` and whatever looks like it."""

    id: Any
    agent_id: Any
    timestamp: datetime
    action: str
    coin: str
    symbol: str
    direction: str
    status: str
    confidence: Decimal | None
    entry_price: Decimal | None
    stop_loss_price: Decimal | None
    take_profit_price: Decimal | None
    prompt_version: str


class Birth(NamedTuple):
    """The values of a new outcome. What is not named here is empty."""

    decision_id: Any
    agent_id: Any
    symbol: str
    moment: datetime
    action: str
    direction: str
    confidence: Decimal | None
    is_accepted: bool
    prompt_version: str
    entry_price: Decimal | None
    target: Decimal | None
    stop: Decimal | None
    status: str
    note: str
    due_at: datetime | None


def birth(decision: Decided) -> Birth:
    """Return the outcome that is born with a decision: *open*, or *no_claim* with the reason.

    Only an opening has a target and a stop, and only a price above zero is one: senders write 0
    for none. A confidence outside 0–1, as a rejected decision may carry it, is no probability and
    is left out. The reference for the statement that stores many at once.
    """
    reason = nothing_claimed(decision)
    opening = decision.action in OPENS
    return Birth(
        decision_id=decision.id,
        agent_id=decision.agent_id,
        symbol=decision.symbol,
        moment=decision.timestamp,
        action=decision.action,
        direction=decision.direction,
        confidence=probability(decision.confidence),
        is_accepted=decision.status == DecisionStatus.SUCCESS,
        prompt_version=decision.prompt_version,
        entry_price=price(decision.entry_price),
        target=price(decision.take_profit_price) if opening else None,
        stop=price(decision.stop_loss_price) if opening else None,
        status=OutcomeStatus.NO_CLAIM if reason else OutcomeStatus.OPEN,
        note=reason,
        due_at=None if reason else decision.timestamp,
    )


def nothing_claimed(decision: Decided) -> str:
    """Say why there is nothing to judge; empty where there is."""
    if decision.action not in Action.values:
        return NO_ACTION
    if not decision.coin:
        return NO_COIN
    return "" if decision.symbol else NO_SYMBOL


def probability(value: Decimal | None) -> Decimal | None:
    return value if value is not None and 0 <= value <= 1 else None


def price(value: Decimal | None) -> Decimal | None:
    return value if value is not None and 0 < value < PRICE_LIMIT else None


def claim_of(born: Birth) -> Claim:
    """Return what is judged, as ``shared.quant.outcomes`` takes it; no direction is buying."""
    sign = SHORT if born.direction == Side.SHORT else LONG
    return Claim(born.moment, sign, born.entry_price, born.target, born.stop)


class Standing(NamedTuple):
    """What the outcome of a decision holds once its series is chosen.

    ``next_hours`` is the checkpoint it waits for, ``due_at`` its moment; both empty when settled.
    Changes in percent; excursions, touch, verdict and note only when settled.
    """

    status: str
    next_hours: int | None
    due_at: datetime | None
    entry_price: Decimal | None
    price_1h: Decimal | None
    price_4h: Decimal | None
    price_24h: Decimal | None
    change_1h: Decimal | None
    change_4h: Decimal | None
    change_24h: Decimal | None
    max_gain: Decimal | None
    max_loss: Decimal | None
    first_touch: str
    first_touch_at: datetime | None
    is_hit: bool | None
    note: str


def standing(judged: Outcome, *, moment: datetime, direction: str) -> Standing:
    """Read the columns of an outcome out of what ``shared.quant.outcomes.judge`` says.

    ``judged`` is of the checkpoints ``HOURS``. A hit is a change above zero after 24 hours, as it
    is kept (8 places): what did not move is no hit. Undecided (``None``) without a direction,
    and where the price at its own time or a day later is missing. The reference for the set-based
    judging.
    """
    waits = [h for h in HOURS if judged.quotes[h].state == QuoteState.WAITS]
    after = waits[0] if waits else None
    settled = after is None
    past = [h for h in HOURS if after is None or h < after]
    price_1h, price_4h, price_24h = (judged.quotes[h].price if h in past else None for h in HOURS)
    change_1h, change_4h, change_24h = (judged.changes.get(h) if h in past else None for h in HOURS)
    gain, loss = judged.excursions if settled else Excursions(None, None)
    touch = judged.touch if settled else None
    return Standing(
        status=OutcomeStatus.SETTLED if settled else OutcomeStatus.OPEN,
        next_hours=after,
        due_at=None if after is None else moment + after * HOUR,
        entry_price=judged.entry,
        price_1h=price_1h,
        price_4h=price_4h,
        price_24h=price_24h,
        change_1h=change_1h,
        change_4h=change_4h,
        change_24h=change_24h,
        max_gain=gain,
        max_loss=loss,
        first_touch=str(touch.kind) if touch else "",
        first_touch_at=touch.start if touch else None,
        is_hit=None if change_24h is None or not direction else change_24h > 0,
        note=note_of(judged) if settled else "",
    )


def note_of(judged: Outcome) -> str:
    """Say what a settled outcome lacks, and why; empty where it lacks nothing."""
    reasons = [] if judged.entry_state == QuoteState.KNOWN else [NO_ENTRY]
    known = [h for h in HOURS if judged.quotes[h].state == QuoteState.KNOWN]
    reasons += [no_price(h) for h in HOURS if h not in known]
    if not judged.candles:
        reasons.append(EMPTY_WINDOW)
    if judged.entry is not None and (
        any(h not in judged.changes for h in known)
        or (judged.candles and None in judged.excursions)
    ):
        reasons.append(TOO_LARGE)
    return " ".join(reasons)


def selling(change: Decimal | None) -> Decimal | None:
    """Return what selling would have brought where ``change`` is what buying would have.

    The exact negative: a change has at most 20 digits, and zero has no sign.
    """
    return None if change is None else 0 - change
