"""A strategy tried out on a series."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from apps.analysis.domain.bars import MINIMUM_BARS, Bars
from apps.analysis.domain.leverage import LeverageParameters
from apps.analysis.domain.strategies import DEFAULTS, read_parameters
from apps.analysis.domain.tryout import NO_BITCOIN, try_out

HOUR = 3600
MIDNIGHT = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())


def walk(seed: int, size: int = 1_500, width: int = HOUR) -> Bars:
    """Return a random walk whose bars follow upon each other."""
    random = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(random.normal(0.0004, 0.012, size))), 4)
    open_ = np.concatenate(([100.0], close[:-1]))
    high = np.round(np.maximum(open_, close) * (1 + random.uniform(0, 0.01, size)), 4)
    low = np.round(np.minimum(open_, close) * (1 - random.uniform(0, 0.01, size)), 4)
    start = MIDNIGHT + width * np.arange(size)
    return Bars(start, open_, high, low, close, random.uniform(1, 9, size), width)


def tried(bars, name="Balanced - 1h", **options):
    default = next(each for each in DEFAULTS if each.name == name)
    parameters = read_parameters(default.base_strategy, default.timeframe, default.parameters)
    return try_out(
        bars,
        base_strategy=default.base_strategy,
        parameters=parameters,
        leverage=options.pop("leverage", LeverageParameters()),
        **options,
    )


@pytest.fixture(scope="module")
def entries():
    found = tried(walk(1))
    assert found
    return found


class TestTryOut:
    def test_numbers_trades_from_one_in_the_order_of_time(self, entries):
        assert [each.number for each in entries] == list(range(1, len(entries) + 1))
        assert all(a.over_at <= b.over_at for a, b in itertools.pairwise(entries))

    def test_enters_at_the_start_of_a_bar_and_is_over_at_the_end_of_one(self, entries):
        bars = walk(1)
        for each in entries:
            assert each.entered_at.timestamp() == bars.start[each.trade.entry_bar]
            assert each.over_at.timestamp() == bars.start[each.trade.exit_bar] + HOUR

    def test_trades_with_the_leverage_that_was_worked_out(self, entries):
        for each in entries:
            assert each.trade.leverage == each.breakdown.final_leverage
            assert each.breakdown.ceiling == 30

    def test_says_that_bitcoin_is_not_known(self, entries):
        for each in entries:
            assert each.breakdown.btc_correlation is None
            assert each.breakdown.reasons["btc"] == NO_BITCOIN

    def test_takes_the_correlation_with_bitcoin_where_its_bars_are_there(self):
        bars = walk(1)

        for each in tried(bars, bitcoin=bars):
            assert each.breakdown.btc_correlation == 1
            assert each.breakdown.btc_constraint_leverage is not None

    def test_a_bitcoin_of_another_time_constrains_nothing(self):
        bars = walk(1)
        other = bars._replace(start=bars.start + 10_000 * HOUR)

        for each in tried(bars, bitcoin=other):
            assert each.breakdown.btc_constraint_leverage is None

    def test_decides_with_what_was_known_before_the_entry(self, entries):
        """Whatever comes after an entry changes nothing about how it came about."""
        bars = walk(1)
        for each in entries[:5]:
            cut = Bars(*(column[: each.trade.entry_bar + 1] for column in bars[:6]), HOUR)
            again = tried(cut)[-1]
            assert again.trade.entry_bar == each.trade.entry_bar
            assert again.breakdown == each.breakdown

    def test_follows_the_parameters_of_the_formula(self):
        careful = LeverageParameters.from_mapping({"safety_margin_pct": "50"})

        usual, less = tried(walk(1)), tried(walk(1), leverage=careful)

        assert less[0].trade.leverage <= usual[0].trade.leverage
        assert less[0].breakdown.safety_margin_pct >= 50

    def test_finds_nothing_in_too_few_bars(self):
        assert tried(walk(1, MINIMUM_BARS - 1)) == []

    def test_keeps_every_figure_within_its_column(self, entries):
        for each in entries:
            for value in (each.trade.net_pct, each.breakdown.volatility_pct):
                assert isinstance(value, Decimal)
                assert -value.as_tuple().exponent <= 8
