"""Keys, patterns and payloads of the cache."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.market.choices import Granularity
from apps.market.domain.cache import (
    DEFAULT_RULES,
    NotJson,
    PatternRefused,
    Rule,
    as_json,
    cache_key,
    candle_type,
    from_json,
    like_text,
    rule_for,
)


class TestCacheKey:
    @pytest.mark.parametrize(
        ("source", "method", "args", "key"),
        [
            ("coingecko", "fetch", ("bitcoin", "3mo"), "coingecko:fetch:bitcoin:3mo"),
            ("cryptocompare", "fetch", ("BTC", "365d"), "cryptocompare:fetch:BTC:365d"),
            (
                "SentimentDataSource",
                "fetch_fear_greed_index",
                (),
                "sentimentdatasource:fetch_fear_greed_index",
            ),
        ],
    )
    def test_is_that_of_the_source(self, source, method, args, key):
        assert cache_key(source, method, *args) == key

    def test_names_stand_in_order_behind_the_arguments(self):
        assert cache_key("A", "B", "X", limit=5, at=None) == "a:b:X:at=None:limit=5"

    def test_a_long_one_is_hashed(self):
        short = cache_key("a", "b", "x" * 196)
        long = cache_key("a", "b", "x" * 197)

        assert len(short) == 200
        assert long.startswith("a:b:")
        assert len(long) == 4 + 32
        assert long == cache_key("a", "b", "x" * 197) != cache_key("a", "b", "x" * 198)

    def test_two_questions_never_have_one_key(self):
        questions = [
            (("a:b", "c"), {}),
            (("a", "b:c"), {}),
            (("a", "b", "c"), {}),
            (("a%3Ab", "c"), {}),
            (("k=v",), {}),
            ((), {"k": "v"}),
        ]
        keys = {cache_key("s", "m", *args, **words) for args, words in questions}
        assert len(keys) == len(questions)

    def test_a_time_is_written_in_one_way(self):
        assert cache_key("s", "m", datetime(2026, 1, 2, tzinfo=UTC)) == (
            "s:m:2026-01-02T00%3A00%3A00+00%3A00"
        )

    @pytest.mark.parametrize("text", ["\0", "\ud800"])
    def test_what_the_database_does_not_take_is_hashed(self, text):
        assert cache_key("s", "m", text).isascii()
        assert "\0" not in cache_key("s", "m", text)

    @pytest.mark.parametrize(("source", "method"), [("", "m"), ("s", ""), ("s" * 160, "m" * 20)])
    def test_needs_a_source_and_a_method(self, source, method):
        with pytest.raises(ValueError, match="needs a source and a method"):
            cache_key(source, method)


class TestRules:
    def test_are_those_of_the_source(self):
        seconds = {rule.data_type: rule.ttl_seconds for rule in DEFAULT_RULES}
        service = {
            "price": 60, "ohlcv": 300, "sentiment": 1800, "onchain": 1800, "macro": 3600,
            "news": 900, "fear_greed": 3600, "network_stats": 1800, "default": 300,
        }  # fmt: skip
        integrations = {
            "real_time_price": 30, "order_book": 10, "ohlcv_1m": 30, "ohlcv_5m": 60,
            "ohlcv_15m": 180, "ohlcv_1h": 300, "ohlcv_4h": 600, "ohlcv_1d": 900, "technical": 300,
            "sentiment": 1800, "fear_greed": 3600, "news": 900, "onchain": 1800, "network": 1800,
            "blockchain": 3600, "macro": 3600, "economic": 7200, "forex": 300, "commodity": 600,
        }  # fmt: skip
        assert {**service, **integrations}.items() <= seconds.items()
        assert len(seconds) == len(DEFAULT_RULES)

    def test_can_be_stored(self):
        for rule in DEFAULT_RULES:
            assert rule.ttl_seconds > 0 <= rule.stale_seconds
            assert len(rule.data_type) <= 50
            assert 0 < len(rule.description) <= 255

    def test_the_default_answers_for_the_rest(self):
        rules = {"a": Rule("a", 1, 2, ""), "default": Rule("default", 3, 4, "")}
        assert rule_for(rules, "a").ttl_seconds == 1
        assert rule_for(rules, "b").ttl_seconds == 3
        assert rule_for({}, "b").ttl_seconds == 300

    def test_every_granularity_has_one(self):
        known = {rule.data_type for rule in DEFAULT_RULES}
        assert {candle_type(each) for each in Granularity} <= known
        assert candle_type("4h") == "ohlcv_4h"
        assert candle_type("1w") == "ohlcv_1d"


class TestLikeText:
    def test_matches_a_part_literally(self):
        assert like_text("BTC") == "%BTC%"
        assert like_text("50%_\\") == "%50\\%\\_\\\\%"

    def test_takes_a_star_for_anything(self):
        assert like_text("a*b") == "%a%b%"

    @pytest.mark.parametrize("pattern", ["", "*", "***", " ", " * "])
    def test_refuses_what_would_match_everything(self, pattern):
        with pytest.raises(PatternRefused, match='choose the kind "all"'):
            like_text(pattern)

    @pytest.mark.parametrize("pattern", ["a\0", "a" * 256])
    def test_refuses_what_no_key_holds(self, pattern):
        with pytest.raises(PatternRefused, match="No key holds"):
            like_text(pattern)

    @pytest.mark.parametrize("pattern", ["%", "_", "\\"])
    def test_a_sign_of_the_database_is_a_sign_like_any_other(self, pattern):
        assert like_text(pattern) == f"%\\{pattern}%"


class TestPayloads:
    def test_decimals_are_strings_digit_by_digit(self):
        text = as_json({"price": [Decimal("0.09840000"), Decimal("1E-18")], "n": 7, "x": None})
        assert json.loads(text) == {"price": ["0.09840000", "1E-18"], "n": 7, "x": None}

    def test_are_ascii_so_that_every_text_can_be_stored(self):
        assert as_json("\0 \ud800 ä").isascii()
        assert from_json(as_json("\0 \ud800 ä")) == "\0 \ud800 ä"

    @pytest.mark.parametrize(
        "value",
        [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), b"bytes", object(), {1}],
    )
    def test_what_is_no_json_is_refused(self, value):
        with pytest.raises(NotJson):
            as_json({"value": value})

    def test_what_holds_itself_is_refused(self):
        value = []
        value.append(value)
        with pytest.raises(NotJson):
            as_json(value)

    @pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "gASVcgg=", "[" * 100_000])
    def test_what_does_not_parse_is_refused(self, text):
        with pytest.raises(NotJson):
            from_json(text)
