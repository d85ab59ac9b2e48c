"""The figures of a bot's ledger: definitions, what is undefined, what the source got wrong."""

import math
import random
import statistics
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from apps.bots.domain.performance import (
    ALL_EVEN,
    DEFINITIONS,
    NO_BALANCE,
    NO_LOSS,
    NO_TRADE,
    NO_VARIATION,
    NO_WIN,
    NOT_POSITIVE,
    OTHER_CURRENCY,
    OTHER_TYPE,
    RUINED,
    SAME_DAY,
    TOO_LARGE,
    Booked,
    Capital,
    capital_of,
    figures_of,
    sharpe_ratio,
    totals_of,
)
from apps.shared.quant.performance import Conventions, define
from apps.shared.quant.performance import sharpe_ratio as shared_sharpe

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def booked(exits):
    """Return exits (moment, net) as the figures read them."""
    times = [(moment - EPOCH) // timedelta(microseconds=1) for moment, _ in exits]
    return Booked(np.array(times, np.int64), np.array([float(net) for _, net in exits]))


def figures(exits, capital="1000", roots=None):
    """Return the figures of exits given as (days after the first noon, net)."""
    moments = [(NOON + timedelta(days=days), Decimal(net)) for days, net in exits]
    nets = [net for _, net in moments]
    counted = nets if roots is None else [Decimal(net) for net in roots]
    account = Capital(None, NO_BALANCE) if capital is None else Capital(Decimal(capital))
    return figures_of(totals_of(counted, nets), booked(moments), account)


def by_hand(exits, capital):
    """Return the figures of exits (moment, net) by exact fractions, one at a time."""
    exits = sorted(exits)
    nets = [Fraction(net) for _, net in exits]
    wins, losses = [n for n in nets if n > 0], [n for n in nets if n < 0]
    start = equity = peak = Fraction(capital)
    fall = Fraction(0)
    closes: dict[date, Fraction] = {}
    for place, (moment, net) in enumerate(exits):
        equity += Fraction(net)
        closes[moment.date()] = equity
        if place + 1 == len(exits) or exits[place + 1][0] != moment:
            peak = max(peak, equity)
            fall = max(fall, 1 - equity / peak)
    returns, day, before = [], min(closes), start
    while day <= max(closes):
        after = closes.get(day, before)
        returns.append(after / before - 1)
        before, day = after, day + timedelta(days=1)
    deviation = statistics.stdev(returns) if len(returns) > 1 else 0
    return {
        "sharpe_ratio": float(statistics.mean(returns)) / deviation * math.sqrt(365)
        if deviation
        else None,
        "win_rate": 100 * len(wins) / (len(wins) + len(losses)) if wins or losses else None,
        "profit_factor": float(sum(wins) / -sum(losses)) if losses else None,
        "max_drawdown": float(100 * fall),
        "total_return": float(100 * sum(nets) / start),
        "total_trades": len(nets),
        "winning_trades": len(wins),
        "losing_trades": len(losses),
        "avg_win": rounded(sum(wins) / len(wins)) if wins else None,
        "avg_loss": rounded(sum(losses) / len(losses)) if losses else None,
        "largest_win": rounded(max(wins)) if wins else None,
        "largest_loss": rounded(min(losses)) if losses else None,
        "net_pnl": rounded(sum(nets)),
        "equity": rounded(equity),
    }


def rounded(value):
    """Return a fraction rounded half even at 18 places."""
    with localcontext(prec=100):
        return Decimal(round(value * 10**18)).scaleb(-18)


class TestCounts:
    def test_breaking_even_is_neither_won_nor_lost(self):
        found = figures([(0, "10"), (1, "0"), (2, "-5"), (3, "5")]).values

        assert (found["total_trades"], found["winning_trades"], found["losing_trades"]) == (4, 2, 1)
        assert found["win_rate"] == pytest.approx(200 / 3)

    def test_a_round_trip_in_parts_is_one_trade(self):
        found = figures([(0, "10"), (1, "-4"), (2, "-2")], roots=["4"]).values

        assert (found["total_trades"], found["winning_trades"], found["losing_trades"]) == (1, 1, 0)
        assert (found["net_pnl"], found["largest_win"]) == (4, 4)

    def test_what_is_booked_before_a_round_trip_is_over_counts_as_money_alone(self):
        found = figures([(0, "10")], roots=[])

        assert (found.values["total_trades"], found.values["net_pnl"]) == (0, 10)
        assert found.values["equity"] == 1010
        assert found.reasons["win_rate"] == NO_TRADE


class TestMoney:
    def test_is_exact_to_the_last_digit(self):
        small, large = "0.000000000000000001", "99999999999999999999"
        found = figures([(0, large), (1, small), (2, small)], capital=small).values

        assert found["net_pnl"] == Decimal("99999999999999999999.000000000000000002")
        assert found["equity"] == Decimal("99999999999999999999.000000000000000003")

    def test_beyond_the_digits_that_are_kept_is_empty(self):
        found = figures([(0, "99999999999999999999"), (1, "1")], capital="-5")

        assert found.values["net_pnl"] is None
        assert found.reasons["net_pnl"] == TOO_LARGE
        assert found.values["equity"] == Decimal("99999999999999999995")

    def test_means_are_rounded_half_even_at_eighteen_places(self):
        unit = Decimal("0.000000000000000001")
        found = figures([(0, 2 * unit), (1, unit), (2, -unit), (3, -2 * unit)]).values

        assert (found["avg_win"], found["avg_loss"]) == (2 * unit, -2 * unit)

    def test_a_largest_win_is_a_win(self):
        found = figures([(0, "-3"), (1, "-1")])

        assert (found.values["largest_win"], found.values["largest_loss"]) == (None, -3)
        assert found.reasons["largest_win"] == found.reasons["avg_win"] == NO_WIN

    def test_wins_over_losses_are_the_profit_factor(self):
        assert figures([(0, "30"), (1, "-20"), (2, "10")]).values["profit_factor"] == 2
        assert figures([(0, "-20")]).values["profit_factor"] == 0


class TestDrawdown:
    def test_is_the_largest_in_percent_and_not_that_at_the_largest_fall_in_money(self):
        # 1000 → 500 is half; 10,000 → 9,000 is more money and a tenth.
        found = figures([(0, "-500"), (1, "9500"), (2, "-1000")]).values

        assert found["max_drawdown"] == pytest.approx(50)

    def test_begins_at_the_initial_balance(self):
        assert figures([(0, "-100"), (1, "50")]).values["max_drawdown"] == pytest.approx(10)

    def test_is_zero_where_the_equity_only_rose(self):
        assert figures([(0, "1"), (1, "2")]).values["max_drawdown"] == 0

    def test_is_above_100_where_more_than_everything_was_lost(self):
        assert figures([(0, "-1500")]).values["max_drawdown"] == pytest.approx(150)

    def test_takes_what_is_booked_at_one_moment_as_one_step(self):
        there = figures([(0, "100"), (0, "-100")]).values["max_drawdown"]
        back = figures([(0, "-100"), (0, "100")]).values["max_drawdown"]

        assert there == back == 0


class TestSharpe:
    def test_every_calendar_day_is_a_return(self):
        found = figures([(0, "10"), (4, "10.1")]).values

        # 1 %, nothing on three days, 1 %.
        returns = [0.01, 0, 0, 0, 10.1 / 1010]
        expected = statistics.mean(returns) / statistics.stdev(returns) * math.sqrt(365)
        assert found["sharpe_ratio"] == pytest.approx(expected, rel=1e-12)

    def test_a_day_is_a_day_of_utc(self):
        same = figures([(0, "10"), (0.49, "5")])
        next_day = figures([(0, "10"), (0.51, "5")])

        assert same.reasons["sharpe_ratio"] == SAME_DAY
        assert next_day.values["sharpe_ratio"] is not None

    def test_is_that_of_the_shared_statistics(self):
        returns = np.random.default_rng(3).normal(0.001, 0.02, 400)

        expected = shared_sharpe(returns, Conventions(365, 0.0, 1)).value
        assert sharpe_ratio(returns) == pytest.approx(expected, rel=1e-12)

    def test_does_not_exist_for_returns_that_do_not_vary(self):
        found = figures([(0, "10"), (1, "10.1"), (2, "10.201")])

        assert found.values["sharpe_ratio"] is None
        assert found.reasons["sharpe_ratio"] == NO_VARIATION

    @pytest.mark.parametrize("loss", ["-1000", "-1000.01"])
    def test_does_not_exist_where_the_equity_fell_to_zero(self, loss):
        found = figures([(0, "1"), (1, "-1"), (2, loss), (3, "5000"), (4, "1")])

        assert found.values["sharpe_ratio"] is None
        assert found.reasons["sharpe_ratio"] == RUINED
        assert found.values["total_return"] is not None

    def test_is_no_worse_for_a_fall_that_was_made_good_on_the_day(self):
        assert figures([(0, "-1000"), (0.1, "1500"), (1, "10")]).values["sharpe_ratio"] is not None


class TestUndefined:
    def test_without_capital_nothing_is_measured_against_any(self):
        found = figures([(0, "10"), (1, "-5")], capital=None)

        empty = {name for name, value in found.values.items() if value is None}
        assert empty == {"equity", "sharpe_ratio", "max_drawdown", "total_return"}
        assert {found.reasons[name] for name in empty} == {NO_BALANCE}

    @pytest.mark.parametrize("capital", ["0", "-5"])
    def test_a_capital_of_nothing_is_no_measure(self, capital):
        found = figures([(0, "10"), (1, "-5")], capital=capital)

        assert found.values["equity"] == Decimal(capital) + 5
        assert found.reasons == dict.fromkeys(
            ("sharpe_ratio", "max_drawdown", "total_return"), NOT_POSITIVE
        )

    def test_without_a_loss_there_is_nothing_to_divide_by(self):
        found = figures([(0, "10"), (1, "0")])

        assert found.values["profit_factor"] is None
        assert found.reasons["profit_factor"] == found.reasons["avg_loss"] == NO_LOSS

    def test_when_all_broke_even_there_is_no_win_rate(self):
        assert figures([(0, "0")]).reasons["win_rate"] == ALL_EVEN

    @pytest.mark.parametrize("exits", [[(0, "0")], [(0, "5")], [(0, "-2000"), (9, "1")]])
    @pytest.mark.parametrize("capital", [None, "0", "1000"])
    def test_whatever_is_empty_has_a_reason_and_nothing_else_has(self, exits, capital):
        found = figures(exits, capital=capital)

        empty = {name for name, value in found.values.items() if value is None}
        assert empty == set(found.reasons)
        assert set(found.values) == set(DEFINITIONS)


class TestCapital:
    def capital(self, **values):
        told = {"bot_type": "paper", "bot_currency": "USD"}
        return capital_of(
            values.pop("balance", Decimal(500)),
            **told | {"trade_type": "paper", "quote_currency": "USD"} | values,
        )

    def test_is_that_of_the_bot_for_what_it_trades_now(self):
        assert self.capital() == (500, "")

    def test_is_not_known_for_anything_else(self):
        assert self.capital(balance=None) == (None, NO_BALANCE)
        assert self.capital(trade_type="live") == (None, OTHER_TYPE.format("live"))
        assert self.capital(quote_currency="EUR") == (None, OTHER_CURRENCY)


class TestDefinitions:
    @pytest.mark.parametrize("definition", DEFINITIONS.values())
    def test_each_has_a_sentence(self, definition):
        assert define(definition).endswith(".")


class TestRandomLedgers:
    @pytest.mark.parametrize("seed", range(40))
    def test_equal_exact_arithmetic_by_hand(self, seed):
        chance = random.Random(seed)
        nets = [Decimal(chance.randint(-80, 100)).scaleb(-chance.choice([0, 2, 18])) for _ in "xx"]
        nets += [Decimal(chance.randint(-8000, 9000)).scaleb(-2) for _ in range(seed)]
        exits = [
            (NOON + timedelta(minutes=30 * chance.randrange(2 * 24 * 30)), net) for net in nets
        ]
        capital = Decimal(chance.choice([10_000, 200_000]))

        found = figures_of(totals_of(nets, nets), booked(exits), Capital(capital)).values

        expected = by_hand(exits, capital)
        for name, value in expected.items():
            if isinstance(value, float):
                assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
            else:
                assert found[name] == value, name
