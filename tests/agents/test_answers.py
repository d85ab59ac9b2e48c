"""What is read from an answer of a model: all that a careful human could, and nothing else."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from apps.agents.domain.answers import Answer, Read, read_answer
from apps.agents.domain.answers.loose import Reader
from apps.agents.domain.answers.values import document_of
from tests.agents.damaged import (
    COINS,
    DAMAGES,
    THOUGHT,
    TOLD,
    Damage,
    Told,
    by_line,
    expected,
    sample,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "agents"
REAL = SHARED / "llm_answer_all_hold.txt"
needs_the_real_one = pytest.mark.skipif(
    not REAL.exists(), reason="the real answer (../shared/data) is not here"
)


def read(text: str, coins: tuple[str, ...] = COINS) -> Answer:
    return read_answer(text, coins=coins)


def one(text: str) -> Read:
    """Return the only decision of an answer that is read whole."""
    answer = read(text)
    assert answer.broken == []
    (found,) = answer.found
    return found


def plain(found: Read) -> Told:
    return Told(*(getattr(found, name) for name in Told._fields))


def told_by_the_real_one() -> dict[str, Told]:
    rows = json.loads(REAL.with_suffix(".expected.json").read_text(), parse_float=Decimal)
    return {row["coin"]: Told(**{**row, "size_usd": Decimal(row["size_usd"])}) for row in rows}


def check(damage: Damage, text: str, whole: dict[str, Told]) -> None:
    answer = read(damage.damage(text))

    wanted = [
        damage.changed.get(coin, lambda told: told)(told)
        for coin, told in whole.items()
        if coin not in damage.broken
    ]
    if damage.is_lines:
        wanted = [by_line(told) for told in wanted]
    if damage.second:
        wanted.append(damage.second(whole["BTC"]))
    assert [plain(each) for each in answer.found] == wanted
    assert [(each.coin, each.action) for each in answer.broken] == [
        (coin, whole[coin].action if is_known else "")
        for coin, is_known in damage.broken.items()
        if is_known is not None
    ]
    for each in answer.broken:
        assert each.raw.startswith(f'"{each.coin}": {{')
        assert each.message


class TestTheSample:
    def test_says_what_its_objects_say(self):
        answer = read(sample())

        assert [plain(each) for each in answer.found] == list(expected(TOLD).values())
        assert answer.broken == []
        assert answer.thought == THOUGHT
        assert [each.document for each in answer.found] == list(TOLD.values())
        assert [each.place for each in answer.found] == list(range(6))

    @needs_the_real_one
    def test_a_real_one_gives_its_decisions(self):
        answer = read(REAL.read_text())

        assert [plain(each) for each in answer.found] == list(told_by_the_real_one().values())
        assert answer.broken == []
        assert answer.thought.startswith("My portfolio is up 4.99%")

    def test_a_known_answer(self):
        found = one(
            '{"BTC":{"signal":"long","risk_usd":250,"leverage":10,"confidence":0.8,"stop_loss":'
            '107105.6,"profit_target":116716.25,"justification":"trend up on both frames"}}'
        )

        assert plain(found) == Told(
            "BTC", "OPEN_LONG", Decimal(2500), Decimal(10), Decimal("107105.6"),
            Decimal("116716.25"), Decimal("0.8"), "trend up on both frames",
        )  # fmt: skip


class TestDamagedSamples:
    def test_are_thirty_and_more(self):
        assert len(DAMAGES) >= 30

    @pytest.mark.parametrize("name", DAMAGES)
    def test_lose_nothing_that_can_be_read(self, name):
        check(DAMAGES[name], sample(), expected(TOLD))

    @needs_the_real_one
    @pytest.mark.parametrize("name", DAMAGES)
    def test_of_a_real_answer_neither(self, name):
        check(DAMAGES[name], REAL.read_text(), told_by_the_real_one())


class TestDecisions:
    @pytest.mark.parametrize(
        ("told", "action"),
        [
            ("Long", "OPEN_LONG"), ("BUY", "OPEN_LONG"), ("open-long", "OPEN_LONG"),
            ("buy_to_enter", "OPEN_LONG"), ("OPEN_SHORT", "OPEN_SHORT"), ("sell", "OPEN_SHORT"),
            ("closePosition", "CLOSE_POSITION"), ("exit", "CLOSE_POSITION"), ("hold", "HOLD"),
            ("No action", "HOLD"), ("wait", "HOLD"),
        ],
    )  # fmt: skip
    def test_have_an_action_in_many_words(self, told, action):
        assert one(json.dumps({"BTC": {"signal": told, "confidence": 0.5}})).action == action

    @pytest.mark.parametrize(
        "told", ["to the moon", "longish", "", None, 1, {"is": "long"}, "none"]
    )
    def test_do_not_hold_because_their_signal_is_unknown(self, told):
        answer = read(json.dumps({"BTC": {"signal": told, "leverage": 2}, "ETH": "hold"}))

        (broken,) = answer.broken
        assert (broken.coin, broken.action, broken.document["leverage"]) == ("BTC", "", 2)
        assert [found.coin for found in answer.found] == ["ETH"]

    def test_may_say_their_side_apart(self):
        assert one('{"BTC": {"action": "open", "side": "short"}}').action == "OPEN_SHORT"
        assert one('{"BTC": {"action": "close", "side": "long"}}').action == "CLOSE_POSITION"

    @pytest.mark.parametrize(
        ("told", "coin"),
        [
            ("btc", "BTC"), ("BTC/USD", "BTC"), ("BTCUSDT", "BTC"), ("BTC-PERP", "BTC"),
            ("BTC/USDT:USDT", "BTC"), ("$ETH", "ETH"), ("eth_usdc", "ETH"), ("ETH/BTC", "ETH/BTC"),
            ("PEPE", "PEPE"), ("pepe", "PEPE"),
        ],
    )  # fmt: skip
    def test_are_of_the_coin_that_is_meant(self, told, coin):
        assert one(json.dumps([{"symbol": told, "signal": "hold"}])).coin == coin

    def test_name_their_coin_once(self):
        for text in (
            '{"signal": "long"}',
            '[{"coin": "B" , "signal": "long"}, {"signal": "long"}]',
        ):
            (broken,) = read(text).broken
            assert (broken.coin, broken.action) == ("", "OPEN_LONG")
        assert read_answer('{"signal": "hold"}', coins=["BTC"]).found[0].coin == "BTC"

    @pytest.mark.parametrize("told", ["SHORT", 5, {"leverage": 2}, ["long", "short"], None])
    def test_that_are_no_objects_are_read_or_broken(self, told):
        answer = read(json.dumps({"BTC": told, "ETH": {"signal": "hold"}}))

        assert [each.coin for each in answer.found][-1] == "ETH"
        assert len(answer.found) + len(answer.broken) == 2

    def test_may_stand_deeper_below_their_coin(self):
        found = one('{"BTC": {"trade_signal_args": {"signal": "hold", "coin": "BTC"}}}')

        assert (found.coin, found.action) == ("BTC", "HOLD")


class TestNumbers:
    @pytest.mark.parametrize(
        ("told", "number"),
        [
            ("0.65", "0.65"), ('"65%"', "0.65"), ('"65 %"', "0.65"), ("65", "0.65"), ("1", "1"),
            ('"1%"', "0.01"), ("0.5%", "0.005"), ("100", "1"), ('"0,7"', "0.7"), ("0", "0"),
            ("101", "101"), ("-0.2", "-0.2"), ("1.5", "0.015"), ("6.5e-1", "0.65"),
        ],
    )  # fmt: skip
    def test_of_confidence(self, told, number):
        found = one(f'{{"BTC": {{"signal": "hold", "confidence": {told}}}}}')

        assert found.confidence == Decimal(number)

    @pytest.mark.parametrize("told", ["10", '"10x"', '"10X"', '"x10"', "10x", '"10:1"', '"10.0"'])
    def test_of_leverage(self, told):
        assert one(f'{{"BTC": {{"signal": "long", "leverage": {told}}}}}').leverage == 10

    @pytest.mark.parametrize(
        ("told", "number"),
        [
            ('"1,250.50"', "1250.5"), ('"$1,250.50"', "1250.5"), ('"1250.5 USDT"', "1250.5"),
            ("1_250.5", "1250.5"), ("1,250.50", "1250.5"), ("$1,250.50", "1250.5"),
            ('"1.250,50"', "1250.5"), ('"1.2k"', "1200"), ("1.2505e3", "1250.5"),
            ("12345678901234567.123456789012345678", "12345678901234567.123456789012345678"),
        ],
    )  # fmt: skip
    def test_of_money(self, told, number):
        found = one(f'{{"BTC": {{"signal": "short", "stop_loss": {told}, "size_usd": 5}}}}')

        assert (found.stop_loss_price, found.size_usd) == (Decimal(number), 5)

    @pytest.mark.parametrize("told", ["null", "NaN", '""', '"N/A"', '"-"', "None"])
    def test_that_are_not_told(self, told):
        found = one(f'{{"BTC": {{"signal": "long", "stop_loss": {told}, "leverage": {told}}}}}')

        assert (found.stop_loss_price, found.leverage, found.size_usd) == (None, None, None)

    @pytest.mark.parametrize(
        "told",
        [
            '"about 5"',
            "Infinity",
            '"5%"',
            "1e999",
            "true",
            "[5]",
            "{}",
            "1" * 500,
            "1.2.3",
            "1,25,0",
        ],
    )
    def test_that_cannot_be_read_break_the_decision_and_nothing_else(self, told):
        answer = read(
            f'{{"BTC": {{"signal": "long", "stop_loss": {told}, "coin": "BTC"}}, "ETH": "hold"}}'
        )

        assert [(each.coin, each.action) for each in answer.broken] == [("BTC", "OPEN_LONG")]
        assert "stoploss" in answer.broken[0].message
        assert [each.coin for each in answer.found] == ["ETH"]

    def test_of_size_are_what_is_told_or_else_risk_times_leverage(self):
        both = {"signal": "long", "risk_usd": 0.1, "leverage": 3}

        assert one(json.dumps({"BTC": both})).size_usd == Decimal("0.3")
        assert one(json.dumps({"BTC": {**both, "notional": 70}})).size_usd == 70
        assert one(json.dumps({"BTC": {**both, "leverage": None}})).size_usd is None
        (broken,) = read('{"BTC": {"signal": "long", "risk_usd": 9e18, "leverage": 99}}').broken
        assert broken.action == "OPEN_LONG"

    def test_are_rounded_to_what_is_kept(self):
        found = one('{"BTC": {"signal": "long", "confidence": 0.6666666666666666}}')

        assert found.confidence == Decimal("0.66666667")
        assert found.document["confidence"] == 0.6666666666666666

    def test_do_not_matter_where_nothing_is_opened(self):
        found = one('{"BTC": {"signal": "hold", "stop_loss": "none yet", "leverage": 0}}')

        assert plain(found)[2:6] == (0, 1, 0, 0)


class TestReasons:
    @pytest.mark.parametrize(
        ("told", "reason"),
        [
            ({"justification": "a", "reasoning": "b"}, "a"),
            ({"justification": "  ", "reasoning": "b", "analysis": "c"}, "b"),
            ({"analysis": "c", "invalidation_condition": "d"}, "c"),
            ({"invalidation_condition": "d"}, "d"),
            ({"justification": ["x", "é"]}, '["x", "é"]'),
            ({}, "No reasoning provided"),
        ],
    )
    def test_are_the_first_that_is_told(self, told, reason):
        assert one(json.dumps({"BTC": {"signal": "hold", **told}})).reasoning == reason


class TestLines:
    @pytest.mark.parametrize(
        "line",
        [
            "ETH: HOLD (65%) - QUANTITY: 1.26", "**ETH**: HOLD (65%)", "- ETH: hold, 65%",
            "| ETH | HOLD | 65% |", "ETH — HOLD — 65%", "ETH: HOLD (confidence: 65%)",
            "ETH\nHOLD\n65%\n\nQUANTITY: 1.26", "**ETH**\n\n- Hold\n- Confidence: 65%",
            "ETH/USD:\nhold\n0.65", "ETH: HOLD\n65%", "ETH: HOLD 65%",
        ],
    )  # fmt: skip
    def test_are_read_in_both_forms(self, line):
        answer = read(f"I wait.\n\nTRADING_DECISIONS\n{line}\n\nBTC: CLOSE\n")

        assert [(each.coin, each.action, each.confidence) for each in answer.found] == [
            ("ETH", "HOLD", Decimal("0.65")), ("BTC", "CLOSE_POSITION", None),
        ]  # fmt: skip
        assert answer.broken == []

    def test_do_not_speak_where_the_object_does(self):
        answer = read(
            'CHAIN_OF_THOUGHT {"BTC": {"signal": "long"}} TRADING_DECISIONS\nBTC: HOLD (65%)\n'
            "SOL: SHORT (80%)"
        )

        assert [(each.coin, each.action) for each in answer.found] == [
            ("BTC", "OPEN_LONG"), ("SOL", "OPEN_SHORT"),
        ]  # fmt: skip
        assert answer.found[1].size_usd is None

    def test_do_not_turn_what_is_broken_into_something_else(self):
        answer = read(
            'CHAIN_OF_THOUGHT\n{"BTC": {"signal": "long", "leverage": "as usual"},'
            ' "SOL": {"signal": "?"}}\nTRADING_DECISIONS\nBTC: HOLD (65%)\nSOL: SHORT (80%)'
        )

        assert answer.found == []
        assert [(each.coin, each.action) for each in answer.broken] == [
            ("BTC", "OPEN_LONG"), ("SOL", "OPEN_SHORT"),
        ]  # fmt: skip
        assert "HOLD" in answer.broken[0].message

    def test_with_an_unknown_action_are_broken(self):
        (broken,) = read("TRADING_DECISIONS\nETH\nMOON\n65%").broken

        assert (broken.coin, broken.action, broken.raw) == ("ETH", "", "ETH\nMOON\n65%")

    def test_in_prose_are_none(self):
        answer = read("ETH: buy pressure is growing, and the BTC: sell wall is high.\nSOL\nis up")

        assert answer.found == []
        assert [each.coin for each in answer.broken] == [""]


class TestAnswersOfAnotherKind:
    @pytest.mark.parametrize(
        "text", ["", " \n", "I cannot help with that.", "{}", "[]", "null", "\x00", "\ud800", "{"]
    )
    def test_without_any_decision_are_broken_as_a_whole(self, text):
        answer = read(text)

        assert answer.found == []
        assert [(each.coin, each.action, each.raw) for each in answer.broken] == [("", "", text)]

    def test_the_last_place_counts_only_where_others_are_silent(self):
        drafts = '<think>{"BTC": "short", "ETH": "short"}</think>'

        assert [each.action for each in read(drafts + '{"BTC": "hold"}').found] == ["HOLD"]
        assert [each.action for each in read(drafts).found] == ["OPEN_SHORT"] * 2

    def test_tags_and_fences_within_a_text_are_its_own(self):
        told = "see <think> and ``` and TRADING_DECISIONS </think> above"
        found = one(json.dumps({"BTC": {"signal": "hold", "reasoning": told}}, indent=1))

        assert found.reasoning == told

    def test_a_draft_that_was_left_open_does_not_reach_beyond_its_thoughts(self):
        for end in ("</think>\n", "\n</think>", "\n```\n"):
            answer = read('<think>{"BTC": {"signal": "short"' + end + '{"BTC": {"signal": "hold"}}')
            assert [each.action for each in answer.found][-1] == "HOLD"
            assert len(answer.found) <= 2

    def test_a_word_before_an_object_names_it_only_where_nothing_else_does(self):
        for text in (
            'JSON: [{"coin": "BTC", "signal": "hold"}]',
            'Not ETH: {"coin": "BTC", "signal": "hold"}',
            'ETH: [{"symbol": "BTC", "signal": "hold"}]',
            '{"OUTPUT": {"coin": "BTC", "signal": "hold"}}',
            '**BTC**:\n```json\n{"signal": "hold"}\n```',
        ):
            assert (one(text).coin, one(text).action) == ("BTC", "HOLD")

    def test_both_sections_in_one_object_are_told_once(self):
        found = one(
            '{"chain_of_thought": {"BTC": {"signal": "long", "leverage": 3}},'
            ' "trading_decisions": {"BTC": {"action": "OPEN_LONG"}}}'
        )

        assert found.leverage == 3

    def test_prices_and_positions_are_no_decisions(self):
        answer = read(
            '{"prices": {"BTC": 1}, "positions": {"ETH": {"side": "long"}}, "BTC": "hold"}'
        )

        assert [each.coin for each in answer.found] == ["BTC"]
        assert answer.broken == []

    def test_a_word_that_is_no_coin_is_none(self):
        answer = read('{"summary": {"action": "wait"}, "BTC": {"signal": "hold"}}')

        assert [each.coin for each in answer.found] == ["BTC"]

    def test_too_many_decisions_are_not_all_read(self):
        answer = read(json.dumps([{"coin": "BTC", "signal": "hold"}] * 600))

        assert len(answer.found) == 500
        assert "500" in answer.broken[0].message


# --- Whatever is wrapped ------------------------------------------------------------------

SCALARS = some.none() | some.booleans() | some.integers(-(10**17), 10**17) | some.text(max_size=30)
SCALARS |= some.floats(allow_nan=False, allow_infinity=False)
VALUES = some.recursive(
    SCALARS,
    lambda inner: (
        some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=8,
)
FREE = some.dictionaries(some.text(max_size=12).map("own {}".format), VALUES, max_size=4)
ROWS = some.dictionaries(
    some.sampled_from(COINS),
    FREE.flatmap(lambda free: some.just({"signal": "hold", **free})),
    min_size=1,
)
WRAPPINGS = {
    "bare": "{}".format,
    "fenced": "Here:\n```json\n{}\n```\nThat is all.".format,
    "in sections": "Up.\n\nCHAIN_OF_THOUGHT\n{}\n\nTRADING_DECISIONS\nBTC: HOLD (1%)".format,
    "in a wrapper": '{{"note": "x", "decisions": {}}}'.format,
    "in prose": "Well {{then}} [1], {} it is.".format,
}


class TestAnyJson:
    @given(value=VALUES, indent=some.sampled_from([None, 0, 2]))
    @settings(max_examples=60, deadline=None)
    def test_is_read_as_json_reads_it(self, value: Any, indent: int | None):
        text = json.dumps({"value": value}, indent=indent)
        (block,) = Reader(text).blocks()

        assert document_of(block) == {"value": json.loads(text)["value"]}
        assert text[block.start : block.end] == text

    @given(rows=ROWS, wrapping=some.sampled_from(sorted(WRAPPINGS)), is_ascii=some.booleans())
    @settings(max_examples=60, deadline=None)
    def test_of_coins_comes_back_in_any_wrapping(self, rows, wrapping, is_ascii):
        inside = json.dumps(rows, ensure_ascii=is_ascii, indent=2 if is_ascii else None)
        found = read(WRAPPINGS[wrapping](inside)).found

        here = {
            each.coin: each.document for each in found if "TRADING_DECISIONS" not in each.document
        }
        assert here == json.loads(inside)

    @given(text=some.text(alphabet="{}[]\"'`:,\\/*#\n \t“”BTCsignal0x%-<>\x00\ud800", max_size=200))
    @settings(max_examples=100, deadline=None)
    def test_and_anything_else_is_answered(self, text):
        answer = read(text)

        assert answer.found or answer.broken

    @given(place=some.integers(0, 3000), length=some.integers(0, 40), new=some.text(max_size=3))
    @settings(max_examples=60, deadline=None, derandomize=True)
    def test_damaged_anywhere_says_nothing_that_was_not_there(self, place, length, new):
        """A damage in one coin leaves the others as they were."""
        text = sample()
        place %= text.index("TRADING_DECISIONS")
        damaged = text[:place] + new + text[place + length :]
        whole = expected(TOLD)

        hit = [
            coin
            for coin in COINS
            if (start := text.index(f'"{coin}": {{')) - 4 <= place + length
            and place <= text.index("}", start) + 4
        ]
        found = {each.coin: plain(each) for each in read(damaged).found}
        for coin in set(COINS) - set(hit):
            assert found[coin] in (whole[coin], by_line(whole[coin]))


class TestHostileTexts:
    """Their cost is counted, not timed: characters that are looked at, and steps."""

    SHAPES = (
        "{", "[", '{"', '{"a":', "`", "```json\n{", '"a":"x\n 1 ', 'x, "', '"x" ', '\\"', "\\",
        "{ } ", "[{", "{   ", "/*", "{/*", "//\n", '"BTC":{"signal":"hold",', '{"BTC":"hold"}',
        ",", ", x y", "CHAIN_OF_THOUGHT\n", "TRADING_DECISIONS ", "BTC\n", "BTC: HOLD (65%)\n",
        "<think>", "\n", '"\n', "9", '" ,"', "“", "' '", " !x", "a:", "\r", "\\ud800", "{{", "#",
    )  # fmt: skip

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("begin", ["", '{"BTC": {"signal": "', '{"BTC":', "{"])
    def test_cost_in_proportion_to_their_length(self, shape, begin):
        for length in (400, 1_600):
            text = begin + shape * (length // len(shape))
            reader = Reader(text)
            list(reader.blocks())
            assert reader.spent <= 110 * len(text) + 10_000

    def test_cost_no_more_than_half_a_megabyte_of_json_however_long(self):
        for shape in ('{"a":"x\n 1 ', "```json\n{", '{"'):
            reader = Reader(shape * 20_000)
            list(reader.blocks())
            assert reader.is_tangled
            assert reader.spent <= 2_000_000

    def test_of_ordinary_json_little_is_spent(self):
        reader = Reader(sample())
        list(reader.blocks())
        assert reader.spent <= 6 * len(reader.text)

    def test_come_to_an_end_that_is_told(self):
        answer = read('{"BTC": {"signal": "hold"}}' + '{"a": "x\n 1 "' * 40_000)

        assert [each.coin for each in answer.found] == ["BTC"]
        assert "not read to its end" in answer.broken[0].message

    def test_nest_no_deeper_than_is_safe(self):
        for text in ('{"a":' * 1_000, "[{" * 1_000, '{"BTC":{"signal":"hold",' * 200):
            assert "not read to its end" in read(text).broken[-1].message
