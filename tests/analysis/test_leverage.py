"""How much leverage a setup bears: worked cases to read, and what holds for every setup."""

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.analysis.domain.leverage import (
    CONSTRAINTS,
    LeverageParameters,
    LeverageUndefined,
    ParametersRefused,
    Setup,
    SetupRefused,
    Trend,
    break_down,
)
from apps.analysis.domain.leverage.parameters import SPANS, Step
from apps.shared.quant.samples import rounded

D = Decimal
DEFAULTS = LeverageParameters()
HIGH, PLAIN = D(50), D(1)

# A long at 100 with its support 5 % below and its resistance 20 % above.
BASE = Setup(
    price=D(100),
    support=D(95),
    next_support=None,
    resistance=D(120),
    next_resistance=None,
    support_strength=D(1),
    resistance_strength=D("0.5"),
    confidence=D("0.9"),
    btc_correlation=D("0.4"),
    volatility_pct=D("0.5"),
    trend=Trend.SIDEWAYS,
)


class Case(NamedTuple):
    """One setup, worked out by hand: what differs from BASE, and every figure that follows."""

    about: str
    given: dict[str, Any]
    support: str | None = "5"  # 1/0.05 × 1 × 0.5 × clamp(0.05/0.1) = 20 × 0.5 × 0.5
    ratio: str | None = "3.8"  # (0.2 × 0.5 + 0.2 × 1.5 × 0.3) / 0.05 = 0.19 / 0.05
    risk_reward: str | None = "10"  # 3.8 is at least 2
    confidence: str | None = "20"  # (0.9 − 0.5) × 50
    btc: str | None = "100"  # 0.4 is at most 0.5: no limit
    volatility: str | None = "20"  # 100 / (10 × 0.5)
    tightest: str = "5"
    binding: str = "support"
    trend: str = "1"
    margin: str = "10.15"  # 10 + 0.3 × 0.5
    scaled: str = "4.4925"  # 5 × 1 × 1 × 0.8985
    final: str = "4.4925"
    bounded_by: str = ""
    reasons: tuple[str, ...] = ()
    ceiling: str = "50"
    risk: str = "1"


CASES = [
    Case("the support binds", {}),
    Case(
        "a support as near as 2 %: 0.3 / 0.02 × 0.5",
        {"support": D(98)},
        support="7.5",
        ratio="9.5",  # 0.19 / 0.02
        tightest="7.5",
        scaled="6.73875",
        final="6.73875",
    ),
    Case(
        "a further support behind it: 5 × 1.3",
        {"next_support": D(93)},
        support="6.5",
        tightest="6.5",
        scaled="5.84025",
        final="5.84025",
    ),
    Case(
        "a support that never held bears nothing; the floor",
        {"support_strength": D(0)},
        support="0",
        tightest="0",
        scaled="0",
        final="1",
        bounded_by="floor",
    ),
    Case(
        "risk/reward binds: (0.06 × 0.5 + 0.09 × 0.3) / 0.05 = 1.14 is at least 1",
        {"resistance": D(106)},
        ratio="1.14",
        risk_reward="2",
        tightest="2",
        binding="risk_reward",
        scaled="1.797",
        final="1.797",
    ),
    Case(
        "the resistance behind counts where it stands: (0.06 × 0.5 + 0.1 × 0.3) / 0.05",
        {"resistance": D(106), "next_resistance": D(110)},
        ratio="1.2",
        risk_reward="2",
        tightest="2",
        binding="risk_reward",
        scaled="1.797",
        final="1.797",
    ),
    Case(
        "a ratio that just reaches its step: (0.1 × 0.4 + 0.2 × 0.3) / 0.05",
        {"resistance": D(110), "next_resistance": D(120), "resistance_strength": D("0.6")},
        ratio="2",
    ),
    Case(
        "a ratio counts as 10 at most (0.19 / 0.01 is 19); two constraints still differ",
        {"support": D(99)},
        support="15",  # 0.3 / 0.01 × 0.5
        ratio="10",
        tightest="10",
        binding="risk_reward",
        scaled="8.985",
        final="8.985",
    ),
    Case(
        "and as 0.1 at least (0.01 / 0.5 is 0.02); the support at 50 %: 1/0.5 × 0.5",
        {"support": D(50), "resistance": D("100.1")},
        support="1",
        ratio="0.1",
        risk_reward="1",
        tightest="1",
        scaled="0.8985",
        final="1",
        bounded_by="floor",
    ),
    Case(
        "reward below risk, 0.19 / 0.2; the support at 20 %: 1/0.2 × 0.5",
        {"support": D(80)},
        support="2.5",
        ratio="0.95",
        risk_reward="1",
        tightest="1",
        binding="risk_reward",
        scaled="0.8985",
        final="1",
        bounded_by="floor",
    ),
    Case(
        "a resistance just above: the reward counts as 1 %, 0.01 / 0.05",
        {"resistance": D("100.1")},
        ratio="0.2",
        risk_reward="1",
        tightest="1",
        binding="risk_reward",
        scaled="0.8985",
        final="1",
        bounded_by="floor",
    ),
    Case(
        "confidence binds: 0.08 × 50",
        {"confidence": D("0.58")},
        confidence="4",
        tightest="4",
        binding="confidence",
        scaled="3.594",
        final="3.594",
    ),
    Case(
        "less sure than a coin: nothing is borrowed",
        {"confidence": D("0.45")},
        confidence="0",
        tightest="0",
        binding="confidence",
        scaled="0",
        final="1",
        bounded_by="floor",
    ),
    Case(
        "Bitcoin binds, whichever way it is tied: 1 / 0.1875",
        {"btc_correlation": D(-1), "next_support": D(93)},
        support="6.5",
        btc="5.33333333",
        tightest="5.33333333",
        binding="btc",
        scaled="4.79200000",
        final="4.79200000",
    ),
    Case("at the threshold Bitcoin does not bind yet", {"btc_correlation": D("0.5")}),
    Case(
        "the source's own pair, a fall of 0.15 at a correlation of 0.8",
        {"btc_correlation": D("0.8")},
        btc="6.66666667",
    ),
    Case(
        "volatility binds: 100 / 40; the margin grows with it",
        {"volatility_pct": D(4)},
        volatility="2.5",
        margin="11.2",
        tightest="2.5",
        binding="volatility",
        scaled="2.22",
        final="2.22",
    ),
    Case(
        "the margin ends at 50 %",
        {"volatility_pct": D(200)},
        volatility="0.05",
        margin="50",
        tightest="0.05",
        binding="volatility",
        scaled="0.025",
        final="1",
        bounded_by="floor",
    ),
    Case(
        "a strong trend in favor: 5 × 1.25",
        {"trend": Trend.STRONG_BULLISH},
        trend="1.25",
        scaled="5.615625",
        final="5.615625",
    ),
    Case(
        "a trend against it: 5 × 0.75",
        {"trend": Trend.BEARISH},
        trend="0.75",
        scaled="3.369375",
        final="3.369375",
    ),
    Case(
        "a short: the resistance protects, the support is the target, the trend is mirrored",
        {
            "direction": -1,
            "support": D(80),
            "support_strength": D("0.5"),
            "resistance": D(105),
            "resistance_strength": D(1),
            "trend": Trend.STRONG_BEARISH,
        },
        trend="1.25",
        scaled="5.615625",
        final="5.615625",
    ),
    Case(
        "a daring strategy: 5 × 1.3",
        {},
        risk="1.3",
        scaled="5.84025",
        final="5.84025",
    ),
    Case("the strategy's ceiling", {}, ceiling="4", final="4", bounded_by="ceiling"),
    Case("a ceiling that is just reached holds nothing back", {}, ceiling="4.4925"),
    Case(
        "the emergency ceiling above the strategy's; no circumstance binds",
        {
            "support": D("99.9"),
            "resistance": None,
            "confidence": None,
            "btc_correlation": D(0),
            "volatility_pct": D(0),
        },
        support="100",  # 0.3 / 0.001 × 0.5 = 150
        ratio=None,
        risk_reward=None,
        confidence=None,
        volatility="100",
        tightest="100",
        binding="",
        margin="10",
        scaled="90",
        final="50",
        bounded_by="ceiling",
        reasons=("risk_reward", "confidence"),
        ceiling="75",
    ),
    Case(
        "three are equally tight: the first is named",
        {"confidence": D("0.6"), "volatility_pct": D(2)},
        confidence="5",
        volatility="5",
        margin="10.6",
        scaled="4.47",
        final="4.47",
    ),
    Case(
        "no support: neither its own constraint nor risk/reward; of 20 and 20 the first",
        {"support": None},
        support=None,
        ratio=None,
        risk_reward=None,
        tightest="20",
        binding="confidence",
        scaled="17.97",
        final="17.97",
        reasons=("support", "risk_reward"),
    ),
    Case(
        "a support above the price is none",
        {"support": D(101)},
        support=None,
        ratio=None,
        risk_reward=None,
        tightest="20",
        binding="confidence",
        scaled="17.97",
        final="17.97",
        reasons=("support", "risk_reward"),
    ),
    Case(
        "no resistance: no risk/reward",
        {"resistance": None},
        ratio=None,
        risk_reward=None,
        reasons=("risk_reward",),
    ),
    Case("no confidence", {"confidence": None}, confidence=None, reasons=("confidence",)),
    Case("no correlation", {"btc_correlation": None}, btc=None, reasons=("btc",)),
    Case(
        "no volatility: the largest margin is taken",
        {"volatility_pct": None},
        volatility=None,
        margin="50",
        scaled="2.5",
        final="2.5",
        reasons=("volatility", "safety_margin"),
    ),
    Case("no trend", {"trend": None}, reasons=("trend",)),
]


def number(text):
    return None if text is None else D(text)


def final(setup, parameters=DEFAULTS, *, ceiling=HIGH, risk=PLAIN):
    found = break_down(setup, parameters, ceiling=ceiling, risk_multiplier=risk)
    return found.final_leverage


class TestTheWorkedCases:
    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.about)
    def test_come_out_exactly(self, case):
        found = break_down(
            replace(BASE, **case.given),
            DEFAULTS,
            ceiling=D(case.ceiling),
            risk_multiplier=D(case.risk),
        )

        assert list(found.constraints.values()) == [
            number(getattr(case, name)) for name in CONSTRAINTS
        ]
        assert found.risk_reward_ratio == number(case.ratio)
        assert found.min_constraint_leverage == D(case.tightest)
        assert found.binding == case.binding
        assert found.trend_multiplier == D(case.trend)
        assert found.safety_margin_pct == D(case.margin)
        assert found.scaled_leverage == D(case.scaled)
        assert found.final_leverage == D(case.final)
        assert found.bounded_by == case.bounded_by
        assert tuple(sorted(found.reasons)) == tuple(sorted(case.reasons))

    def test_bind_with_each_constraint_and_meet_each_bound(self):
        assert {case.binding for case in CASES} == {*CONSTRAINTS, ""}
        assert {case.bounded_by for case in CASES} == {"", "floor", "ceiling"}


class TestTheBreakdown:
    def test_keeps_the_inputs_as_percentages(self):
        found = break_down(
            replace(BASE, btc_correlation=D("-0.3")), DEFAULTS, ceiling=D(20), risk_multiplier=D(1)
        )

        assert found.support_distance_pct == 5
        assert found.confidence_pct == 90
        assert found.btc_correlation == D("-0.3")
        assert found.volatility_pct == D("0.5")
        assert found.trend_strength == "sideways"
        assert (found.floor, found.ceiling, found.risk_multiplier) == (1, 20, 1)

    def test_measures_a_short_to_the_level_above(self):
        found = break_down(replace(BASE, direction=-1), DEFAULTS, ceiling=D(20))

        assert found.support_distance_pct == 20
        assert found.risk_reward_ratio == D("0.1125")  # (0.05 × 0 + 0.075 × 0.3) / 0.2

    def test_says_why_in_sentences(self):
        setup = replace(BASE, support=D(101), confidence=None, trend=None)

        reasons = break_down(setup, DEFAULTS, ceiling=D(20)).reasons

        assert reasons["support"] == "The support 101 does not lie below the price 100."
        assert reasons["risk_reward"] == f"No risk is known. {reasons['support']}"
        assert reasons["confidence"] == "No confidence is known."
        assert reasons["trend"] == "No trend is known: the multiplier is 1."

    def test_knows_no_level_beyond_all_reach(self):
        setup = replace(BASE, direction=-1, resistance=D(10**19), price=D("0.5"), support=None)

        found = break_down(setup, DEFAULTS, ceiling=D(20))

        assert found.support_distance_pct is None
        assert "lies too far" in found.reasons["support"]

    def test_does_not_count_a_further_level_on_the_near_side(self):
        assert final(replace(BASE, next_support=D(97))) == final(BASE)
        assert final(replace(BASE, resistance=D(106), next_resistance=D(103))) == final(
            replace(BASE, resistance=D(106))
        )

    def test_hands_out_every_figure_by_its_column(self):
        columns = break_down(BASE, DEFAULTS, ceiling=D(20)).as_columns()

        assert list(columns)[:15] == [
            "support_distance_pct",
            "support_constraint_leverage",
            "risk_reward_ratio",
            "risk_reward_constraint_leverage",
            "confidence_pct",
            "confidence_constraint_leverage",
            "btc_correlation",
            "btc_constraint_leverage",
            "volatility_pct",
            "volatility_constraint_leverage",
            "trend_strength",
            "trend_multiplier",
            "min_constraint_leverage",
            "safety_margin_pct",
            "final_leverage",
        ]

    def test_is_refused_when_nothing_is_known(self):
        nothing = replace(
            BASE, support=None, confidence=None, btc_correlation=None, volatility_pct=None
        )

        with pytest.raises(LeverageUndefined) as refusal:
            break_down(nothing, DEFAULTS, ceiling=D(20))

        assert [error.pointer for error in refusal.value.errors] == [f"/{n}" for n in CONSTRAINTS]

    @pytest.mark.parametrize(
        ("bounds", "pointer"),
        [
            ({"ceiling": D("0.9")}, "/ceiling"),
            ({"ceiling": D("NaN")}, "/ceiling"),
            ({"ceiling": D("Infinity")}, "/ceiling"),
            ({"ceiling": D(20), "risk_multiplier": D(0)}, "/risk_multiplier"),
            ({"ceiling": D(20), "risk_multiplier": D(101)}, "/risk_multiplier"),
            ({"ceiling": D(20), "risk_multiplier": D("NaN")}, "/risk_multiplier"),
        ],
    )
    def test_is_refused_with_bounds_that_cannot_be(self, bounds, pointer):
        with pytest.raises(SetupRefused) as refusal:
            break_down(BASE, DEFAULTS, **bounds)

        assert [error.pointer for error in refusal.value.errors] == [pointer]


class TestASetup:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("price", D(0)),
            ("price", D("NaN")),
            ("price", None),
            ("support", D(-1)),
            ("next_resistance", D("Infinity")),
            ("resistance", D("1e21")),
            ("support_strength", D("1.01")),
            ("resistance_strength", None),
            ("confidence", D(70)),
            ("btc_correlation", D("-1.1")),
            ("volatility_pct", D("-0.1")),
            ("volatility_pct", D("sNaN")),
            ("direction", 0),
        ],
    )
    def test_is_refused_where_no_market_can_have_shown_it(self, name, value):
        with pytest.raises(SetupRefused) as refusal:
            replace(BASE, **{name: value})

        assert [error.pointer for error in refusal.value.errors] == [f"/{name}"]


# --- What holds for every setup -----------------------------------------------------------


def decimals(least, most, places=8):
    return st.decimals(D(least), D(most), places=places, allow_nan=False, allow_infinity=False)


shares = decimals(0, 1)
levels = st.none() | decimals("0.00000001", 200)
setups = st.builds(
    Setup,
    price=decimals("0.01", 200),
    support=levels,
    next_support=levels,
    resistance=levels,
    next_resistance=levels,
    support_strength=shares,
    resistance_strength=shares,
    confidence=shares,
    btc_correlation=st.none() | decimals(-1, 1),
    volatility_pct=st.none() | decimals(0, 300),
    trend=st.none() | st.sampled_from(Trend),
    direction=st.sampled_from([1, -1]),
)
ceilings = decimals(1, 200, places=10)
risks = decimals("0.1", 5)


@st.composite
def parameter_sets(draw):
    low, high = sorted([draw(decimals(0, 99)), draw(decimals(0, 99))])
    return LeverageParameters(
        floor=draw(decimals("0.1", 2)),
        emergency_ceiling=draw(decimals(2, 100)),
        constraint_ceiling=draw(decimals(2, 1000)),
        bounce_probability=draw(shares),
        breakout_probability=draw(shares),
        confidence_zero=draw(decimals(0, "0.99")),
        btc_threshold=draw(shares),
        btc_move=draw(decimals("0.00000001", 1)),
        volatility_multiple=draw(decimals("0.00000001", 1000)),
        safety_margin_pct=low,
        safety_margin_most_pct=high,
    )


class TestForEverySetup:
    @given(setups, parameter_sets(), decimals(2, 200, places=10), risks)
    def test_the_result_is_finite_and_between_its_bounds(self, setup, parameters, ceiling, risk):
        found = break_down(setup, parameters, ceiling=ceiling, risk_multiplier=risk)

        assert found.floor <= found.final_leverage <= found.ceiling <= ceiling
        for value in found.as_columns().values():
            if isinstance(value, Decimal):
                assert value.is_finite()
                assert abs(value) < 10**12
                assert value == rounded(value)

    @given(setups, parameter_sets(), decimals(2, 200, places=10), risks)
    def test_a_person_can_follow_from_the_rounded_figures(self, setup, parameters, ceiling, risk):
        found = break_down(setup, parameters, ceiling=ceiling, risk_multiplier=risk)
        known = {name: value for name, value in found.constraints.items() if value is not None}

        assert found.min_constraint_leverage == min(known.values())
        assert found.binding in ("", *known)
        if found.binding:
            before = CONSTRAINTS[: CONSTRAINTS.index(found.binding)]
            assert known[found.binding] == found.min_constraint_leverage
            assert all(known[name] > known[found.binding] for name in before if name in known)
        scaled = rounded(
            found.min_constraint_leverage
            * found.trend_multiplier
            * found.risk_multiplier
            * (1 - found.safety_margin_pct / 100)
        )
        assert abs(found.scaled_leverage - scaled) <= D("0.00000001")
        assert found.final_leverage == max(found.floor, min(found.scaled_leverage, found.ceiling))

    @given(setups, decimals(0, 300), decimals(0, 300))
    def test_more_volatility_never_allows_more(self, setup, one, other):
        calm, wild = sorted([one, other])

        assert final(replace(setup, volatility_pct=wild)) <= final(
            replace(setup, volatility_pct=calm)
        )

    @given(setups, decimals(0, 300))
    def test_not_knowing_the_volatility_never_makes_the_margin_smaller(self, setup, volatility):
        known = break_down(replace(setup, volatility_pct=volatility), DEFAULTS, ceiling=D(50))
        unknown = break_down(replace(setup, volatility_pct=None), DEFAULTS, ceiling=D(50))

        assert unknown.safety_margin_pct >= known.safety_margin_pct

    @given(setups, shares, shares)
    def test_more_confidence_never_allows_less(self, setup, one, other):
        doubtful, sure = sorted([one, other])

        assert final(replace(setup, confidence=doubtful)) <= final(replace(setup, confidence=sure))

    @given(setups, decimals(-1, 1), decimals(-1, 1))
    def test_a_closer_tie_to_bitcoin_never_allows_more(self, setup, one, other):
        loose, close = sorted([one, other], key=abs)

        assert final(replace(setup, btc_correlation=close)) <= final(
            replace(setup, btc_correlation=loose)
        )

    @given(setups, st.data())
    def test_a_nearer_stop_never_allows_less(self, setup, data):
        inside = decimals("0.005", "0.995")
        near, far = sorted([data.draw(inside), data.draw(inside)])
        name = "support" if setup.direction > 0 else "resistance"
        behind = f"next_{name}"
        at = {
            share: replace(
                setup,
                **{name: setup.price * (1 - setup.direction * share), behind: None},
            )
            for share in (near, far)
        }

        assert final(at[far]) <= final(at[near])

    @given(setups, shares, shares)
    def test_a_stronger_support_never_allows_a_long_less(self, setup, one, other):
        weak, strong = sorted([one, other])
        long = replace(setup, direction=1)

        assert final(replace(long, support_strength=weak)) <= final(
            replace(long, support_strength=strong)
        )

    @given(setups, decimals(0, 50), decimals(0, 50))
    def test_a_larger_safety_margin_never_allows_more(self, setup, one, other):
        small, large = sorted([one, other])
        wide, narrow = (replace(DEFAULTS, safety_margin_pct=each) for each in (large, small))

        assert final(setup, wide) <= final(setup, narrow)

    @given(setups, risks, risks, ceilings, ceilings)
    def test_a_tamer_strategy_never_takes_more(self, setup, risk, other_risk, ceiling, other):
        tame, daring = sorted([risk, other_risk])
        low, high = sorted([ceiling, other])

        assert final(setup, risk=tame, ceiling=low) <= final(setup, risk=daring, ceiling=high)

    @given(setups)
    def test_a_better_trend_never_allows_less(self, setup):
        trends = list(Trend) if setup.direction > 0 else list(reversed(Trend))
        finals = [final(replace(setup, trend=trend)) for trend in trends]

        assert finals == sorted(finals, reverse=True)


# --- Parameters ---------------------------------------------------------------------------


def refused(raw):
    with pytest.raises(ParametersRefused) as refusal:
        LeverageParameters.from_mapping(raw)
    return [(error.pointer, error.code) for error in refusal.value.errors]


class TestParameters:
    @given(parameter_sets())
    def test_come_back_from_json_as_they_were(self, parameters):
        assert LeverageParameters.from_mapping(parameters.as_mapping()) == parameters

    def test_keep_their_defaults_where_nothing_is_said(self):
        found = LeverageParameters.from_mapping(
            {"floor": 2, "btc_move": 0.2, "trend_multipliers": {"bullish": "1.2"}}
        )

        assert (found.floor, found.btc_move) == (2, D("0.2"))
        assert found.trend_multipliers[Trend.BULLISH] == D("1.2")
        assert found.trend_multipliers[Trend.SIDEWAYS] == 1
        assert replace(
            found,
            floor=D(1),
            btc_move=DEFAULTS.btc_move,
            trend_multipliers=DEFAULTS.trend_multipliers,
        ) == LeverageParameters.from_mapping({})

    def test_are_all_in_the_mapping(self):
        assert set(DEFAULTS.as_mapping()) == {each.name for each in fields(LeverageParameters)}
        assert set(SPANS) < set(DEFAULTS.as_mapping())

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            ({"flor": 1}, [("/flor", "unknown")]),
            ({"floor": "one"}, [("/floor", "not_a_number")]),
            ({"floor": True}, [("/floor", "not_a_number")]),
            ({"floor": None}, [("/floor", "not_a_number")]),
            ({"floor": 10**5000}, [("/floor", "not_a_number")]),
            ({"floor": "NaN"}, [("/floor", "not_a_number")]),
            ({"floor": float("inf")}, [("/floor", "not_a_number")]),
            ({"floor": 0}, [("/floor", "out_of_range")]),
            ({"floor": "1.123456789"}, [("/floor", "too_many_digits")]),
            ({"floor": 60}, [("/emergency_ceiling", "out_of_order")]),
            ({"btc_threshold": "1.1"}, [("/btc_threshold", "out_of_range")]),
            ({"safety_margin_pct": 100}, [("/safety_margin_pct", "out_of_range")]),
            ({"safety_margin_pct": 60}, [("/safety_margin_most_pct", "out_of_order")]),
            ({"volatility_multiple": 0}, [("/volatility_multiple", "out_of_range")]),
            ({"risk_reward_steps": "2"}, [("/risk_reward_steps", "not_a_list")]),
            ({"risk_reward_steps": [[2, 1, 0]]}, [("/risk_reward_steps/0", "not_a_pair")]),
            ({"risk_reward_steps": [["a", 1]]}, [("/risk_reward_steps/0/0", "not_a_number")]),
            ({"risk_reward_steps": [[0, 0]]}, [("/risk_reward_steps/0/1", "out_of_range")]),
            ({"risk_reward_steps": []}, [("/risk_reward_steps", "incomplete")]),
            ({"risk_reward_steps": [[1, 2]]}, [("/risk_reward_steps", "incomplete")]),
            ({"risk_reward_steps": [[1, 2], [0, 3]]}, [("/risk_reward_steps", "out_of_order")]),
            ({"risk_reward_steps": [[0, 2], [0, 1]]}, [("/risk_reward_steps", "out_of_order")]),
            ({"trend_multipliers": 1}, [("/trend_multipliers", "not_an_object")]),
            ({"trend_multipliers": {"up": 1}}, [("/trend_multipliers/up", "unknown")]),
            (
                {"trend_multipliers": {"bullish": "x"}},
                [("/trend_multipliers/bullish", "not_a_number")],
            ),
            (
                {"trend_multipliers": {"bearish": 0}},
                [("/trend_multipliers/bearish", "out_of_range")],
            ),
            ({"trend_multipliers": {"bearish": 2}}, [("/trend_multipliers", "out_of_order")]),
        ],
    )
    def test_are_refused_with_each_named(self, raw, expected):
        assert refused(raw) == expected

    def test_name_everything_that_is_wrong(self):
        raw = {"flor": 1, "floor": "x", "btc_move": 2}

        assert {pointer for pointer, _ in refused(raw)} == {"/flor", "/floor", "/btc_move"}

    def test_are_checked_without_json_too(self):
        with pytest.raises(ParametersRefused):
            LeverageParameters(trend_multipliers={Trend.BULLISH: D(1)})

    def test_may_change_the_steps(self):
        steps = (Step(D(3), D(30)), Step(D(0), D(3)))
        parameters = LeverageParameters(risk_reward_steps=steps)

        found = break_down(BASE, parameters, ceiling=D(50))

        assert found.risk_reward_constraint_leverage == 30
