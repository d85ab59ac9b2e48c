"""Eighteen strategies over a year of 5-minute candles: ours, pandas row by row, vectorbt."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from benchmarks.harness import Case, at_least, timed

NAMES = [
    "backtests of 18 strategies over a year of 5-minute candles, against pandas row by row",
    "backtests of 18 strategies, the exits alone, against itertuples over ready signals",
    "backtests of 18 strategies over a year of 5-minute candles, against vectorbt",
    "backtests of 18 strategies, all of them on the 5-minute candles, against vectorbt",
]
START = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
WIDTH = 300
BARS = 105_120
WIDTHS = {"15m": 900, "30m": 1800, "1h": 3600, "4h": 14_400, "1d": 86_400, "1w": 604_800}
LEVERAGE = 3

# All sides follow the same rules with the same parameters and the same constant leverage, and
# begin with the same columns of 5-minute bars. Ours: coarser bars, indicators, scores, entries,
# trades, daily equity, all figures of trades and of daily returns.


def year() -> Any:
    """Return a seeded random walk with fat tails, a year of 5-minute bars."""
    from apps.analysis.domain.bars import Bars, checked

    chance = np.random.default_rng(5)
    close = 20_000 * np.exp(np.cumsum(0.001 * chance.standard_t(4, BARS)))
    opened = np.append(close[:1], close[:-1])
    high = np.maximum(opened, close) * (1 + np.abs(chance.normal(0, 0.0007, BARS)))
    low = np.minimum(opened, close) * (1 - np.abs(chance.normal(0, 0.0007, BARS)))
    starts = START + WIDTH * np.arange(BARS, dtype=np.int64)
    values = (np.round(column, 2) for column in (opened, high, low, close))
    return checked(Bars(starts, *values, np.round(chance.lognormal(3, 1, BARS), 4), WIDTH))


class Stage:
    """The year, the strategies by timeframe, and what each side makes of them."""

    def __init__(self, *, timed_out: bool = True, fine: bool = False) -> None:
        from apps.analysis.domain import backtest, bars, equity, indicators, strategies
        from apps.shared.quant import performance

        self.bars_of, self.compute = bars.resampled, indicators.compute
        self.scores, self.entries = strategies.scores, strategies.entries
        self.simulate = backtest.simulate
        self.equity, self.performance = equity, performance
        self.year = year()
        self.groups: dict[int, list[tuple[str, Any]]] = {}
        for one in strategies.DEFAULTS:
            parameters = strategies.read_parameters(
                one.base_strategy, one.timeframe, one.parameters
            )
            if not timed_out:
                parameters = replace(parameters, max_bars=None)
            width = WIDTH if fine else WIDTHS[one.timeframe]
            self.groups.setdefault(width, []).append((one.base_strategy, parameters))

    def prepared(self) -> Iterator[tuple[Any, list[tuple[Any, Any, Any]]]]:
        """Yield the bars of each timeframe and per strategy its parameters, entries, scores."""
        for width, strategies in self.groups.items():
            bars = self.bars_of(self.year, width)
            found = self.compute(bars)
            yield (
                bars,
                [
                    (parameters, self.entries(base, found, parameters), self.scores(base, found))
                    for base, parameters in strategies
                ],
            )

    def trades(self, bars: Any, parameters: Any, signals: Any, scores: Any) -> list[Any]:
        leverage = Decimal(LEVERAGE)
        return self.simulate(
            bars, signals, parameters=parameters, leverage_of=lambda _: leverage, scores=scores
        )

    def ours(self) -> list[list[Any]]:
        """Do the whole work; return the trades of each strategy."""
        result = []
        for bars, strategies in self.prepared():
            for parameters, signals, scores in strategies:
                trades = self.trades(bars, parameters, signals, scores)
                self.figures(bars, trades, parameters.stake)
                result.append(trades)
        return result

    def figures(self, bars: Any, trades: list[Any], stake: Decimal) -> list[Any]:
        net = np.array([float(trade.net_pct) / 100 for trade in trades])
        curve = self.equity.equity_curve(
            self.equity.closings(trades, bars),
            stake=stake,
            start=int(bars.start[0]),
            end=int(bars.start[-1]) + bars.width,
        )
        returns = self.equity.daily_returns(curve)
        conventions = self.performance.Conventions()
        found = self.performance.returns_metrics(returns, conventions)
        return [*found, *self.performance.trades_metrics(net)]


# --- Row by row ---------------------------------------------------------------------------


class Recursions:
    """Averages that go from row to row, begun as TA-Lib begins them."""

    def __init__(self) -> None:
        self.closes: list[float] = []
        self.volumes: list[float] = []
        self.gains: list[float] = []
        self.losses: list[float] = []
        self.ranges: list[float] = []
        self.differences: list[float] = []
        self.values: dict[str, float] = {}

    def step(self, name: str, history: list[float], length: int, weight: float) -> float:
        """Return the average after the last value; the first is the mean of ``length``."""
        if len(history) < length:
            return 0.0
        if name not in self.values:
            self.values[name] = sum(history[-length:]) / length
        else:
            self.values[name] += (history[-1] - self.values[name]) * weight
        return self.values[name]

    def row(self, high: float, low: float, close: float, volume: float) -> None:
        before = self.closes[-1] if self.closes else None
        self.closes.append(close)
        self.volumes.append(volume)
        if before is not None:
            self.gains.append(max(0.0, close - before))
            self.losses.append(max(0.0, before - close))
            self.ranges.append(max(high - low, abs(high - before), abs(low - before)))
        self.fast = self.step("fast", self.closes, 20, 2 / 21)
        self.slow = self.step("slow", self.closes, 50, 2 / 51)
        self.usual = self.step("usual", self.volumes, 20, 2 / 21)
        self.atr = self.step("atr", self.ranges, 14, 1 / 14)
        gain = self.step("gain", self.gains, 14, 1 / 14)
        loss = self.step("loss", self.losses, 14, 1 / 14)
        self.rsi = 100 * gain / (gain + loss) if gain + loss else 50.0
        if len(self.closes) >= 26:
            quick = self.step("quick", self.closes, 12, 2 / 13)
            self.differences.append(quick - self.step("late", self.closes, 26, 2 / 27))
            signal = self.step("signal", self.differences, 9, 2 / 10)
            self.histogram = self.differences[-1] - signal


def between(value: float) -> float:
    return min(1.0, max(0.0, value))


def parts_of(frame: Any, at: int, row: Any, known: Recursions) -> dict[str, float]:
    """Return the parts of the score, the levels from slices of the frame."""
    near, far = slice(at - 19, at + 1), slice(at - 59, at + 1)
    support, resistance = frame["low"].iloc[near].min(), frame["high"].iloc[near].max()
    lows = frame["low"].iloc[far]
    lowest, highest = lows.min(), frame["high"].iloc[far].max()
    touched = ((lows - support).abs() <= known.atr / 4).sum()
    momentum = between((known.rsi - 30) / 40) + between(0.5 + known.histogram / known.atr)
    return {
        "support": support,
        "resistance": resistance,
        "trend": between(0.5 + (known.fast - known.slow) / known.atr / 4),
        "momentum": momentum / 2,
        "reversion": between(0.5 - (row.close - known.fast) / known.atr / 4),
        "breakout": (row.close - support) / (resistance - support),
        "volume": between(row.volume / known.usual / 2),
        "room": (highest - row.close) / (highest - lowest),
        "strength": min(1.0, touched / 5),
    }


class Walk:
    """One strategy that is told row after row."""

    def __init__(self, parameters: Any, last: int) -> None:
        self.stop, self.target = float(parameters.stop_loss), float(parameters.take_profit)
        self.fee, self.longest = float(parameters.fee_rate), parameters.max_bars
        self.threshold = float(parameters.confidence_threshold)
        self.last = last
        self.pending = False
        self.entry = 0.0
        self.entry_bar = -1
        self.trades: list[tuple[int, int, float, float]] = []

    def row(self, at: int, row: Any) -> None:
        if self.pending:
            self.entry, self.entry_bar, self.pending = row.open, at, False
        if not self.entry:
            return
        stop = self.entry * (1 - min(self.stop, 1 / LEVERAGE))
        target = self.entry * (1 + self.target)
        price = 0.0
        if row.low <= stop:
            price = min(row.open, stop)
        elif row.high >= target:
            price = max(row.open, target)
        elif at == self.last or (self.longest and at - self.entry_bar + 1 == self.longest):
            price = row.close
        if price:
            part = price / self.entry
            net = (part - 1) * LEVERAGE - self.fee * LEVERAGE * (1 + part)
            self.trades.append((self.entry_bar, at, price, net))
            self.entry = 0.0

    def signal(self, signalled: bool, at: int) -> None:
        self.pending = bool(signalled) and not self.entry and at < self.last


class Rows:
    """The same work over a frame, from row to row; it is spared equity and figures.

    Rows come from ``itertuples``, the faster way; averages are carried along in plain floats and
    only levels are taken from slices of the frame. Indicators are computed once per
    timeframe, as on our side.
    """

    def __init__(self, stage: Stage) -> None:
        import pandas

        from apps.analysis.domain.strategies import WEIGHTS

        self.stage = stage
        self.pandas = pandas
        self.weights = {
            base: {part: float(weight) for part, weight in weights.items()}
            for base, weights in WEIGHTS.items()
        }
        columns = stage.year._asdict()
        columns["start"] = pandas.to_datetime(columns["start"], unit="s", utc=True)
        del columns["width"]
        self.frame = pandas.DataFrame(columns).set_index("start")
        self.ready = [
            (
                pandas.DataFrame({k: v for k, v in bars._asdict().items() if k != "width"}),
                bars,
                strategies,
            )
            for bars, strategies in stage.prepared()
        ]

    def coarser(self, width: int) -> Any:
        """Return whole bars of a width, by pandas' own means."""
        rule = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
        monday = self.pandas.Timestamp(2001, 1, 1, tz="UTC")
        found = self.frame.resample(f"{width}s", origin=monday).agg(rule)
        first = self.frame.index[0]
        last = self.frame.index[-1] + self.pandas.Timedelta(seconds=WIDTH - width)
        return found[(found.index >= first) & (found.index <= last)]

    def whole(self) -> list[list[Any]]:
        """Go through the rows of each timeframe once, with its three strategies."""
        result = []
        for width, strategies in self.stage.groups.items():
            frame = self.coarser(width)
            known = Recursions()
            walks = [(base, Walk(parameters, len(frame) - 1)) for base, parameters in strategies]
            for at, row in enumerate(frame.itertuples()):
                known.row(row.high, row.low, row.close, row.volume)
                parts = parts_of(frame, at, row, known) if at >= 59 else None
                for base, walk in walks:
                    walk.row(at, row)
                    if parts is not None:
                        score = sum(w * parts[part] for part, w in self.weights[base].items())
                        inside = parts["support"] < row.close < parts["resistance"]
                        walk.signal(score >= walk.threshold and inside, at)
            result += [walk.trades for _, walk in walks]
        return result

    def exits(self) -> list[list[Any]]:
        """Go through ready bars with ready signals, once per strategy."""
        result = []
        for frame, _, strategies in self.ready:
            for parameters, signals, _ in strategies:
                walk = Walk(parameters, len(frame) - 1)
                for at, row in enumerate(frame.assign(signal=signals).itertuples()):
                    walk.row(at, row)
                    walk.signal(row.signal, at)
                result.append(walk.trades)
        return result

    def our_exits(self) -> list[list[Any]]:
        return [
            self.stage.trades(bars, *strategy)
            for _, bars, strategies in self.ready
            for strategy in strategies
        ]


def expect_same(ours: list[list[Any]], theirs: list[list[Any]]) -> None:
    """Raise unless both made the same trades, at the same prices, for the same net."""
    for mine, other in zip(ours, theirs, strict=True):
        if [trade[:2] for trade in mine] != [trade[:2] for trade in other]:
            raise RuntimeError(f"{len(mine)} trades here are not the {len(other)} there.")
        for trade, (_, _, price, net) in zip(mine, other, strict=True):
            if not np.allclose(
                [float(trade.exit_price), float(trade.net_pct) / 100], [price, net], atol=1e-8
            ):
                raise RuntimeError(f"{trade} ended at {price} with {net} there.")
    if sum(map(len, ours)) < 100:
        raise RuntimeError("There was hardly anything to do.")


# --- vectorbt -----------------------------------------------------------------------------


class Vectorbt:
    """The same entries through ``Portfolio.from_signals``, all strategies of a width at once.

    Coarser bars, indicators and entries are ours on this side too; trades, equity and figures
    are vectorbt's. Stops are known to it from the bar after an order on: the order is
    placed in the bar of the signal at the next one's open, which makes it the same trade. It
    knows no longest trade, so none is set on either side; a signal in the bar of an exit it
    does not hear, and so enters a little later now and then.
    """

    def __init__(self, stage: Stage) -> None:
        import vectorbt

        self.stage = stage
        self.portfolio = vectorbt.Portfolio

    def run(self) -> int:
        """Return how many trades there were."""
        return sum(self.of_width(bars, strategies) for bars, strategies in self.stage.prepared())

    def of_width(self, bars: Any, strategies: list[Any]) -> int:
        def row(name: str) -> Any:
            return np.array([[float(getattr(one, name)) for one, _, _ in strategies]])

        def column(values: Any) -> Any:
            return values[:, None]

        found = self.portfolio.from_signals(
            column(bars.close),
            entries=np.column_stack([signals for _, signals, _ in strategies]).astype(bool),
            price=column(np.append(bars.open[1:], bars.close[-1])),
            open=column(bars.open),
            high=column(bars.high),
            low=column(bars.low),
            sl_stop=row("stop_loss"),
            tp_stop=row("take_profit"),
            stop_entry_price="fillprice",
            size=LEVERAGE * row("stake"),
            size_type="percent",
            fees=row("fee_rate"),
            freq=f"{bars.width}s",
        )
        found.total_return()
        found.annualized_return()
        found.annualized_volatility()
        found.sharpe_ratio()
        found.sortino_ratio()
        found.calmar_ratio()
        found.omega_ratio()
        found.max_drawdown()
        trades = found.trades
        trades.win_rate()
        trades.profit_factor()
        trades.expectancy()
        trades.returns.max()
        trades.returns.min()
        return int(trades.count().sum())


def expect_alike(ours: list[list[Any]], theirs: int) -> None:
    """Raise when vectorbt did not find about the same number of trades."""
    mine = sum(map(len, ours))
    if abs(mine - theirs) > 0.05 * mine:
        raise RuntimeError(f"{mine} trades here, {theirs} there.")


@contextmanager
def cases() -> Iterator[list[Case]]:
    """Yield the cases; those against vectorbt only where it is installed."""
    sides: dict[str, Any] = {}

    def against_rows() -> None:
        if not sides:
            sides["ours"] = Stage()
            sides["rows"] = Rows(sides["ours"])
        expect_same(sides["ours"].ours(), sides["rows"].exits())

    def against_all_rows() -> None:
        against_rows()
        expect_same(sides["ours"].ours(), sides["rows"].whole())

    def against_vectorbt(*, fine: bool) -> Any:
        def setup() -> None:
            sides["plain"] = Stage(timed_out=False, fine=fine)
            sides["vectorbt"] = Vectorbt(sides["plain"])
            # This also has numba compile what it runs.
            expect_alike(sides["plain"].ours(), sides["vectorbt"].run())

        return setup

    found = [
        Case(
            NAMES[0],
            at_least(100),
            lambda: timed(sides["ours"].ours),
            lambda: timed(sides["rows"].whole),
            setup=against_all_rows,
            runs=2,
        ),
        Case(
            NAMES[1],
            at_least(5),
            lambda: timed(sides["rows"].our_exits),
            lambda: timed(sides["rows"].exits),
            setup=against_rows,
        ),
    ]
    if importlib.util.find_spec("vectorbt"):
        found += [
            Case(
                name,
                at_least(1),
                lambda: timed(sides["plain"].ours),
                lambda: timed(sides["vectorbt"].run),
                setup=against_vectorbt(fine=fine),
            )
            for name, fine in ((NAMES[2], False), (NAMES[3], True))
        ]
    else:
        print("vectorbt is not installed (requirements-bench.txt): its cases are left out.")
    yield found
