"""Simulated trades: every rule by hand, and against a walk from bar to bar in plain Python."""

import random
from collections import Counter
from decimal import Decimal, localcontext

import numpy as np
import pytest

from apps.analysis.domain.backtest import ExitReason, SimulatedTrade, simulate
from apps.analysis.domain.bars import Bars, checked
from apps.analysis.domain.indicators import compute
from apps.analysis.domain.strategies import StrategyParameters, entries, scores
from tests.analysis.series import MONDAY, bars_of, cut, random_bars

FLAT = (100, 101, 99, 100)


def settings(stop="0.05", target="0.1", fee="0", max_bars=None):
    return StrategyParameters(
        risk_multiplier=Decimal(1),
        confidence_threshold=Decimal("0.5"),
        max_leverage=Decimal(50),
        stop_loss=Decimal(stop),
        take_profit=Decimal(target),
        fee_rate=Decimal(fee),
        max_bars=max_bars,
    )


def run(rows, signals, *, leverage="2", confidence=0.75, **parameters):
    """Simulate bars of (open, high, low, close); signals are short for {bar: direction}."""
    column = np.zeros(len(rows), np.int8)
    for at, direction in signals.items():
        column[at] = direction
    return simulate(
        bars_of(*rows),
        column,
        parameters=settings(**parameters),
        leverage_of=lambda _: Decimal(leverage),
        scores=np.full(len(rows), confidence),
    )


class TestEntry:
    def test_is_at_the_open_of_the_bar_after_the_signal(self):
        [trade] = run([FLAT, (102, 103, 101, 103), FLAT, FLAT], {0: 1})
        assert (trade.entry_bar, trade.entry_price) == (1, Decimal(102))
        assert (trade.stop_price, trade.target_price) == (Decimal("96.9"), Decimal("112.2"))
        assert (trade.direction, trade.leverage) == (1, Decimal(2))
        assert trade.confidence == Decimal("0.75")

    def test_a_short_has_its_levels_the_other_way_round(self):
        [trade] = run([FLAT, FLAT], {0: -1})
        assert (trade.stop_price, trade.target_price) == (Decimal(105), Decimal(90))

    def test_there_is_none_after_the_last_bar(self):
        assert run([FLAT, FLAT], {1: 1}) == []

    @pytest.mark.parametrize("rows", [[], [FLAT]])
    def test_there_is_none_without_two_bars(self, rows):
        assert run(rows, dict.fromkeys(range(len(rows)), 1)) == []

    def test_signals_are_not_heard_while_a_position_is_open(self):
        rows = [FLAT, FLAT, FLAT, (100, 111, 100, 110), FLAT, FLAT]
        assert [trade.entry_bar for trade in run(rows, {0: 1, 1: 1, 2: -1})] == [1]

    def test_the_bar_of_the_exit_may_already_signal_the_next(self):
        rows = [FLAT, (100, 111, 100, 110), (110, 111, 109, 110), FLAT]
        trades = run(rows, {0: 1, 1: -1})
        assert [(one.entry_bar, one.exit_bar, one.direction) for one in trades] == [
            (1, 1, 1),
            (2, 3, -1),
        ]

    def test_leverage_is_asked_for_at_the_bar_of_the_signal(self):
        asked = []

        def leverage_of(bar):
            asked.append(bar)
            return Decimal(2)

        rows = [FLAT, FLAT, (100, 111, 100, 110), FLAT, FLAT, FLAT]
        simulate(
            bars_of(*rows),
            np.array([0, 1, 1, 1, 1, 1], np.int8),
            parameters=settings(),
            leverage_of=leverage_of,
            scores=np.full(6, 0.5),
        )
        assert asked == [1, 2]

    def test_a_signal_without_leverage_is_not_followed_and_the_next_counts(self):
        trades = simulate(
            bars_of(*[FLAT] * 5),
            np.array([1, 1, 1, 1, 1], np.int8),
            parameters=settings(),
            leverage_of=lambda bar: Decimal(2) if bar == 2 else None,
            scores=np.full(5, 0.5),
        )
        assert [one.entry_bar for one in trades] == [3]

    @pytest.mark.parametrize("leverage", ["0", "-1", "NaN"])
    def test_refuses_a_leverage_that_is_none(self, leverage):
        with pytest.raises((ValueError, ArithmeticError)):
            run([FLAT, FLAT], {0: 1}, leverage=leverage)

    def test_refuses_columns_of_different_length(self):
        with pytest.raises(ValueError, match="one value per bar"):
            simulate(
                bars_of(FLAT, FLAT),
                np.zeros(3, np.int8),
                parameters=settings(),
                leverage_of=lambda _: Decimal(1),
                scores=np.zeros(2),
            )


class TestExit:
    @pytest.mark.parametrize(
        ("direction", "bar", "price", "reason"),
        [
            # The level itself is a touch; a tick before it is none.
            (1, (100, 101, 95, 97), "95", ExitReason.STOP),
            (1, (100, 101, 95.01, 97), "100", ExitReason.END),
            (1, (100, 110, 99, 100), "110", ExitReason.TARGET),
            (1, (100, 109.99, 99, 100), "100", ExitReason.END),
            (-1, (100, 105, 99, 103), "105", ExitReason.STOP),
            (-1, (100, 104.99, 99, 103), "100", ExitReason.END),
            (-1, (100, 101, 90, 95), "90", ExitReason.TARGET),
            (-1, (100, 101, 90.01, 95), "100", ExitReason.END),
            # Both in one bar: the worse.
            (1, (100, 111, 94, 110), "95", ExitReason.STOP),
            (-1, (100, 106, 89, 90), "105", ExitReason.STOP),
            # Opened beyond a level: the open is all there is.
            (1, (93, 101, 92, 97), "93", ExitReason.STOP),
            (-1, (107, 108, 99, 100), "107", ExitReason.STOP),
            (1, (112, 113, 108, 109), "112", ExitReason.TARGET),
            (-1, (88, 89, 87, 88), "88", ExitReason.TARGET),
            # Opened exactly at one.
            (1, (95, 101, 95, 97), "95", ExitReason.STOP),
            (1, (110, 113, 108, 109), "110", ExitReason.TARGET),
        ],
    )
    def test_is_at_the_level_that_the_bar_touches(self, direction, bar, price, reason):
        [trade] = run([FLAT, FLAT, bar, FLAT], {0: direction})
        assert (trade.exit_price, trade.exit_reason) == (Decimal(price), reason)
        assert trade.exit_bar == (3 if reason == ExitReason.END else 2)

    def test_may_fall_into_the_bar_of_the_entry(self):
        [trade] = run([FLAT, (100, 101, 94, 95), FLAT], {0: 1})
        assert (trade.entry_bar, trade.exit_bar, trade.exit_price) == (1, 1, Decimal(95))

    def test_the_bar_of_the_signal_itself_touches_nothing(self):
        [trade] = run([(100, 150, 50, 100), FLAT, FLAT], {0: 1})
        assert trade.exit_reason == ExitReason.END

    def test_is_at_the_last_close_when_nothing_was_touched(self):
        [trade] = run([FLAT, FLAT, (100, 104, 99, 103)], {0: 1})
        assert (trade.exit_bar, trade.exit_price) == (2, Decimal(103))
        assert trade.gross_pct == 6

    @pytest.mark.parametrize(("bars", "exit_bar"), [(1, 1), (2, 2), (3, 3)])
    def test_is_at_the_close_of_the_longest_a_trade_may_last(self, bars, exit_bar):
        [trade] = run([FLAT] * 5, {0: 1}, max_bars=bars)
        assert (trade.exit_bar, trade.exit_reason) == (exit_bar, ExitReason.TIMEOUT)
        assert trade.exit_price == 100

    def test_the_time_is_not_up_when_the_data_ends_before(self):
        assert run([FLAT] * 3, {0: 1}, max_bars=2)[0].exit_reason == ExitReason.TIMEOUT
        assert run([FLAT] * 3, {0: 1}, max_bars=3)[0].exit_reason == ExitReason.END

    def test_a_level_touched_in_the_last_bar_comes_before_the_time(self):
        [trade] = run([FLAT, FLAT, (100, 111, 99, 100), FLAT], {0: 1}, max_bars=2)
        assert (trade.exit_bar, trade.exit_reason) == (2, ExitReason.TARGET)

    def test_is_found_however_far_away_it_lies(self):
        for length in (1, 127, 128, 129, 383, 384, 385, 20_000):
            rows = [FLAT] * (length + 1) + [(100, 111, 99, 100)] + [FLAT] * 3
            [trade] = run(rows, {0: 1})
            assert (trade.exit_bar, trade.exit_reason) == (length + 1, ExitReason.TARGET)


class TestLiquidation:
    @pytest.mark.parametrize(
        ("direction", "bar", "price"),
        [
            (1, (100, 101, 90, 95), "90"),
            (1, (88, 101, 80, 95), "88"),
            (-1, (100, 110, 99, 100), "110"),
            (-1, (115, 120, 99, 100), "115"),
            # It comes before a target in the same bar, as a stop does.
            (1, (100, 150, 90, 95), "90"),
        ],
    )
    def test_takes_the_whole_margin(self, direction, bar, price):
        [trade] = run(
            [FLAT, FLAT, bar, FLAT], {0: direction}, leverage="10", stop="0.2", target="0.3"
        )
        assert (trade.exit_price, trade.exit_reason) == (Decimal(price), ExitReason.LIQUIDATION)
        assert trade.gross_pct == -100

    def test_does_not_come_before_a_nearer_stop(self):
        [trade] = run([FLAT, FLAT, (100, 101, 80, 95)], {0: 1}, leverage="10")
        assert (trade.exit_price, trade.exit_reason) == (Decimal(95), ExitReason.STOP)
        assert trade.gross_pct == -50

    def test_comes_when_the_open_lies_beyond_it_even_with_a_nearer_stop(self):
        [trade] = run([FLAT, FLAT, (80, 101, 80, 95)], {0: 1}, leverage="10")
        assert (trade.exit_price, trade.exit_reason) == (Decimal(80), ExitReason.LIQUIDATION)
        assert trade.gross_pct == -100

    def test_never_comes_without_borrowing_on_a_long(self):
        [trade] = run(
            [FLAT, FLAT, (1, 101, 0.01, 1)], {0: 1}, leverage="1", stop="0.999", target="9"
        )
        assert trade.exit_reason == ExitReason.STOP
        [trade] = run([FLAT, FLAT, (1, 101, 0.2, 1)], {0: 1}, leverage="0.5", stop="0.999")
        assert trade.exit_reason == ExitReason.END


class TestPercents:
    @pytest.mark.parametrize(
        ("direction", "close", "leverage", "gross", "fees"),
        [
            (1, 104, "1", "4", "0.204"),
            (1, 104, "5", "20", "1.02"),
            (-1, 104, "5", "-20", "1.02"),
            (-1, 96, "2.5", "10", "0.49"),
            (1, 100, "50", "0", "10"),
        ],
    )
    def test_are_of_the_margin_with_fees_on_both_legs(
        self, direction, close, leverage, gross, fees
    ):
        rows = [FLAT, (100, max(100, close), min(100, close), close)]
        [trade] = run(
            rows, {0: direction}, leverage=leverage, fee="0.001", stop="0.5", target="0.5"
        )
        assert (trade.gross_pct, trade.fees_pct) == (Decimal(gross), Decimal(fees))
        assert trade.net_pct == Decimal(gross) - Decimal(fees)
        assert not trade.gross_pct.is_signed() or trade.gross_pct < 0

    def test_have_eight_places(self):
        [trade] = run([(3, 3, 3, 3), (3, 3.1, 3, 3.1)], {0: 1}, fee="0.0007")
        assert trade.gross_pct == Decimal("6.66666667")
        assert trade.fees_pct == Decimal("0.28466667")

    def test_prices_have_eighteen_places(self):
        tiny = (1.2345678901234e-8,) * 4
        [trade] = run([tiny, tiny], {0: 1})
        assert trade.entry_price == Decimal("1.2345678901234e-8")
        assert trade.stop_price == Decimal("0.000000011728394956")
        assert trade.target_price == Decimal("0.000000013580246791")

    @pytest.mark.parametrize("unit", ["1e-15", "1e-9", "1e9", "1e17"])
    def test_do_not_depend_on_the_unit_of_the_price(self, unit):
        rows = [FLAT, FLAT, (100, 104, 99, 103), (103, 111, 103, 110)]
        other = [tuple(float(Decimal(str(value)) * Decimal(unit)) for value in row) for row in rows]
        usual, found = run(rows, {0: 1}, fee="0.001")[0], run(other, {0: 1}, fee="0.001")[0]
        assert found.net_pct == usual.net_pct
        assert found.exit_price == usual.exit_price * Decimal(unit)

    def test_the_precision_of_the_caller_changes_nothing(self):
        rows = [(3, 3, 3, 3), (3, 3.1, 3, 3.1)]
        with localcontext(prec=5):
            found = run(rows, {0: 1})
        assert found == run(rows, {0: 1})


# --- Against a walk from bar to bar -------------------------------------------------------


def walked(bars, signals, confidences, leverages, p):
    """Walk from bar to bar, as one would do by hand; prices are texts made decimals."""
    rows = [
        [Decimal(repr(v)) for v in row]
        for row in zip(*(c.tolist() for c in bars[1:5]), strict=True)
    ]
    trades, position, pending = [], None, None
    for now, (opened, high, low, close) in enumerate(rows):
        if pending is not None:
            d, leverage = signals[pending], leverages[pending]
            position = {
                "bar": now,
                "d": d,
                "entry": opened,
                "stop": round(opened * (1 - d * p.stop_loss), 18),
                "target": round(opened * (1 + d * p.take_profit), 18),
                "ruin": round(opened * (1 - d / leverage), 18),
                "leverage": leverage,
                "confidence": round(Decimal(repr(confidences[pending])), 8),
            }
            pending = None
        if position is not None:
            d = position["d"]
            # Seen from a short everything is upside down.
            worst, best = (low, high) if d > 0 else (-high, -low)
            o, stop, target, ruin = (
                d * v for v in (opened, *(position[k] for k in ("stop", "target", "ruin")))
            )
            out = None
            if worst <= stop or worst <= ruin:
                price = min(o, max(stop, ruin))
                out = (price, "liquidation" if price <= ruin else "stop")
            elif best >= target:
                out = (max(o, target), "target")
            elif p.max_bars is not None and now - position["bar"] + 1 == p.max_bars:
                out = (d * close, "timeout")
            elif now == len(rows) - 1:
                out = (d * close, "end")
            if out is not None:
                price, entry, leverage = abs(out[0]), position["entry"], position["leverage"]
                gross = round(d * (price - entry) / entry * leverage * 100, 8)
                if out[1] == "liquidation":
                    gross = Decimal(-100)
                fees = round(p.fee_rate * leverage * (entry + price) / entry * 100, 8)
                trades.append(
                    SimulatedTrade(
                        position["bar"], now, d, entry, price, position["stop"],
                        position["target"], leverage, ExitReason(out[1]),
                        position["confidence"], gross, fees, gross - fees,
                    )
                )  # fmt: skip
                position = None
        if position is None and signals[now] and leverages[now] is not None and now + 1 < len(rows):
            pending = now
    return trades


def drawn(chance):
    """Return a series in which levels are met exactly, gaps and wild bars are common."""
    size, price, rows = chance.randint(0, 160), 100, []
    wild = chance.choice([1, 3, 10, 30])
    for _ in range(size):
        price = max(5, price + chance.choice([0, 0, chance.randint(-2 * wild, 2 * wild)]))
        close = max(5, price + chance.randint(-wild, wild))
        high = max(price, close) + chance.randint(0, wild)
        low = max(1, min(price, close) - chance.randint(0, wild))
        rows.append((price, high, low, close))
        price = close
    unit = chance.choice([1, 10, 1000, 10**8])
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T / unit
    starts = MONDAY + 300 * np.cumsum([chance.randint(1, 3) for _ in rows], dtype=np.int64)
    return checked(Bars(starts, *columns, np.ones(size), 300))


class TestAgainstAWalk:
    def test_makes_the_same_trades_on_two_thousand_series(self):
        chance = random.Random(2024)
        seen = Counter()
        for number in range(2000):
            bars = drawn(chance)
            size = bars.close.size
            density = chance.choice([0.02, 0.2, 1])
            signals = [
                chance.choice([1, 1, -1]) if chance.random() < density else 0 for _ in range(size)
            ]
            levels = [None, *(Decimal(n) for n in ("1", "1.5", "3", "10", "20", "100"))]
            leverages = [chance.choice(levels) for _ in range(size)]
            confidences = [chance.random() for _ in range(size)]
            parameters = settings(
                stop=chance.choice(["0.01", "0.05", "0.1", "0.5"]),
                target=chance.choice(["0.02", "0.1", "0.25", "2"]),
                fee=chance.choice(["0", "0.001", "0.00075"]),
                max_bars=chance.choice([None, None, 1, 2, 10, 96]),
            )
            found = simulate(
                bars,
                np.array(signals, np.int8),
                parameters=parameters,
                leverage_of=leverages.__getitem__,
                scores=np.array(confidences, dtype=np.float64),
            )
            with localcontext(prec=80):
                wanted = walked(bars, signals, confidences, leverages, parameters)
            assert found == wanted, f"series {number}"
            for before, after in zip([None, *found], found, strict=False):
                seen[after.exit_reason] += 1
                seen["short"] += after.direction < 0
                seen["at once"] += after.entry_bar == after.exit_bar
                seen["again"] += before is not None and before.exit_bar + 1 == after.entry_bar
                low, high = bars.low[after.exit_bar], bars.high[after.exit_bar]
                levels = sorted([after.stop_price, after.target_price])
                seen["both"] += low <= float(levels[0]) and high >= float(levels[1])
                stopped = after.exit_reason in {ExitReason.STOP, ExitReason.LIQUIDATION}
                gapped = stopped and after.exit_bar > after.entry_bar
                seen["gap"] += gapped and float(after.exit_price) == bars.open[after.exit_bar]
        # The series had in them what the rules are about.
        kinds = {*ExitReason, "short", "at once", "again", "both", "gap"}
        assert {kind for kind in kinds if seen[kind] >= 100} == kinds, seen


class TestNoFuture:
    bars = random_bars(260, seed=12, sigma=0.01)

    def trades(self, size):
        bars = cut(self.bars, size)
        found = compute(bars)
        parameters = settings(stop="0.03", target="0.05", fee="0.001", max_bars=40)
        return simulate(
            bars,
            entries("Balanced", found, parameters),
            parameters=parameters,
            leverage_of=lambda bar: Decimal(1 + bar % 7),
            scores=scores("Balanced", found),
        )

    def test_bars_that_come_later_change_no_trade_that_was_over(self):
        whole = self.trades(260)
        assert len(whole) > 10
        for size in range(260):
            found = self.trades(size)
            over = [
                one for one in whole if one.exit_bar < size and one.exit_reason != ExitReason.END
            ]
            still_open = [one for one in found if one.exit_reason == ExitReason.END]
            assert [one for one in found if one.exit_reason != ExitReason.END] == over
            # What is open at the cut was entered as it is in the whole.
            assert found[len(over) :] == still_open
            assert [one[:1] + one[2:4] for one in still_open] == [
                one[:1] + one[2:4] for one in whole if one.entry_bar < size and one not in over
            ]
            assert all(one.exit_bar == size - 1 for one in still_open)

    def test_bars_that_come_later_may_say_what_they_like(self):
        at = 150
        bars = Bars(*(column.copy() for column in self.bars[:6]), self.bars.width)
        for column in bars[1:5]:
            column[at:] *= 7
        parameters = settings(stop="0.03", target="0.05")
        before, after = compute(self.bars), compute(bars)
        for base in ("Balanced", "Aggressive_ML", "Custom_ML"):
            assert (
                entries(base, before, parameters)[:at].tolist()
                == entries(base, after, parameters)[:at].tolist()
            )
