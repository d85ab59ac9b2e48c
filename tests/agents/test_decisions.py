"""What a decision must hold: each rule by itself, and its edge."""

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

import pytest

from apps.agents.choices import Action
from apps.agents.domain.decisions import (
    Cycle,
    Limits,
    Rule,
    check,
    direction_of,
    margin_of,
    number,
    shown,
    shown_fraction,
)

LONG, SHORT = "OPEN_LONG", "OPEN_SHORT"
CLOSE, HOLD = "CLOSE_POSITION", "HOLD"


@dataclass(frozen=True)
class Told:
    """A decision as it is told: by itself one that may be carried out."""

    action: str = LONG
    coin: str = "BTC"
    size_usd: Decimal | None = Decimal(2000)
    leverage: Decimal | None = Decimal(10)
    stop_loss_price: Decimal | None = Decimal(95)
    take_profit_price: Decimal | None = Decimal(110)
    confidence: Decimal | None = Decimal("0.8")
    reasoning: str = "trend up on both frames"


@dataclass(frozen=True)
class Money:
    value: Decimal | None = Decimal(10_000)
    withdrawable: Decimal | None = Decimal(10_000)


AGENT = Limits(coins={"BTC", "ETH"}, max_leverage=10, max_position_size=Decimal(20))
NOTHING_DONE = {
    "size_usd": Decimal(0),
    "stop_loss_price": Decimal(0),
    "take_profit_price": Decimal(0),
}
UNKNOWN = object()


def broken(
    *, agent=AGENT, account=Money(), held=None, entry=Decimal(100), seen=(), taken=0, **values
):
    """Return the names of the rules that a decision with these values breaks."""
    found = check(
        Told(**values),
        agent=agent,
        account=account,
        held=held or {},
        entry=entry,
        seen=seen,
        taken=Fraction(taken),
    )
    assert all(each.message.endswith(".") and len(each.message) > 20 for each in found)
    return [each.rule for each in found]


def held_still(**values):
    return broken(**{"action": HOLD, **NOTHING_DONE, **values})


class TestADecisionThatBreaksNothing:
    @pytest.mark.parametrize(
        "values",
        [
            {},
            {"action": SHORT, "stop_loss_price": Decimal(105), "take_profit_price": Decimal(90)},
            {"action": HOLD, **NOTHING_DONE},
            {"action": CLOSE, **NOTHING_DONE, "held": {"BTC": "long"}},
            {"action": HOLD, **NOTHING_DONE, "held": {"BTC": "short"}},
            {"action": HOLD, "size_usd": None, "stop_loss_price": None, "take_profit_price": None},
        ],
    )
    def test_is_accepted(self, values):
        assert broken(**values) == []

    @pytest.mark.parametrize(
        "values",
        [
            {"leverage": Decimal(1)},
            {"leverage": Decimal("10.0")},
            {"confidence": Decimal(0)},
            {"confidence": Decimal(1)},
            {"reasoning": "ten letter"},
            {"confidence": Decimal("0.7"), "agent": AGENT._replace(min_confidence=Decimal("0.70"))},
            {"leverage": Decimal(50), "agent": AGENT._replace(max_leverage=50)},
            {"size_usd": Decimal("2000.000000000000000000")},
            {
                "size_usd": Decimal(10_000),
                "agent": AGENT._replace(max_position_size=Decimal(100)),
            },
            {"account": Money(withdrawable=Decimal(200))},
            {"account": Money(withdrawable=Decimal(300)), "taken": 100},
        ],
    )
    def test_may_stand_exactly_on_a_limit(self, values):
        assert broken(**values) == []


class TestEveryDecision:
    def test_is_on_a_coin_of_its_agent(self):
        assert held_still(coin="XYZ") == ["unknown_coin"]
        assert held_still(coin="") == ["unknown_coin"]

    def test_is_one_of_four_actions(self):
        assert broken(action="BUY") == ["unknown_action"]
        assert broken(action="") == ["unknown_action"]

    def test_says_why(self):
        assert held_still(reasoning="too short") == ["reasoning_too_short"]
        assert held_still(reasoning="short" + " " * 20) == ["reasoning_too_short"]
        assert held_still(reasoning="") == ["reasoning_too_short"]

    @pytest.mark.parametrize("leverage", ["0", "-1", "51", "2.5", "NaN", "Infinity", "1e-30", None])
    def test_has_a_whole_leverage_from_1_to_50(self, leverage):
        told = leverage and Decimal(leverage)

        assert held_still(leverage=told) == ["leverage_out_of_range"]

    @pytest.mark.parametrize("confidence", ["-0.01", "1.01", "7", "NaN", "-Infinity", None])
    def test_is_sure_by_a_share_of_one(self, confidence):
        told = confidence and Decimal(confidence)

        assert held_still(confidence=told) == ["confidence_out_of_range"]

    def test_is_the_only_one_on_its_coin(self):
        assert held_still(seen={"BTC"}) == ["repeated_coin"]
        assert held_still(seen={"ETH"}) == []


class TestWhatOpensNothing:
    @pytest.mark.parametrize("size", ["1", "-1", "0.000000000000000001", "NaN"])
    @pytest.mark.parametrize("action", [HOLD, CLOSE])
    def test_has_no_size(self, action, size):
        found = broken(
            action=action, **NOTHING_DONE | {"size_usd": Decimal(size)}, held={"BTC": "long"}
        )

        assert found == ["size_not_zero"]

    def test_closes_what_is_open_alone(self):
        assert broken(action=CLOSE, **NOTHING_DONE) == ["no_position_to_close"]
        assert broken(action=CLOSE, **NOTHING_DONE, held={"ETH": "long"}) == [
            "no_position_to_close"
        ]

    def test_may_be_told_by_an_agent_that_rests_and_is_not_sure(self):
        resting = AGENT._replace(is_active=False, min_confidence=Decimal("0.9"), max_leverage=2)

        assert held_still(agent=resting) == []
        assert broken(action=CLOSE, **NOTHING_DONE, agent=resting, held={"BTC": "long"}) == []


class TestAnOpening:
    def test_is_for_active_agents(self):
        assert broken(agent=AGENT._replace(is_active=False)) == ["agent_not_active"]

    @pytest.mark.parametrize("side", ["long", "short"])
    def test_is_not_for_what_is_open(self, side):
        assert broken(held={"BTC": side}) == ["position_already_open"]

    def test_is_as_sure_as_the_agent_asks(self):
        agent = AGENT._replace(min_confidence=Decimal("0.7"))

        assert broken(agent=agent, confidence=Decimal("0.69999999")) == ["confidence_below_minimum"]
        assert broken(agent=agent, confidence=Decimal(-1)) == [
            "confidence_out_of_range",
            "confidence_below_minimum",
        ]
        assert broken(agent=agent, confidence=None) == ["confidence_out_of_range"]

    def test_keeps_to_the_leverage_of_its_agent(self):
        assert broken(leverage=Decimal(11)) == ["leverage_above_agent"]
        assert broken(leverage=Decimal(100)) == ["leverage_out_of_range", "leverage_above_agent"]

    @pytest.mark.parametrize("size", ["0", "-250", "NaN", None])
    def test_has_a_size(self, size):
        assert broken(size_usd=size and Decimal(size)) == ["size_not_positive"]

    def test_is_not_larger_than_its_share_of_the_account(self):
        size = Decimal("2000.000000000000000001")

        assert broken(size_usd=size) == ["size_above_position_limit"]

    def test_is_measured_by_its_size_not_by_its_margin(self):
        assert broken(size_usd=Decimal(2500), leverage=Decimal(10)) == ["size_above_position_limit"]

    def test_is_not_larger_than_the_account(self):
        agent = AGENT._replace(max_position_size=Decimal(100))

        assert broken(agent=agent, size_usd=Decimal(10_001)) == [
            "size_above_account",
            "size_above_position_limit",
        ]

    def test_needs_no_more_margin_than_there_is(self):
        assert broken(account=Money(withdrawable=Decimal("199.99"))) == [
            "margin_above_withdrawable"
        ]
        assert broken(account=Money(withdrawable=Decimal(200)), taken=Fraction(1, 10**30)) == [
            "margin_above_withdrawable"
        ]

    def test_of_a_third_is_measured_exactly(self):
        third = {"size_usd": Decimal(100), "leverage": Decimal(3)}

        assert broken(**third, account=Money(withdrawable=Decimal("33." + "3" * 18))) == [
            "margin_above_withdrawable"
        ]
        assert (
            broken(**third, account=Money(withdrawable=Decimal(100)), taken=Fraction(200, 3)) == []
        )

    def test_of_an_account_that_is_not_known_is_not_measured_by_it(self):
        assert broken(account=Money(None, None), size_usd=Decimal(10**9)) == []

    def test_of_an_account_that_is_empty_cannot_be(self):
        assert broken(account=Money(Decimal(0), Decimal(0))) == [
            "size_above_account",
            "size_above_position_limit",
            "margin_above_withdrawable",
        ]

    @pytest.mark.parametrize("price", ["0", "-1", "NaN", None])
    def test_has_a_stop_and_a_target(self, price):
        told = price and Decimal(price)

        assert broken(stop_loss_price=told) == ["stop_missing"]
        assert broken(take_profit_price=told) == ["target_missing"]

    @pytest.mark.parametrize(
        ("action", "stop", "target", "rules"),
        [
            (LONG, 100, 110, ["stop_on_wrong_side"]),
            (LONG, 101, 110, ["stop_on_wrong_side"]),
            (LONG, 95, 100, ["target_on_wrong_side"]),
            (LONG, 105, 90, ["stop_on_wrong_side", "target_on_wrong_side"]),
            (SHORT, 100, 90, ["stop_on_wrong_side"]),
            (SHORT, 99, 90, ["stop_on_wrong_side"]),
            (SHORT, 105, 100, ["target_on_wrong_side"]),
            (SHORT, 95, 110, ["stop_on_wrong_side", "target_on_wrong_side"]),
        ],
    )
    def test_has_its_entry_between_stop_and_target(self, action, stop, target, rules):
        found = broken(
            action=action, stop_loss_price=Decimal(stop), take_profit_price=Decimal(target)
        )

        assert found == rules

    @pytest.mark.parametrize("entry", [None, Decimal(0), Decimal(-1), Decimal("NaN")])
    def test_without_an_entry_holds_stop_and_target_against_each_other(self, entry):
        above = {"stop_loss_price": Decimal(110), "take_profit_price": Decimal(105)}
        same = {"stop_loss_price": Decimal(110), "take_profit_price": Decimal(110)}

        assert broken(entry=entry) == []
        assert broken(entry=entry, **above) == ["stop_beyond_target"]
        assert broken(entry=entry, **same) == ["stop_beyond_target"]
        assert broken(entry=entry, action=SHORT, **above) == []
        assert broken(entry=entry, action=SHORT) == ["stop_beyond_target"]


class TestAllThatIsBroken:
    def test_is_named_at_once_in_the_order_of_the_rules(self):
        found = broken(
            coin="XYZ",
            seen={"XYZ"},
            reasoning="",
            confidence=Decimal(-7),
            agent=Limits({"BTC"}, 10, Decimal(20), Decimal("0.7"), is_active=False),
            held={"XYZ": "long"},
            leverage=Decimal(100),
            size_usd=Decimal(10**30),
            stop_loss_price=Decimal(101),
            take_profit_price=None,
        )

        assert found == [
            "unknown_coin",
            "repeated_coin",
            "reasoning_too_short",
            "confidence_out_of_range",
            "confidence_below_minimum",
            "agent_not_active",
            "position_already_open",
            "leverage_out_of_range",
            "leverage_above_agent",
            "size_above_account",
            "size_above_position_limit",
            "margin_above_withdrawable",
            "target_missing",
            "stop_on_wrong_side",
        ]
        places = list(Rule)
        assert found == sorted(found, key=places.index)

    @pytest.mark.parametrize("action", [*Action.values, "", None])
    @pytest.mark.parametrize(
        "odd",
        [
            None, True, "12", 1.5, float("nan"), float("inf"), 10**40, -1, [], Decimal("sNaN"),
            Decimal("1" * 38 + "." + "9" * 38), Decimal("1e999999"), Decimal("-1e-999999"),
        ],
    )  # fmt: skip
    def test_is_found_in_odd_values_too(self, action, odd):
        told = Told(action, "BTC", odd, odd, odd, odd, odd, "")
        agent = Limits({"BTC"}, 10, Decimal(20), Decimal("0.5"))
        places = {"held": {}, "entry": odd, "seen": (), "taken": Fraction(1, 3)}

        found = check(told, agent=agent, account=Money(odd, odd), **places)

        assert "reasoning_too_short" in [each.rule for each in found]
        assert all(len(each.message) < 400 for each in found)


class TestTheSentences:
    def test_hold_the_numbers(self):
        found = check(
            Told(size_usd=Decimal("2500.50"), leverage=Decimal(20), stop_loss_price=Decimal(101)),
            agent=AGENT,
            account=Money(withdrawable=Decimal("100.000")),
            held={},
            entry=Decimal("100.0"),
            seen=(),
            taken=Fraction(10),
        )

        assert [each.message for each in found] == [
            "Leverage 20 is above 10, the agent's limit.",
            "Size 2500.5 is above 2000, which is 20 % of the account's value, 10000.",
            "Margin 125.025 beside 10 of this cycle is above 100, which is withdrawable.",
            "Stop 101 of a long must be below the entry, 100.",
        ]

    def test_shorten_what_nobody_could_read(self):
        assert shown(Decimal("1e999")) == "1.000000e+999"
        assert shown(Decimal("0.1" + "2" * 60)) == "1.222222e-1"
        assert shown(Decimal("-0.00")) == "0"
        assert shown_fraction(Fraction(100, 3)) == "33.33333333"
        assert shown_fraction(Fraction(10**60)) == "1.000000e+60"

    def test_are_short_whatever_a_coin_is_called(self):
        found = check(
            Told(coin="X" * 1000),
            agent=AGENT, account=Money(), held={}, entry=None, seen={"X" * 1000},
        )  # fmt: skip

        assert [len(each.message) < 200 for each in found] == [True, True]


class TestNumbers:
    def test_are_what_can_be_compared(self):
        assert number(Decimal("1.50")) == Decimal("1.5")
        assert (number(3), number(0.1)) == (Decimal(3), Decimal("0.1"))
        assert [number(odd) for odd in (None, True, "1", Decimal("NaN"), float("inf"))] == [
            None
        ] * 5

    def test_end_where_nobody_counts_on(self):
        assert number(Decimal("1e9999")) == Decimal("1e1000")
        assert number(Decimal("-1e9999")) == Decimal("-1e1000")
        assert number(Decimal("1e-9999")) == Decimal("1e-1000")


class TestDirections:
    @pytest.mark.parametrize(
        ("action", "held", "direction"),
        [
            (LONG, {}, "long"),
            (SHORT, {}, "short"),
            (HOLD, {"BTC": "long"}, ""),
            (CLOSE, {"BTC": "long"}, "short"),
            (CLOSE, {"BTC": "short"}, "long"),
            (CLOSE, {"ETH": "long"}, ""),
            (CLOSE, {"BTC": "sideways"}, ""),
            ("", {}, ""),
        ],
    )
    def test_follow_from_the_action_and_what_is_held(self, action, held, direction):
        assert direction_of(action, "BTC", held) == direction


class TestACycle:
    def cycle(self, **values):
        usual = {"agent": AGENT, "account": Money(withdrawable=Decimal(300)), "held": {}}
        return Cycle(**usual | values)

    def test_takes_the_margin_of_what_it_accepts(self):
        cycle = self.cycle()
        judged = [cycle.judge(Told(coin=coin), entry=Decimal(100)) for coin in ("BTC", "ETH")]

        assert [[each.rule for each in found] for found in judged] == [
            [],
            ["margin_above_withdrawable"],
        ]
        assert (cycle.taken, cycle.opened) == (200, [])

    def test_takes_nothing_for_what_it_rejects(self):
        cycle = self.cycle()
        cycle.judge(Told(confidence=Decimal(7)), entry=Decimal(100))

        assert cycle.judge(Told(coin="ETH"), entry=Decimal(100)) == []

    def test_has_one_decision_per_coin_whatever_became_of_the_first(self):
        cycle = self.cycle()
        cycle.judge(Told(confidence=Decimal(7)), entry=None)

        again = cycle.judge(replace(Told(), action=HOLD, **NOTHING_DONE), entry=None)

        assert [each.rule for each in again] == ["repeated_coin"]

    def test_remembers_what_is_not_judged(self):
        cycle = self.cycle()
        cycle.note("BTC")
        cycle.note("")

        assert [each.rule for each in cycle.judge(Told(), entry=None)] == ["repeated_coin"]
        assert cycle.seen == {"BTC"}

    def test_margin_needs_a_size_and_a_leverage(self):
        assert margin_of(Told(size_usd=Decimal(100), leverage=Decimal(3))) == Fraction(100, 3)
        assert margin_of(Told(leverage=Decimal(0))) is None
        assert margin_of(Told(size_usd=None)) is None
