"""The demo's agents: plain rules in place of language models, judged like those.

What an agent answers follows from the demo's candles alone, under names that are fixed: telling
it again adds what has become known since, and nothing twice. Cycle by cycle, so that accounts
and verdicts are those of their time.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from apps.agents.api.rows_agents import AgentRow
from apps.agents.api.rows_calls import CallRow
from apps.agents.api.rows_prices import PriceRow
from apps.agents.api.rows_trades import AgentTradeRow
from apps.agents.choices import Action, AgentMode, DecisionStatus, Side
from apps.agents.models import AgentDecision, AgentTrade, LLMCall, TradingAgent
from apps.agents.services.agents import register_agents
from apps.agents.services.calls import store_calls
from apps.agents.services.judging import judge_decisions
from apps.agents.services.performance import snapshot_agents
from apps.agents.services.prices import store_prices
from apps.agents.services.standings import rank_agents
from apps.agents.services.trade_exits import CloseReport, close_trade
from apps.agents.services.trades import store_trades
from apps.market.choices import Granularity
from apps.market.domain.candles import CandleRow, known_at

NAMES = uuid.UUID("7c0d2a54-91b7-4b8f-8d0e-3f6a2f5f9c21")
SPAN = timedelta(weeks=9)
COINS = {"AAPL": "AAPL", "GOOGL": "GOOGL", "IBM": "IBM", "MSFT": "MSFT"}
LONGEST = 20  # candles that a rule looks back
FEE = Decimal("0.0005")
SIZE, LEVERAGE = Decimal(1_800), 2
STOP, TARGET = Decimal("0.04"), Decimal("0.08")
CENT = Decimal("0.01")
# Words for a token, and how long a token takes: about what models need.
LETTERS_PER_TOKEN, TOKENS_PER_SECOND = 4, 45

Rule = Callable[[Sequence[Decimal], str, datetime], int]


def mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


# --- What stands in place of a model: the closes so far, and which way to go: 1, −1 or 0 ------


def trend(closes: Sequence[Decimal], coin: str, at: datetime) -> int:
    fast, slow = mean(closes[-4:]), mean(closes[-15:])
    return 1 if fast > slow else -1


def reversion(closes: Sequence[Decimal], coin: str, at: datetime) -> int:
    middle = mean(closes[-10:])
    away = (closes[-1] - middle) / middle
    return -1 if away > Decimal("0.02") else 1 if away < Decimal("-0.02") else 0


def breakout(closes: Sequence[Decimal], coin: str, at: datetime) -> int:
    before = closes[-8:-1]
    return 1 if closes[-1] > max(before) else -1 if closes[-1] < min(before) else 0


def coin_toss(closes: Sequence[Decimal], coin: str, at: datetime) -> int:
    """Go any way: the same each time the demo is told."""
    return digest(coin, at.isoformat()) % 3 - 1


def digest(*words: str) -> int:
    return int.from_bytes(hashlib.sha256(" ".join(words).encode()).digest()[:4], "big")


@dataclass(frozen=True, kw_only=True)
class DemoAgent:
    """An agent; of ``mumbles`` answers one can be read (0: all can)."""

    name: str
    model: str
    rule: Rule
    strategy: str
    mode: AgentMode = AgentMode.PAPER
    mumbles: int = 0
    span: timedelta = SPAN
    budget: Decimal | None = None

    @property
    def id(self) -> str:
        return str(uuid.uuid5(NAMES, self.name))


AGENTS = [
    DemoAgent(
        name="Trend Follower",
        model="demo-large",
        rule=trend,
        strategy="Goes along with the mean of four days against that of fifteen.",
        budget=Decimal("0.05"),
    ),
    DemoAgent(
        name="Mean Reverter",
        model="deepseek-chat",
        rule=reversion,
        strategy="Bets on the way back from two percent off the mean of ten days.",
        budget=Decimal("0.50"),
    ),
    DemoAgent(
        name="Momentum Breakout",
        model="demo-small",
        rule=breakout,
        strategy="Buys the highest close of a week, sells the lowest.",
    ),
    DemoAgent(
        name="Coin Toss",
        model="demo-small",
        rule=coin_toss,
        strategy="Tosses a coin: what the others are to be better than.",
    ),
    DemoAgent(
        name="Mumbler",
        model="demo-small",
        rule=trend,
        strategy="Knows what to do, and seldom says it clearly.",
        mumbles=8,
    ),
    DemoAgent(
        name="Newcomer",
        model="demo-large",
        rule=breakout,
        strategy="Came a few days ago.",
        span=timedelta(days=6),
    ),
]
PRICES = [
    ("demo", "deepseek-chat", "0.27", "1.10"),
    ("demo", "demo-large", "3", "15"),
    ("demo", "demo-small", "0.15", "0.60"),
]


@dataclass(frozen=True)
class Cycle:
    """One look at the market: the candles that have just closed, and the closes before."""

    at: datetime
    candles: Mapping[str, CandleRow]
    closes: Mapping[str, Sequence[Decimal]]


def load(tapes: Mapping[str, Sequence[CandleRow]], *, since: datetime, now: datetime) -> str:
    """Tell of all cycles what the candles say; return what was added, as text."""
    if not set(COINS.values()) <= set(tapes):
        return "0 agents, 0 decisions"
    ours = begin(since=since, now=now)
    ids = [uuid.UUID(agent.id) for agent in ours]
    told = set(LLMCall.objects.filter(agent__in=ids).values_list("pk", flat=True))
    before = AgentDecision.objects.count()
    for cycle in cycles(tapes, since=since, now=now):
        calls = [
            call_of(agent, cycle)
            for agent in ours
            if cycle.at >= since - agent.span and call_id(agent, cycle) not in told
        ]
        if calls:
            touch_exits(cycle)
            store_calls(calls, now=cycle.at)
            obey(calls, cycle)
            snapshot_agents(now=cycle.at)
    added = AgentDecision.objects.count() - before
    if added:
        judge_decisions(now=now)
        snapshot_agents(now=now)
        rank_agents(now=now)
    return f"{len(AGENTS)} agents, {added:,} decisions"


def begin(*, since: datetime, now: datetime) -> list[DemoAgent]:
    """Register those who are not known, with what their models cost; return those that are ours.

    What staff have made of an agent or a price since stays as it is, and an agent of somebody
    else that has one of the names is left alone.
    """
    ids = [agent.id for agent in AGENTS]
    known = {str(pk) for pk in TradingAgent.objects.filter(pk__in=ids).values_list("pk", flat=True)}
    new = [agent for agent in AGENTS if agent.id not in known]
    names = [agent.name for agent in new]
    taken = set(TradingAgent.objects.filter(name__in=names).values_list("name", flat=True))
    new = [agent for agent in new if agent.name not in taken]
    if new:
        register_agents([registration(agent) for agent in new], now=now)
        store_prices(prices(since), now=now, replace=False)
    return [agent for agent in AGENTS if agent.id in known or agent in new]


def registration(agent: DemoAgent) -> AgentRow:
    """Return an agent as it registers."""
    return AgentRow(
        id=agent.id,
        name=agent.name,
        llm_model=agent.model,
        provider="demo",
        mode=agent.mode.value,
        initial_balance=Decimal(10_000),
        max_leverage=5,
        coins=COINS,
        daily_budget=agent.budget,
        strategy_description=agent.strategy,
    )


def prices(since: datetime) -> list[PriceRow]:
    """Return what the models cost, from before the first call on."""
    return [
        PriceRow(
            provider=provider,
            model=model,
            valid_from=since - 2 * SPAN,
            input_per_million=Decimal(cost_in),
            output_per_million=Decimal(cost_out),
        )
        for provider, model, cost_in, cost_out in PRICES
    ]


def cycles(
    tapes: Mapping[str, Sequence[CandleRow]], *, since: datetime, now: datetime
) -> Iterable[Cycle]:
    """Yield the looks at the market, one for each day on which all four have closed."""
    by_day: dict[datetime, dict[str, CandleRow]] = {}
    closes: dict[str, list[Decimal]] = {coin: [] for coin in COINS}
    for coin, symbol in COINS.items():
        for row in tapes[symbol]:
            if row.granularity == Granularity.D1:
                by_day.setdefault(known_at(row.timestamp, row.granularity), {})[coin] = row
    for at in sorted(by_day):
        candles = by_day[at]
        for coin, row in candles.items():
            closes[coin].append(row.close)
        ready = len(candles) == len(COINS) and min(map(len, closes.values())) >= LONGEST
        if ready and since - SPAN <= at <= now:
            yield Cycle(at, candles, {coin: found[-LONGEST:] for coin, found in closes.items()})


# --- What an agent asks and is answered ------------------------------------------------------


def call_id(agent: DemoAgent, cycle: Cycle) -> uuid.UUID:
    return uuid.uuid5(NAMES, f"{agent.name} {cycle.at.isoformat()}")


def call_of(agent: DemoAgent, cycle: Cycle) -> CallRow:
    """Return the question of an agent and what its rule answers, as a model would."""
    held = {
        trade.coin: trade.side
        for trade in AgentTrade.objects.open().filter(agent_id=uuid.UUID(agent.id))
    }
    wishes = {coin: wish(agent, cycle, coin, held.get(coin, "")) for coin in COINS}
    prompt = prompt_of(agent, cycle, held)
    answer = answer_of(agent, cycle, wishes)
    if agent.mumbles and digest(agent.name, cycle.at.isoformat()) % agent.mumbles:
        answer = answer[: len(answer) // 8]
    tokens = len(answer) // LETTERS_PER_TOKEN
    return CallRow(
        id=str(call_id(agent, cycle)),
        agent_id=agent.id,
        timestamp=cycle.at,
        cycle=cycle.at.toordinal(),
        prompt_version="v2" if cycle.at.month % 2 else "v1",
        prompt=prompt,
        answer=answer,
        tokens_in=len(prompt) // LETTERS_PER_TOKEN,
        tokens_out=tokens,
        latency_ms=400 + tokens * 1_000 // TOKENS_PER_SECOND,
    )


def wish(agent: DemoAgent, cycle: Cycle, coin: str, held: str) -> dict[str, Any]:
    """Return what an agent wants with a coin, in the words of the system that it comes from."""
    close = cycle.candles[coin].close
    way = agent.rule(cycle.closes[coin], coin, cycle.at)
    against = (held == Side.LONG and way < 0) or (held == Side.SHORT and way > 0)
    signal = "close" if against else "hold" if held or not way else "long" if way > 0 else "short"
    said: dict[str, Any] = {
        "signal": signal,
        "confidence": round(0.55 + digest(coin, cycle.at.isoformat()) % 35 / 100, 2),
        "justification": WORDS[signal].format(coin=coin, close=close),
    }
    if signal in ("long", "short"):
        stop, target = (1 - STOP, 1 + TARGET) if way > 0 else (1 + STOP, 1 - TARGET)
        said |= {
            "risk_usd": float(SIZE / LEVERAGE),
            "leverage": LEVERAGE,
            "stop_loss": float((close * stop).quantize(CENT)),
            "profit_target": float((close * target).quantize(CENT)),
        }
    return said


WORDS = {
    "long": "{coin} closed at {close} and points upward; a long position with a tight stop.",
    "short": "{coin} closed at {close} and points downward; a short position with a tight stop.",
    "close": "{coin} at {close} has turned against what is held: out of it.",
    "hold": "{coin} at {close} gives no reason to change anything.",
}


def prompt_of(agent: DemoAgent, cycle: Cycle, held: Mapping[str, str]) -> str:
    lines = [
        f"You are {agent.name}. {agent.strategy}",
        f"It is {cycle.at:%Y-%m-%d %H:%M} UTC. The last daily closes, oldest first:",
    ]
    for coin, closes in cycle.closes.items():
        lines.append(f"{coin}: {', '.join(str(close) for close in closes)}")
    holds = ", ".join(f"{coin} {side}" for coin, side in held.items())
    lines.append(f"You hold: {holds or 'nothing'}.")
    lines.append("Answer with CHAIN_OF_THOUGHT, a JSON object with one entry per coin.")
    return "\n".join(lines)


def answer_of(agent: DemoAgent, cycle: Cycle, wishes: Mapping[str, Any]) -> str:
    document = json.dumps(wishes, indent=2)
    decided = "\n\n".join(
        f"{coin}\n{said['signal'].upper()}\n{said['confidence']:.0%}"
        for coin, said in wishes.items()
    )
    return (
        f"I have looked at {len(wishes)} markets.\n\nCHAIN_OF_THOUGHT\n{document}\n\n"
        f"TRADING_DECISIONS\n{decided}\n"
    )


# --- What comes of it -------------------------------------------------------------------------


def touch_exits(cycle: Cycle) -> None:
    """Close what a day's highs and lows have taken to its stop or its target, stops first."""
    rows = AgentTrade.objects.open().filter(agent__in=[agent.id for agent in AGENTS])
    for trade in rows.select_related("decision"):
        candle, decision = cycle.candles.get(trade.coin), trade.decision
        if candle is None or decision is None or trade.entry_time == cycle.at:
            continue
        stop, target = decision.stop_loss_price, decision.take_profit_price
        long = trade.side == Side.LONG
        if stop and (candle.low <= stop if long else candle.high >= stop):
            leave(trade, stop, cycle.at, "stop loss")
        elif target and (candle.high >= target if long else candle.low <= target):
            leave(trade, target, cycle.at, "take profit")


def leave(trade: AgentTrade, price: Decimal, at: datetime, reason: str, by: Any = None) -> None:
    report = CloseReport(
        exit_price=price,
        exit_time=at,
        exit_fees=(price * trade.size * FEE).quantize(CENT),
        exit_reason=reason,
        close_decision_id=by,
    )
    close_trade(trade_id=trade.pk, report=report, now=at)


def obey(calls: Sequence[CallRow], cycle: Cycle) -> None:
    """Carry out the decisions that were accepted, at the price of the moment."""
    decided = AgentDecision.objects.filter(
        call__in=[call.id for call in calls], status=DecisionStatus.SUCCESS
    )
    opening = []
    for decision in decided:
        close = cycle.candles[decision.coin].close
        if decision.action in (Action.OPEN_LONG, Action.OPEN_SHORT):
            opening.append(
                AgentTradeRow(
                    id=str(uuid.uuid5(NAMES, f"trade of {decision.pk}")),
                    agent_id=str(decision.agent_id),
                    decision_id=str(decision.pk),
                    entry_price=close,
                    entry_fees=(SIZE * FEE).quantize(CENT),
                )
            )
        elif decision.action == Action.CLOSE_POSITION:
            open_ones = AgentTrade.objects.open().filter(agent_id=decision.agent_id)
            for trade in open_ones.filter(coin=decision.coin):
                leave(trade, close, cycle.at, "decided", decision.pk)
    store_trades(opening, now=cycle.at)
