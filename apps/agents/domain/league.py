"""Where agents stand: what they return net of all costs, how sure that is, and whose doing it is.

The return of a period is what came in (closed trades, net of fees, and the change in value of
open ones) less what the models cost, in percent of the equity at the start of the period. Its
95 % interval comes from resampling the closed trades (``domain.resampling``); what open trades
and models add is taken as it is.

The rank is by the **lower end** of that interval: by what an agent may be trusted to bring, not by
what it happened to bring. One huge win among many losses returns the most and is trusted with
nothing, for two in five resamplings are without it. Beside the rank stands the range of ranks that
the return itself takes in 95 % of the resamplings. Live and paper are ranked apart.

An agent is judged once it has enough days and enough closed trades with a known P&L; before, it is
listed and not ranked. Where most of its decisions were not accepted (the 95 % interval of the
share lies below one half), its trades say little of its model, however they went. With as many
agents as a league has, one in forty that trade by chance alone lies above zero, and one in forty
below.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID
from zlib import crc32

import numpy as np

from apps.agents.choices import Verdict
from apps.agents.domain.resampling import (
    Amounts,
    Range,
    interval_of,
    rank_ranges,
    ranks_of,
    resampled_sums,
)
from apps.shared.quant.digits import RATIO_PLACES
from apps.shared.quant.intervals import Interval, wilson
from apps.shared.quant.money import EXACT, HUNDRED, ZERO, TooLarge, kept
from apps.shared.quant.samples import ratio, rounded

# Currencies in which a dollar counts as one.
DOLLARS: Final = frozenset({"USD", "USDC", "USDT", "DAI", "FDUSD", "TUSD", "PYUSD"})
HALF: Final = Decimal("0.5")

NO_BALANCE = "The equity at the start was zero or less."
OTHER_CURRENCY = "Its account is in {}, what its models cost in US dollars."
RETURN_TOO_LARGE = "The return has more digits than are kept."
NO_DECISION = "There is no decision."
NO_COST = "The cost of no call is known."
SOME_COST = "The cost of {:,} of {:,} calls is not known."
NOTHING_JUDGED = "No accepted decision is judged yet."
NO_CONFIDENCE = "No judged decision says how sure it was."


class Minimum(NamedTuple):
    """From when on there is a verdict."""

    trades: int
    days: int


@dataclass(slots=True, kw_only=True)
class Record:
    """What is known of an agent in a period, or of one version of its prompt.

    ``start`` is the equity at the start of the period. ``nets`` are the P&L, net of fees, of the
    trades closed in it whose outcome is known, ``booked`` is their exact sum; ``unrealized`` is
    what open trades are worth now, less what was open at the start. ``cost`` is in US dollars.
    ``figures`` are columns worked out elsewhere, ``None`` where ``reasons`` says why.
    """

    agent_id: UUID
    period: str
    prompt_version: str = ""
    mode: str
    currency: str
    start: Decimal
    began_at: datetime | None = None
    days: Decimal = ZERO
    nets: Amounts = field(default_factory=lambda: np.empty(0))
    booked: Decimal = ZERO
    unrealized: Decimal = ZERO
    unknown: int = 0
    open: int = 0
    cost: Decimal = ZERO
    calls: int = 0
    calls_with_cost: int = 0
    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    unreadable: int = 0
    holds: int = 0
    judged: int = 0
    hits: int = 0
    brier: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def decisions(self) -> int:
        return self.accepted + self.rejected + self.failed + self.unreadable


@dataclass(slots=True)
class Standing:
    """The columns of a line of the league; what is undefined is ``None``, with its reason.

    ``returns`` are the returns (percent) of the resamplings, of those alone that are ranked.
    """

    record: Record
    values: dict[str, Any]
    reasons: dict[str, str]
    returns: Amounts | None = None


def standing_of(record: Record, *, minimum: Minimum) -> Standing:
    """Return where a record stands, but for its rank.

    Money is exact, percents and shares have 8 places. Raises TooLarge where the P&L of all trades
    together does not fit its column.
    """
    share = wilson(record.accepted, record.decisions)
    too_few = (
        f"{len(record.nets)} trades are closed with a known P&L; a verdict takes {minimum.trades}."
        if len(record.nets) < minimum.trades
        else ""
    )
    returns, no_interval = (None, too_few) if too_few else returns_of(record)
    interval = None if returns is None else interval_of(returns)
    net = kept(EXACT.add(record.booked, record.unrealized), "net_pnl")
    net_return, no_return = return_of(record, net)
    verdict, sentence = (
        too_early(record, minimum)
        or not_its_own(record, share)
        or ((Verdict.TOO_EARLY, too_few) if too_few else by_interval(record, interval, no_interval))
    )
    known_cost = record.calls_with_cost > 0 and record.decisions > 0
    found = Standing(
        record,
        {
            "began_at": record.began_at,
            "days": rounded(record.days),
            "verdict": verdict,
            "verdict_reason": sentence,
            "net_return": net_return,
            "return_low": None if interval is None else decimal_of(interval.low),
            "return_high": None if interval is None else decimal_of(interval.high),
            "net_pnl": net,
            "model_cost": kept(record.cost, "model_cost"),
            "trades": len(record.nets),
            "winning_trades": int((record.nets > 0).sum()),
            "unknown_trades": record.unknown,
            "open_trades": record.open,
            "calls": record.calls,
            "decisions": record.decisions,
            "accepted": record.accepted,
            "rejected": record.rejected,
            "failed": record.failed,
            "unreadable": record.unreadable,
            "holds": record.holds,
            "model_share": ratio(record.accepted, record.decisions),
            "model_share_low": None if share is None else rounded(share.low),
            "model_share_high": None if share is None else rounded(share.high),
            "cost_per_decision": (
                kept(EXACT.divide(record.cost, Decimal(record.decisions)), "cost_per_decision")
                if known_cost
                else None
            ),
            "judged": record.judged,
            "hits": record.hits,
            "hit_rate": ratio(record.hits, record.judged),
            "brier": record.brier,
            **record.figures,
        },
        dict(record.reasons),
        None if verdict == Verdict.TOO_EARLY or record.prompt_version else returns,
    )
    explain(found, no_return=no_return, no_interval=no_interval)
    return found


def explain(found: Standing, *, no_return: str, no_interval: str) -> None:
    """Add why what is empty is empty."""
    record, values, reasons = found.record, found.values, found.reasons
    if values["net_return"] is None:
        reasons["net_return"] = no_return
    if values["return_low"] is None:
        reasons |= dict.fromkeys(("return_low", "return_high"), no_interval)
    if values["model_share"] is None:
        reasons["model_share"] = NO_DECISION
    if record.calls > record.calls_with_cost:
        unknown = record.calls - record.calls_with_cost
        reasons["model_cost"] = SOME_COST.format(unknown, record.calls)
    if values["cost_per_decision"] is None:
        reasons["cost_per_decision"] = NO_COST if record.decisions else NO_DECISION
    if values["hit_rate"] is None:
        reasons["hit_rate"] = NOTHING_JUDGED
    if values["brier"] is None:
        reasons["brier"] = NO_CONFIDENCE if record.judged else NOTHING_JUDGED


def return_of(record: Record, net: Decimal) -> tuple[Decimal | None, str]:
    """Return the net return in percent, or why there is none."""
    if reason := unmeasured(record):
        return None, reason
    gain = EXACT.multiply(EXACT.subtract(net, record.cost), HUNDRED)
    try:
        found = kept(EXACT.divide(gain, record.start), "net_return", places=RATIO_PLACES)
    except TooLarge:
        return None, RETURN_TOO_LARGE
    return found, ""


def unmeasured(record: Record) -> str:
    """Say why a record has no return; empty where it has one."""
    if record.start <= 0:
        return NO_BALANCE
    if record.cost and record.currency.upper() not in DOLLARS:
        return OTHER_CURRENCY.format(record.currency)
    return ""


def returns_of(record: Record) -> tuple[Amounts | None, str]:
    """Return the returns in percent of resamplings of the closed trades, or why there are none.

    The same record gives the same returns: chance starts from the agent, its period and version.
    """
    if reason := unmeasured(record):
        return None, reason
    seed = (record.agent_id.int, crc32(f"{record.period} {record.prompt_version}".encode()))
    fixed = float(EXACT.subtract(record.unrealized, record.cost))
    sums = resampled_sums(record.nets, seed=seed)
    with np.errstate(over="ignore"):
        returns = 100 * ((sums + fixed) / float(record.start))
    # What a column of percents holds, with room to spare.
    if float(np.abs(returns).max()) >= 1e11:
        return None, RETURN_TOO_LARGE
    return returns, ""


def decimal_of(value: float) -> Decimal:
    """Return a percentage as its column keeps it."""
    return rounded(Decimal(repr(value))) + 0  # no minus zero


# --- The verdict: too early by days, not its own, too early by trades, then by the interval --


def too_early(record: Record, minimum: Minimum) -> tuple[Verdict, str] | None:
    """Return the verdict where an agent has too few days, and the sentence that says so."""
    if record.days >= minimum.days:
        return None
    # Cut, not rounded: what is short of the minimum must not read as the minimum.
    known = f"{int(10 * record.days) / 10:.1f} days are known of it"
    return Verdict.TOO_EARLY, f"{known}; a verdict takes {minimum.days}."


def not_its_own(record: Record, share: Interval | None) -> tuple[Verdict, str] | None:
    """Return the verdict where clearly less than half of the decisions were accepted."""
    if share is None or share.high >= HALF:
        return None
    accepted = percents(record.accepted / record.decisions)
    return Verdict.NOT_ITS_OWN, (
        f"{accepted} of {record.decisions:,} decisions were accepted ({percents(share.low)} to "
        f"{percents(share.high)} in 95 %): its trades say little of its model."
    )


def by_interval(record: Record, interval: Range | None, missing: str) -> tuple[Verdict, str]:
    """Return the verdict by the interval of the return; *uncertain* where there is none."""
    if interval is None:
        return Verdict.UNCERTAIN, missing
    between = (
        f"Resampled, its {len(record.nets):,} trades return {interval.low:+.2f} % to "
        f"{interval.high:+.2f} % in 95 %"
    )
    if interval.low > 0:
        return Verdict.BETTER, f"{between}: more than nothing."
    if interval.high < 0:
        return Verdict.WORSE, f"{between}: less than nothing."
    return Verdict.UNCERTAIN, f"{between}: that could be chance."


def percents(share: Decimal | float) -> str:
    return f"{100 * float(share):.0f} %"


# --- The ranks ----------------------------------------------------------------------------


def rank(standings: Sequence[Standing]) -> None:
    """Give ranks to the standings of one period and mode that are ranked; the others have none.

    By the lower end of the interval; of equals each has the best rank. The range always holds
    the rank.
    """
    for each in standings:
        each.values |= {"rank": None, "rank_low": None, "rank_high": None}
    ranked = [each for each in standings if each.returns is not None]
    places = ranks_of([float(each.values["return_low"]) for each in ranked])
    ranges = rank_ranges([each.returns for each in ranked if each.returns is not None])
    for each, place, (best, worst) in zip(ranked, places, ranges, strict=True):
        each.values |= {
            "rank": place,
            "rank_low": min(best, place),
            "rank_high": max(worst, place),
        }
