"""What the figures of the league mean, in a sentence each."""

from collections.abc import Mapping
from typing import Final

from apps.shared.quant.performance import Conventions, define, identify

# Column → what it means; of the others their names say enough.
MEANINGS: Final[Mapping[str, str]] = {
    "days": (
        "How long it is known: from its first decision or trade, or the start of the period, to "
        "now; of a version from its first use to its last."
    ),
    "net_return": (
        "Return: 100 × (net P&L − model cost) / equity at the start of the period; of a version "
        "the initial balance."
    ),
    "return_low": (
        "The lower end of the 95 % interval of the return: the 2.5th percentile over 2,000 "
        "resamplings of the closed trades, as many drawn with replacement as there are."
    ),
    "return_high": "The upper end of the 95 % interval of the return: the 97.5th percentile.",
    "rank": (
        "The rank by the lower end of the interval, by what an agent may be trusted to bring; "
        "live and paper apart; none before there is enough to judge by."
    ),
    "rank_low": "The best rank that its return takes in 95 % of the resamplings.",
    "rank_high": "The worst rank that its return takes in 95 % of the resamplings.",
    "verdict": (
        "Gains or loses where the whole interval lies above or below zero, else it could be "
        "chance; too early under a minimum of days or trades; not its own where clearly less than "
        "half of its decisions were accepted."
    ),
    "net_pnl": (
        "Net P&L: Σ (gross − fees) of the trades closed in the period, and the change in value of "
        "open ones. What the models cost is no part of it."
    ),
    "model_cost": "Model cost: what the calls of models in the period cost, as far as it is known.",
    "max_drawdown_percent": (
        "Drawdown: the largest fall of the equity, snapshot by snapshot, in percent of its highest "
        "point since the start of the period."
    ),
    "sharpe_ratio": (
        f"{define(identify('sharpe_ratio', Conventions(365)))} The returns are those of the equity "
        "at the ends of the days (UTC) that are over."
    ),
    "trades": "Trades closed in the period with a known P&L.",
    "unknown_trades": "Trades closed in the period, but nobody has told at what price.",
    "holds": "Decisions to hold, accepted or not.",
    "model_share": "Model-driven: accepted decisions / all decisions, as a fraction.",
    "model_share_low": "The lower end of the 95 % Wilson interval of that share.",
    "model_share_high": "The upper end of the 95 % Wilson interval of that share.",
    "cost_per_decision": "Model cost / decisions, those that were not accepted included.",
    "judged": "Accepted decisions with a direction whose price is known a day later.",
    "hits": "Those of them for which the price had then moved in their direction.",
    "hit_rate": "Hits / judged, as a fraction.",
    "brier": (
        "Brier score: the mean of (confidence − 1 for a hit, 0 else)² over those judged that tell "
        "a confidence; 0 is perfect, 0.25 a coin."
    ),
    "hold_return": (
        "Buy and hold: what one coin has brought since the agent began in the period, in percent, "
        "without fees."
    ),
    "equal_return": (
        "Equal weight: what all coins of the agent, bought for equal parts of the money, have "
        "brought since it began in the period, in percent, without fees."
    ),
}
