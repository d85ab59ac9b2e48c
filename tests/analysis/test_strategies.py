"""Strategy configurations: the defaults, what is refused, and when a strategy enters."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from apps.analysis.domain.bars import resampled
from apps.analysis.domain.indicators import Indicators, compute
from apps.analysis.domain.strategies import (
    BASE_STRATEGIES,
    CALCULATORS,
    DEFAULTS,
    STOPS_AND_TARGETS,
    WEIGHTS,
    StrategyParameters,
    StrategyRefused,
    entries,
    read_parameters,
    scores,
)
from apps.market.choices import Granularity
from tests.analysis.series import CANDLES, bars_of, cut, random_bars, real_bars

FRACTIONS = {
    "risk_multiplier": 0.7,
    "confidence_threshold": 0.80,
    "max_leverage": 10,
    "stop_loss_threshold": 0.05,
    "take_profit_threshold": 0.10,
}
PERCENTS = {"risk_multiplier": 0.8, "leverage_cap": 50, "min_risk_reward": 1.2}
HOUR = 3600


def refused(raw, base="Balanced", timeframe="1h"):
    with pytest.raises(StrategyRefused) as caught:
        read_parameters(base, timeframe, raw)
    return {(error.pointer, error.code) for error in caught.value.errors}


class TestDefaults:
    def test_are_three_strategies_on_six_timeframes(self):
        assert len(DEFAULTS) == 18
        assert len({(one.base_strategy, one.timeframe) for one in DEFAULTS}) == 18
        assert {one.timeframe for one in DEFAULTS} == {"15m", "30m", "1h", "4h", "1d", "1w"}
        assert DEFAULTS[0].name == "Conservative_ML - 15m"
        assert all(one.name == f"{one.base_strategy} - {one.timeframe}" for one in DEFAULTS)

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("Conservative_ML - 15m", (0.7, 0.80, 10, 0.05, 0.10)),
            ("Conservative_ML - 1w", (1.2, 0.55, 25, 0.15, 0.30)),
            ("Aggressive_ML - 4h", (1.6, 0.45, 45, 0.15, 0.40)),
            ("Balanced - 1h", (1.2, 0.55, 30, 0.10, 0.20)),
            ("Balanced - 1d", (1.4, 0.45, 40, 0.15, 0.30)),
        ],
    )
    def test_have_the_values_of_the_original(self, name, values):
        [found] = [one for one in DEFAULTS if one.name == name]
        assert tuple(found.parameters[key] for key in FRACTIONS) == values

    def test_can_all_be_run(self):
        for one in DEFAULTS:
            found = read_parameters(one.base_strategy, one.timeframe, one.parameters)
            assert found.max_bars == 96
            assert found.stop_loss < found.take_profit


class TestReadParameters:
    def test_reads_fractions(self):
        assert read_parameters("Balanced", "15m", FRACTIONS) == StrategyParameters(
            risk_multiplier=Decimal("0.7"),
            confidence_threshold=Decimal("0.8"),
            max_leverage=Decimal(10),
            stop_loss=Decimal("0.05"),
            take_profit=Decimal("0.1"),
            min_risk_reward=Decimal(0),
            fee_rate=Decimal("0.001"),
            stake=Decimal("0.1"),
            max_bars=None,
        )

    def test_reads_percents(self):
        raw = PERCENTS | {
            "confidence_boost": -0.05,
            "stop_loss_percent": 4,
            "take_profit_percent": "9.5",
            "custom_sltp_calculator": "MLSLTPCalculator",
        }
        assert read_parameters("Traditional", "1h", raw) == StrategyParameters(
            risk_multiplier=Decimal("0.8"),
            confidence_threshold=Decimal("0.55"),
            max_leverage=Decimal(50),
            stop_loss=Decimal("0.04"),
            take_profit=Decimal("0.095"),
            min_risk_reward=Decimal("1.2"),
            custom_sltp_calculator="MLSLTPCalculator",
        )

    @pytest.mark.parametrize("timeframe", Granularity.values)
    def test_percents_left_out_are_those_of_the_timeframe(self, timeframe):
        found = read_parameters("Full_ML", timeframe, PERCENTS)
        stop, target = STOPS_AND_TARGETS[timeframe]
        assert (found.stop_loss * 100, found.take_profit * 100) == (Decimal(stop), Decimal(target))
        assert found.confidence_threshold == Decimal("0.5")

    def test_percents_of_the_original_are_kept(self):
        assert [STOPS_AND_TARGETS[name] for name in ("15m", "30m", "1h")] == [
            ("3.5", "8"),
            ("4", "10"),
            ("5", "12"),
        ]

    @pytest.mark.parametrize("raw", [FRACTIONS, PERCENTS])
    def test_both_know_fees_stake_and_a_longest_trade(self, raw):
        more = {"fee_rate": "0.0004", "stake": 1, "max_bars": 48, "min_risk_reward": 2}
        found = read_parameters("Balanced", "1h", raw | more)
        assert (found.fee_rate, found.stake, found.max_bars, found.min_risk_reward) == (
            Decimal("0.0004"),
            Decimal(1),
            48,
            Decimal(2),
        )

    def test_an_empty_optional_value_is_one_left_out(self):
        raw = FRACTIONS | {"max_bars": None, "fee_rate": None}
        assert read_parameters("Balanced", "1h", raw) == read_parameters(
            "Balanced", "1h", FRACTIONS
        )

    def test_floats_keep_the_digits_they_were_written_with(self):
        raw = FRACTIONS | {"stop_loss_threshold": 0.1, "fee_rate": 0.00075}
        found = read_parameters("Balanced", "1h", raw)
        assert (str(found.stop_loss), str(found.fee_rate)) == ("0.1", "0.00075")

    @pytest.mark.parametrize("base", BASE_STRATEGIES)
    @pytest.mark.parametrize("raw", [FRACTIONS, PERCENTS])
    def test_every_strategy_reads_both(self, base, raw):
        assert read_parameters(base, "5m", raw).risk_multiplier > 0

    def test_names_everything_that_is_missing(self):
        assert refused({}) == {(f"/parameters/{key}", "required") for key in FRACTIONS}
        assert refused({"leverage_cap": 5}) == {
            ("/parameters/risk_multiplier", "required"),
            ("/parameters/min_risk_reward", "required"),
        }

    @pytest.mark.parametrize("raw", [FRACTIONS, PERCENTS])
    def test_refuses_what_it_does_not_know(self, raw):
        assert refused(raw | {"colour": 1, "a/b~c": 2, 7: 3}) == {
            ("/parameters/colour", "unknown"),
            ("/parameters/a~1b~0c", "unknown"),
            ("/parameters/7", "unknown"),
        }

    def test_refuses_two_vocabularies_in_one(self):
        assert refused(FRACTIONS | PERCENTS) == {
            ("/parameters/confidence_threshold", "mixed"),
            ("/parameters/max_leverage", "mixed"),
            ("/parameters/stop_loss_threshold", "mixed"),
            ("/parameters/take_profit_threshold", "mixed"),
        }

    @pytest.mark.parametrize(
        ("raw", "key", "values"),
        [
            (FRACTIONS, "risk_multiplier", [0, 0.09, 5.1, -1]),
            (FRACTIONS, "confidence_threshold", [-0.1, 1.01, "70"]),
            (FRACTIONS, "max_leverage", [0.9, 501, "1e999999"]),
            (FRACTIONS, "stop_loss_threshold", [0, 1, -0.1]),
            (FRACTIONS, "take_profit_threshold", [0, 11]),
            (FRACTIONS, "fee_rate", [-0.001, 0.051]),
            (FRACTIONS, "stake", [0, 1.1]),
            (FRACTIONS, "max_bars", [0, -5, 10**7]),
            (PERCENTS, "leverage_cap", [0, 501]),
            (PERCENTS, "confidence_boost", [-0.21, 0.21]),
            (PERCENTS, "min_risk_reward", [0.4, 10.1]),
            (PERCENTS, "stop_loss_percent", [0.4, 21]),
            (PERCENTS, "take_profit_percent", [0.9, 51]),
        ],
    )
    def test_refuses_what_is_out_of_range(self, raw, key, values):
        for value in values:
            assert refused(raw | {key: value}) == {(f"/parameters/{key}", "out_of_range")}

    @pytest.mark.parametrize(
        "value", [True, "much", "", "NaN", "Infinity", float("nan"), float("inf"), [], {}, b"1"]
    )
    def test_refuses_what_is_no_number(self, value):
        for key in ("risk_multiplier", "fee_rate"):
            raw = FRACTIONS | {key: value}
            assert refused(raw) == {(f"/parameters/{key}", "invalid")}

    def test_a_required_value_cannot_be_empty(self):
        raw = FRACTIONS | {"max_leverage": None}
        assert refused(raw) == {("/parameters/max_leverage", "invalid")}

    def test_refuses_parts_of_bars_and_of_leverage_caps(self):
        assert refused(FRACTIONS | {"max_bars": 1.5}) == {("/parameters/max_bars", "not_whole")}
        assert refused(PERCENTS | {"leverage_cap": 9.5}) == {
            ("/parameters/leverage_cap", "not_whole")
        }

    @pytest.mark.parametrize("value", ["Bold", "", 3, None, []])
    def test_refuses_a_calculator_of_another_name(self, value):
        raw = PERCENTS | {"custom_sltp_calculator": value}
        assert refused(raw) == {("/parameters/custom_sltp_calculator", "unknown")}
        assert len(CALCULATORS) == 6

    def test_refuses_unknown_strategies_and_timeframes(self):
        assert refused(FRACTIONS, "Lucky", "7m") == {
            ("/base_strategy", "unknown"),
            ("/timeframe", "unknown"),
        }

    @pytest.mark.parametrize("raw", [None, [], "{}", 5])
    def test_refuses_what_is_no_object(self, raw):
        assert refused(raw) == {("/parameters", "invalid")}


class TestScores:
    found = compute(random_bars(2500, seed=4))

    @pytest.mark.parametrize("base", BASE_STRATEGIES)
    def test_are_the_weighted_mean_of_parts(self, base):
        weights = WEIGHTS[base]
        assert sum(weights.values()) == 1
        assert min(weights.values()) > 0
        at = 700
        wanted = sum(
            float(weight) * getattr(self.found, f"{part}_part")[at]
            for part, weight in weights.items()
        )
        assert scores(base, self.found)[at] == pytest.approx(wanted)

    @pytest.mark.parametrize("base", BASE_STRATEGIES)
    def test_lie_between_nothing_and_one(self, base):
        found = scores(base, self.found)
        assert np.isnan(found[:59]).all()
        assert found[59:].min() >= 0
        assert found[59:].max() <= 1

    @pytest.mark.parametrize("value", [0.0, 1.0])
    def test_reach_the_ends_where_all_parts_do(self, value):
        column = np.full(3, value)
        extreme = Indicators(*[column] * len(Indicators._fields))
        for base in BASE_STRATEGIES:
            assert scores(base, extreme) == pytest.approx([value] * 3)
            assert scores(base, extreme).max() <= 1

    def test_strategies_differ(self):
        columns = {scores(base, self.found)[700] for base in BASE_STRATEGIES}
        assert len(columns) == len(BASE_STRATEGIES)

    def test_refuses_a_strategy_of_another_name(self):
        with pytest.raises(KeyError):
            scores("Lucky", self.found)


class TestEntries:
    bars = random_bars(2500, seed=4)
    found = compute(bars)
    parameters = replace(
        read_parameters("Balanced", "1h", FRACTIONS), confidence_threshold=Decimal("0.55")
    )

    def test_follow_the_rule_bar_by_bar(self):
        i, level = self.found, scores("Balanced", self.found)
        wanted = [
            int(level[at] >= 0.55 and i.support[at] < i.close[at] < i.resistance[at])
            for at in range(2500)
        ]
        assert 100 < sum(wanted) < 2000
        assert entries("Balanced", i, self.parameters).tolist() == wanted

    def test_need_the_reward_that_is_asked_for(self):
        i = self.found
        usual = entries("Balanced", i, self.parameters).astype(bool)
        asked = replace(self.parameters, min_risk_reward=Decimal("1.5"))
        found = entries("Balanced", i, asked).astype(bool)
        enough = (i.resistance - i.close) / (i.close - i.support + 1e-300) >= 1.5
        assert found.tolist() == (usual & enough).tolist()
        assert 0 < found.sum() < usual.sum()

    def test_are_fewer_the_more_confidence_is_asked_for(self):
        counts = [
            int(
                entries(
                    "Balanced", self.found, replace(self.parameters, confidence_threshold=c)
                ).sum()
            )
            for c in map(Decimal, ("0", "0.4", "0.6", "0.8", "1"))
        ]
        assert counts == sorted(counts, reverse=True)
        assert counts[0] > counts[1] > counts[2] > 0

    def test_are_whole_numbers_without_shorts(self):
        found = entries("Balanced", self.found, self.parameters)
        assert found.dtype == np.int8
        assert set(found.tolist()) == {0, 1}

    def test_there_are_none_while_warming_up_or_in_a_market_that_does_not_move(self):
        always = replace(self.parameters, confidence_threshold=Decimal(0))
        assert not entries("Balanced", self.found, always)[:59].any()
        assert entries("Balanced", self.found, always)[59:].any()
        still = compute(bars_of(*[(5, 5, 5, 5)] * 200))
        assert not entries("Balanced", still, always).any()
        assert entries("Balanced", compute(bars_of()), always).size == 0

    def test_no_bar_changes_what_was_entered_before_it(self):
        bars = cut(self.bars, 250)
        for base in BASE_STRATEGIES:
            whole = entries(base, compute(bars), self.parameters)
            assert whole.any()
            for size in range(0, 250, 7):
                found = entries(base, compute(cut(bars, size)), self.parameters)
                assert found.tolist() == whole[:size].tolist()


@pytest.mark.skipif(not CANDLES.is_dir(), reason="The folder of real candles is not there.")
class TestOnRealCandles:
    @pytest.mark.parametrize(
        ("name", "width", "timeframes"),
        [
            ("ETH_BTC-5m", 300, {"15m": 900, "30m": 1800, "1h": HOUR, "4h": 4 * HOUR}),
            ("BTC_USD-1d", 86_400, {"1d": 86_400, "1w": 604_800}),
        ],
    )
    def test_every_default_enters_and_together_they_choose(self, name, width, timeframes):
        bars = real_bars(name, width)
        shares = []
        for one in DEFAULTS:
            if one.timeframe not in timeframes:
                continue
            found = compute(resampled(bars, timeframes[one.timeframe]))
            parameters = read_parameters(one.base_strategy, one.timeframe, one.parameters)
            entered = entries(one.base_strategy, found, parameters)[59:]
            assert entered.any(), one.name
            shares.append(entered.mean())
        assert 0.05 < np.mean(shares) < 0.8
