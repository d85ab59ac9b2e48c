"""Figures of 1,000 bots with a million trades: ours, one plain sum, quantstats, ORM objects."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np

from benchmarks.bots_rows import CAPITAL, START, fill
from benchmarks.harness import Case, at_least, at_most, connect, timed

NAMES = [
    "figures of 1,000 bots with 1 million trades, against count and sum per bot",
    "figures of 1,000 bots with 1 million trades, against quantstats bot by bot",
    "figures of 1,000 bots with 1 million trades, against objects of the ORM",
]
BOTS, TRADES = 1_000, 1_000_000
NOW = START + timedelta(days=400)
# What would take minutes is done for a part of the bots, and its time counts as often.
QUANTSTATS_SHARE, ORM_SHARE = 20, 50

BASE = """
    SELECT bot_id, count(*), sum(net_pnl) FROM trades
    WHERE status = 'closed' AND partial_exits = 0 GROUP BY bot_id
"""


class Stage:
    """The trades, and each way to their figures."""

    def __init__(self) -> None:
        from apps.bots.models import BotPerformance, Trade
        from apps.bots.services.performance import snapshot_bots

        self.snapshot_bots, self.performance, self.trade = snapshot_bots, BotPerformance, Trade
        self.connection = connect()
        fill(bots=BOTS, trades=TRADES)
        self.bots = [f"bot-{n:04}" for n in range(BOTS)]

    def ours(self) -> None:
        """Store the figures of all bots."""
        if self.snapshot_bots(now=NOW) != BOTS:
            raise RuntimeError("Not every bot has figures.")

    def plain(self) -> None:
        rows = self.connection.execute(BASE).fetchall()
        if sum(row[1] for row in rows) != TRADES:
            raise RuntimeError("Not every trade was counted.")

    # --- quantstats -----------------------------------------------------------------------

    def quantstats(self, bots: list[str]) -> dict[str, dict[str, float]]:
        """Return what quantstats says of the daily returns and of the trades of each bot."""
        import pandas
        from quantstats import stats

        found = {}
        for bot in bots:
            rows = self.connection.execute(
                "SELECT exit_time, net_pnl::float8 FROM trades WHERE bot_id = %s"
                " AND status = 'closed' AND partial_exits = 0 ORDER BY exit_time",
                [bot],
            ).fetchall()
            booked = pandas.DataFrame(rows, columns=["time", "net"]).set_index("time")["net"]
            equity = CAPITAL + booked.resample("D").sum().cumsum()
            returns = equity.pct_change()
            returns.iloc[0] = equity.iloc[0] / CAPITAL - 1
            returns.index = returns.index.tz_localize(None)
            found[bot] = {
                "sharpe_ratio": stats.sharpe(returns, periods=365),
                "max_drawdown": stats.max_drawdown(CAPITAL + booked.cumsum()),
                "total_return": stats.comp(returns),
                "win_rate": stats.win_rate(booked, prepare_returns=False),
                "profit_factor": stats.profit_factor(booked, prepare_returns=False),
                "avg_win": stats.avg_win(booked, prepare_returns=False),
                "avg_loss": stats.avg_loss(booked, prepare_returns=False),
                "largest_win": stats.best(booked, prepare_returns=False),
                "largest_loss": stats.worst(booked, prepare_returns=False),
            }
        return found

    def expect_same(self) -> None:
        """Raise unless quantstats finds what we find: it measures the same thing."""
        self.ours()
        found = self.quantstats(self.bots[:3])
        for row in self.performance.objects.filter(bot_id__in=found):
            theirs = found[row.bot_id]
            mine = [
                row.sharpe_ratio, row.win_rate / 100, row.profit_factor, row.total_return / 100,
                float(row.avg_win), float(row.avg_loss), float(row.largest_win),
            ]  # fmt: skip
            names = [
                "sharpe_ratio", "win_rate", "profit_factor", "total_return",
                "avg_win", "avg_loss", "largest_win",
            ]  # fmt: skip
            if not np.allclose(mine, [theirs[name] for name in names]):
                raise RuntimeError(f"{dict(zip(names, mine, strict=True))} is not {theirs}.")

    # --- The ORM --------------------------------------------------------------------------

    def objects(self, bots: list[str]) -> dict[str, Any]:
        """Return the figures of each bot, from one object per trade."""
        found = {}
        for bot in bots:
            equity = peak = float(CAPITAL)
            fall, wins, losses, days = 0.0, [], [], {}
            trades = self.trade.objects.filter(bot_id=bot).leaves().order_by("exit_time")
            for trade in trades:
                net = float(trade.net_pnl)
                equity += net
                peak = max(peak, equity)
                fall = max(fall, 1 - equity / peak)
                days[trade.exit_time.date()] = equity
                (wins if net > 0 else losses).append(trade.net_pnl)
            closes = np.array([CAPITAL, *days.values()])
            returns = np.diff(closes) / closes[:-1]
            found[bot] = {
                "sharpe_ratio": returns.mean() / returns.std(ddof=1) * np.sqrt(365),
                "max_drawdown": fall,
                "win_rate": len(wins) / (len(wins) + len(losses)),
                "profit_factor": sum(wins) / -sum(losses),
                "largest": (max(wins), min(losses)),
                "net_pnl": sum(wins) + sum(losses),
            }
        return found


@contextmanager
def cases() -> Iterator[list[Case]]:
    """Yield the cases; those against quantstats only where it is installed."""
    stage = Stage()

    def ours() -> float:
        return timed(stage.ours)

    found = [Case(NAMES[0], at_most(4), ours, lambda: timed(stage.plain), runs=9)]
    if importlib.util.find_spec("quantstats"):
        some = stage.bots[::QUANTSTATS_SHARE]
        found.append(
            Case(
                NAMES[1],
                at_least(3),
                ours,
                lambda: QUANTSTATS_SHARE * timed(lambda: stage.quantstats(some)),
                setup=stage.expect_same,
                runs=3,
            )
        )
    else:
        print("quantstats is not installed (requirements-bench.txt): its case is left out.")
    few = stage.bots[::ORM_SHARE]
    found.append(
        Case(
            NAMES[2],
            at_least(40),
            ours,
            lambda: ORM_SHARE * timed(lambda: stage.objects(few)),
            runs=3,
        )
    )
    yield found
    stage.connection.close()
