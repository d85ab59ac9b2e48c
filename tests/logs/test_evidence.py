"""Text is kept as it came, and shown so that it cannot lie."""

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apps.logs.domain.evidence import storable, storable_value


class TestStorable:
    def test_replaces_what_a_database_cannot_keep_and_counts(self):
        assert storable("a\x00b\ud800") == ("a\ufffdb\ufffd", 2)

    def test_leaves_all_else(self):
        text = "é \x1b[31m <script> \u202e 😀 \r\n\t"
        assert storable(text) == (text, 0)

    def test_joins_two_halves_of_one_character(self):
        assert storable("\ud83d\ude00 \x00") == ("😀 \ufffd", 1)
        assert storable("\ud83d\ude00") == ("😀", 0)

    @given(st.text(st.characters(exclude_categories=[])))
    def test_gives_what_utf_8_can_write(self, text):
        kept, _ = storable(text)
        assert b"\x00" not in kept.encode()


class Mute:
    def __str__(self) -> str:
        raise RuntimeError


class TestStorableValue:
    def test_goes_into_lists_objects_and_keys(self):
        assert storable_value({"a\x00": ["\ud800", ("x", {"y": "\x00"})]}) == (
            {"a\ufffd": ["\ufffd", ["x", {"y": "\ufffd"}]]},
            3,
        )

    def test_makes_text_of_what_json_does_not_know(self):
        found, replaced = storable_value(
            {
                "nan": float("nan"),
                "inf": float("-inf"),
                "decimal": Decimal("NaN"),
                "huge": Decimal("1e99999"),
                "whole": 10**5000,
                "exact": Decimal("1.10"),
                "object": Mute(),
                3: 1j,
                "3": 4,
            }
        )
        assert replaced == 0
        assert found["exact"] == Decimal("1.10")
        assert (found["nan"], found["inf"], found["decimal"]) == ("nan", "-inf", "NaN")
        assert found["object"] == "<Mute that has no text>"
        assert found["3"] == "1j"
        assert found["3 (again)"] == 4
        assert json.dumps(found, default=str, allow_nan=False)

    def test_ends_where_a_value_holds_itself(self):
        value: list = [1]
        value.append(value)
        assert storable_value(value) == ([1, "[contains itself]"], 0)

    def test_ends_where_it_gets_too_deep(self):
        value: list = []
        for _ in range(5000):
            value = [value]
        assert "[too deep]" in json.dumps(storable_value(value)[0])
