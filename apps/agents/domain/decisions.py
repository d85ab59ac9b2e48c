"""What a decision must hold, and every rule that it breaks, by name and in a sentence."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, NamedTuple, Protocol

from apps.agents.choices import Action, Side
from apps.agents.domain.numbers import EXACT, cut, is_whole, number, shown, shown_fraction

SHORTEST_REASONING: Final = 10
LEAST_LEVERAGE, MOST_LEVERAGE = 1, 50
ZERO: Final = Decimal(0)

# Names, made once: a class of choices lists them anew each time.
ACTIONS: Final = tuple(Action.values)
OPENINGS: Final[Mapping[str, str]] = {
    Action.OPEN_LONG: Side.LONG.value,
    Action.OPEN_SHORT: Side.SHORT.value,
}
OPPOSITE: Final[Mapping[str, str]] = {
    Side.LONG: Side.SHORT.value,
    Side.SHORT: Side.LONG.value,
}


class Rule(StrEnum):
    """What a decision may break, in the order in which it is named."""

    UNKNOWN_ACTION = "unknown_action"
    UNKNOWN_COIN = "unknown_coin"
    REPEATED_COIN = "repeated_coin"
    REASONING_TOO_SHORT = "reasoning_too_short"
    CONFIDENCE_OUT_OF_RANGE = "confidence_out_of_range"
    CONFIDENCE_BELOW_MINIMUM = "confidence_below_minimum"
    AGENT_NOT_ACTIVE = "agent_not_active"
    POSITION_ALREADY_OPEN = "position_already_open"
    NO_POSITION_TO_CLOSE = "no_position_to_close"
    LEVERAGE_OUT_OF_RANGE = "leverage_out_of_range"
    LEVERAGE_ABOVE_AGENT = "leverage_above_agent"
    SIZE_NOT_POSITIVE = "size_not_positive"
    SIZE_NOT_ZERO = "size_not_zero"
    SIZE_ABOVE_ACCOUNT = "size_above_account"
    SIZE_ABOVE_POSITION_LIMIT = "size_above_position_limit"
    MARGIN_ABOVE_WITHDRAWABLE = "margin_above_withdrawable"
    STOP_MISSING = "stop_missing"
    TARGET_MISSING = "target_missing"
    STOP_ON_WRONG_SIDE = "stop_on_wrong_side"
    TARGET_ON_WRONG_SIDE = "target_on_wrong_side"
    STOP_BEYOND_TARGET = "stop_beyond_target"


class Violation(NamedTuple):
    """One rule that a decision breaks; the message is a sentence with the numbers in it."""

    rule: str
    message: str


class Proposal(Protocol):
    """What is judged of a decision. Its numbers may be anything, or nothing."""

    @property
    def action(self) -> str: ...
    @property
    def coin(self) -> str: ...
    @property
    def size_usd(self) -> Decimal | None: ...
    @property
    def leverage(self) -> Decimal | None: ...
    @property
    def stop_loss_price(self) -> Decimal | None: ...
    @property
    def take_profit_price(self) -> Decimal | None: ...
    @property
    def confidence(self) -> Decimal | None: ...
    @property
    def reasoning(self) -> str: ...


class Limits(NamedTuple):
    """What an agent may do. ``max_position_size`` is in percent of the account's value."""

    coins: Collection[str]
    max_leverage: int
    max_position_size: Decimal
    min_confidence: Decimal | None = None
    is_active: bool = True


class Account(Protocol):
    """What an agent has to work with; None is not known, and then nothing is measured by it."""

    @property
    def value(self) -> Decimal | None: ...
    @property
    def withdrawable(self) -> Decimal | None: ...


def direction_of(action: str, coin: str, held: Mapping[str, str]) -> str:
    """Return the direction a decision bets on: "long", "short", or "" where it bets on none.

    Opening bets on its own side; closing bets against what is held (coin → side).
    """
    if action == Action.CLOSE_POSITION:
        return OPPOSITE.get(held.get(coin, ""), "")
    return OPENINGS.get(action, "")


def check(
    proposal: Proposal,
    *,
    agent: Limits,
    account: Account,
    held: Mapping[str, str],
    entry: Decimal | None,
    seen: Collection[str],
    taken: Fraction = Fraction(0),
) -> list[Violation]:
    """Return every rule that a decision breaks; an empty list accepts it.

    Of every decision: its action is known, and so is its coin (what is ``held`` may be closed in
    any case), no other decision of the cycle was on it (``seen``), its reasoning has at least 10
    characters (white space at the edges does not count), its confidence lies between 0 and 1, its
    leverage is a whole number from 1 to 50. HOLD and CLOSE_POSITION have no size, and only what is
    ``held`` (coin → side) is closed.

    Of an opening: the agent is active, nothing is held in the coin, confidence reaches the
    agent's minimum, leverage keeps to its limit. The size, which is notional, is greater than 0,
    at most the account's value, and at most ``max_position_size`` percent of it; its margin, size
    / leverage, and the margin that accepted openings of the same cycle have ``taken`` are at most
    what is withdrawable. Stop and target are greater than 0; around the ``entry`` they stand as
    stop < entry < target (long) or target < entry < stop (short). Without an entry (None, or not
    above 0) they are held against each other.

    What lies exactly on a limit keeps to it. A number that is missing, NaN or infinite breaks the
    rule that asks for it, and no other is measured by it. Exact for decimals of any size; never
    raises. Source: seed 004 and the checks of the system it describes.
    """
    found: list[Violation] = []
    found += _of_kind(proposal, agent, held, seen)
    found += _of_confidence(proposal, agent)
    found += _of_position(proposal, agent, held)
    found += _of_leverage(proposal, agent)
    found += _of_size(proposal, agent, account, taken)
    if proposal.action in OPENINGS:
        found += _of_prices(proposal, entry)
    return found


def margin_of(proposal: Proposal) -> Fraction | None:
    """Return size / leverage exactly; None unless both are numbers greater than 0."""
    size, leverage = number(proposal.size_usd), number(proposal.leverage)
    if size is None or leverage is None or size <= 0 or leverage <= 0:
        return None
    return Fraction(size) / Fraction(leverage)


@dataclass(slots=True)
class Cycle:
    """The decisions of one cycle of an agent, judged one after the other in their order.

    A decision is measured by what the accepted ones before it have taken of the margin; one on a
    coin that another was on before is repeated, whatever became of the first.
    """

    agent: Limits
    account: Account
    held: Mapping[str, str]
    seen: set[str] = field(default_factory=set)
    opened: list[Proposal] = field(default_factory=list)
    taken: Fraction = Fraction(0)

    def judge(self, proposal: Proposal, *, entry: Decimal | None) -> list[Violation]:
        """Return what the next decision breaks, and remember it."""
        # Most cycles have no second opening that could ask for the margin of the first.
        while self.opened:
            self.taken += margin_of(self.opened.pop()) or 0
        found = check(
            proposal,
            agent=self.agent,
            account=self.account,
            held=self.held,
            entry=entry,
            seen=self.seen,
            taken=self.taken,
        )
        self.note(proposal.coin)
        if not found and proposal.action in OPENINGS:
            self.opened.append(proposal)
        return found

    def note(self, coin: str) -> None:
        """Remember a decision that is not judged, such as one that failed already."""
        if coin:
            self.seen.add(coin)


# --- The rules, by subject ----------------------------------------------------------------


def _of_kind(
    proposal: Proposal, agent: Limits, held: Mapping[str, str], seen: Collection[str]
) -> Iterator[Violation]:
    if proposal.action not in ACTIONS:
        known = ", ".join(ACTIONS)
        yield Violation(
            Rule.UNKNOWN_ACTION, f'"{cut(proposal.action)}" is no action: those are {known}.'
        )
    # What it holds it may close, also when it is no coin of it any more.
    closes_held = proposal.action == Action.CLOSE_POSITION and proposal.coin in held
    if not proposal.coin or not (proposal.coin in agent.coins or closes_held):
        coins = ", ".join(sorted(agent.coins)) or "none"
        yield Violation(
            Rule.UNKNOWN_COIN,
            f'"{cut(proposal.coin)}" is no coin of this agent, which has {coins}.',
        )
    if proposal.coin and proposal.coin in seen:
        yield Violation(
            Rule.REPEATED_COIN,
            f"Another decision of this cycle was on {cut(proposal.coin)} before.",
        )
    written = len((proposal.reasoning or "").strip())
    if written < SHORTEST_REASONING:
        yield Violation(
            Rule.REASONING_TOO_SHORT,
            f"The reasoning has {written} characters; at least {SHORTEST_REASONING} are needed.",
        )


def _of_confidence(proposal: Proposal, agent: Limits) -> Iterator[Violation]:
    confidence = number(proposal.confidence)
    if confidence is None:
        yield Violation(
            Rule.CONFIDENCE_OUT_OF_RANGE, "No confidence is told; it must lie between 0 and 1."
        )
        return
    if not 0 <= confidence <= 1:
        yield Violation(
            Rule.CONFIDENCE_OUT_OF_RANGE,
            f"Confidence {shown(confidence)} does not lie between 0 and 1.",
        )
    least = agent.min_confidence
    if proposal.action in OPENINGS and least is not None and confidence < least:
        yield Violation(
            Rule.CONFIDENCE_BELOW_MINIMUM,
            f"Confidence {shown(confidence)} is below {shown(least)}, the agent's minimum to open.",
        )


def _of_position(proposal: Proposal, agent: Limits, held: Mapping[str, str]) -> Iterator[Violation]:
    if proposal.action in OPENINGS:
        if not agent.is_active:
            yield Violation(
                Rule.AGENT_NOT_ACTIVE, "The agent is not active; only an active one opens."
            )
        if proposal.coin in held:
            side = held[proposal.coin]
            yield Violation(
                Rule.POSITION_ALREADY_OPEN, f"A {side} position in {proposal.coin} is open already."
            )
    elif proposal.action == Action.CLOSE_POSITION and proposal.coin not in held:
        coin = cut(proposal.coin) or "this coin"
        yield Violation(
            Rule.NO_POSITION_TO_CLOSE, f"No position in {coin} is open that could be closed."
        )


def _of_leverage(proposal: Proposal, agent: Limits) -> Iterator[Violation]:
    leverage = number(proposal.leverage)
    between = f"a whole number from {LEAST_LEVERAGE} to {MOST_LEVERAGE}"
    if leverage is None:
        yield Violation(Rule.LEVERAGE_OUT_OF_RANGE, f"No leverage is told; it must be {between}.")
        return
    if not is_whole(leverage) or not LEAST_LEVERAGE <= leverage <= MOST_LEVERAGE:
        yield Violation(Rule.LEVERAGE_OUT_OF_RANGE, f"Leverage {shown(leverage)} is not {between}.")
    if proposal.action in OPENINGS and leverage > agent.max_leverage:
        yield Violation(
            Rule.LEVERAGE_ABOVE_AGENT,
            f"Leverage {shown(leverage)} is above {agent.max_leverage}, the agent's limit.",
        )


def _of_size(
    proposal: Proposal, agent: Limits, account: Account, taken: Fraction
) -> Iterator[Violation]:
    size = number(proposal.size_usd)
    if proposal.action not in OPENINGS:
        told = proposal.size_usd is not None
        if proposal.action in ACTIONS and told and size != 0:
            yield Violation(
                Rule.SIZE_NOT_ZERO,
                f"Size {shown(size)} must be 0, as {proposal.action} opens nothing.",
            )
        return
    if size is None or size <= 0:
        what = "No size is told; it" if size is None else f"Size {shown(size)}"
        yield Violation(Rule.SIZE_NOT_POSITIVE, f"{what} must be greater than 0.")
        return
    value = number(account.value)
    if value is not None:
        if size > value:
            yield Violation(
                Rule.SIZE_ABOVE_ACCOUNT,
                f"Size {shown(size)} is above the account's value, {shown(value)}.",
            )
        percent = agent.max_position_size
        limit = EXACT.multiply(value, percent).scaleb(-2, context=EXACT)
        if size > limit:
            yield Violation(
                Rule.SIZE_ABOVE_POSITION_LIMIT,
                f"Size {shown(size)} is above {shown(limit)}, which is {shown(percent)} % "
                f"of the account's value, {shown(value)}.",
            )
    yield from _of_margin(proposal, account, taken)


def _of_margin(proposal: Proposal, account: Account, taken: Fraction) -> Iterator[Violation]:
    size, leverage = number(proposal.size_usd), number(proposal.leverage)
    withdrawable = number(account.withdrawable)
    if withdrawable is None or size is None or leverage is None or size <= 0 or leverage <= 0:
        return
    # The same without a division, which is many times faster.
    if not taken and size <= EXACT.multiply(withdrawable, leverage):
        return
    margin = Fraction(size) / Fraction(leverage)
    if margin + taken <= Fraction(withdrawable):
        return
    before = f" beside {shown_fraction(taken)} of this cycle" if taken else ""
    yield Violation(
        Rule.MARGIN_ABOVE_WITHDRAWABLE,
        f"Margin {shown_fraction(margin)}{before} is above {shown(withdrawable)}, "
        "which is withdrawable.",
    )


def _of_prices(proposal: Proposal, entry: Decimal | None) -> Iterator[Violation]:
    stop, target = _price(proposal.stop_loss_price), _price(proposal.take_profit_price)
    if stop is None:
        yield Violation(Rule.STOP_MISSING, "An opening needs a stop loss greater than 0.")
    if target is None:
        yield Violation(Rule.TARGET_MISSING, "An opening needs a take profit greater than 0.")
    entry = _price(entry)
    is_long = proposal.action == Action.OPEN_LONG
    side, under, over = ("long", "below", "above") if is_long else ("short", "above", "below")
    if entry is not None:
        if stop is not None and not (stop < entry if is_long else stop > entry):
            yield Violation(
                Rule.STOP_ON_WRONG_SIDE,
                f"Stop {shown(stop)} of a {side} must be {under} the entry, {shown(entry)}.",
            )
        if target is not None and not (target > entry if is_long else target < entry):
            yield Violation(
                Rule.TARGET_ON_WRONG_SIDE,
                f"Target {shown(target)} of a {side} must be {over} the entry, {shown(entry)}.",
            )
    elif stop is not None and target is not None:
        if stop < target if is_long else stop > target:
            return
        yield Violation(
            Rule.STOP_BEYOND_TARGET,
            f"Stop {shown(stop)} of a {side} must be {under} the target, {shown(target)}.",
        )


def _price(value: Any) -> Decimal | None:
    price = number(value)
    return price if price is not None and price > 0 else None
