"""What each figure of an account means: money booked by closed trades on top of a balance.

These ids have no conventions to vary: one id, one sentence. The basis tells them apart from the
figures of returns and trades of the same name: ``money`` reads in the currency of the account,
``percent`` in percent, ``balance`` measures against the balance the account began with.
"""

from collections.abc import Mapping
from typing import Final

WHOLE: Final[Mapping[str, str]] = {
    "win_rate/net/decided/percent": (
        "Win rate: 100 × winning trades / (winning + losing trades), by net P&L; trades that "
        "broke even do not count."
    ),
    "profit_factor/money": (
        "Profit factor: Σ net P&L of winning trades / |Σ net P&L of losing trades|."
    ),
    "average_win/money": "Average win: the mean net P&L of the winning trades.",
    "average_loss/money": "Average loss: the mean net P&L of the losing trades; negative.",
    "largest_win/money": "Largest win: the highest net P&L of the winning trades.",
    "largest_loss/money": "Largest loss: the lowest net P&L of the losing trades; negative.",
    "net_pnl/booked/money": (
        "Net P&L: the sum of what was booked after fees, parts of trades that are still open "
        "included."
    ),
    "equity/balance/money": "Equity: the initial balance and the net P&L.",
    "total_return/balance/percent": "Total return: 100 × net P&L / initial balance.",
    "max_drawdown/balance/percent": (
        "Maximum drawdown: the deepest fall of the equity from its highest point so far, the "
        "initial balance included, in percent of that point, max over t of "
        "100 × (1 − E(t) / max(E(0) … E(t))); what is booked at one moment is one step."
    ),
    "sharpe_ratio/balance/days/365/ddof1/rf0": (
        "Sharpe ratio: the mean daily return of the equity over its standard deviation, per "
        "year, mean(r) / √(Σ(r − mean)² / (n − 1)) × √365, with no risk-free rate; every day "
        "(UTC) from the first to the last exit counts, one without an exit as zero."
    ),
    "open_trades/count": "Open trades: how many are not closed yet.",
}

TRADES_KEPT = " Of the trades that are kept: older ones are archived, and not in it."
EXITS_KEPT = (
    " Older trades are archived: it begins with the initial balance and what they came to, and is "
    "of the exits that are kept; a high before them is forgotten."
)
# The same where older trades are archived, and their figures with them.
KEPT: Final[Mapping[str, str]] = {
    f"{name}/kept": WHOLE[name] + added
    for added, names in (
        (
            TRADES_KEPT,
            (
                "profit_factor/money",
                "average_win/money",
                "average_loss/money",
                "largest_win/money",
                "largest_loss/money",
            ),
        ),
        (
            EXITS_KEPT,
            ("max_drawdown/balance/percent", "sharpe_ratio/balance/days/365/ddof1/rf0"),
        ),
    )
    for name in names
}
ACCOUNTS: Final[Mapping[str, str]] = {**WHOLE, **KEPT}
