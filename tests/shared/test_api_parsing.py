"""Bodies are read exactly or not at all."""

from decimal import Decimal

import pytest
from django.test import RequestFactory

from apps.shared.api import parsing
from apps.shared.api.errors import ApiError


def code_of(text: str | bytes) -> str:
    with pytest.raises(parsing.NotStrict) as caught:
        parsing.loads(text)
    return caught.value.code


class TestNumbers:
    @pytest.mark.parametrize("text", ["0.1", "64000.123456789012345678", "1e-30", "-0.0"])
    def test_keep_every_digit(self, text):
        assert parsing.loads(text) == Decimal(text)

    def test_are_decimals_when_they_have_a_point(self):
        assert isinstance(parsing.loads("1.5"), Decimal)

    def test_stay_whole_when_they_are(self):
        assert parsing.loads("[1, -2]") == [1, -2]

    def test_with_a_thousand_digits_are_read_without_loss(self):
        assert parsing.loads("9" * 1000) == Decimal("9" * 1000)

    def test_with_a_hundred_thousand_digits_do_not_stop_the_reader(self):
        assert parsing.loads("9" * 100_000) > 0

    def test_with_a_huge_exponent_cost_nothing(self):
        assert parsing.loads("1e999999").adjusted() == 999_999

    def test_with_an_exponent_beyond_all_bounds_are_refused(self):
        assert code_of("1e99999999999999999999999") == "number_too_large"

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "[NaN]", "01", "1.", ".5"])
    def test_that_are_no_json_are_refused(self, text):
        assert code_of(text) == "malformed"


class TestNames:
    def test_given_twice_are_refused(self):
        assert code_of('{"a": 1, "a": 1}') == "duplicate_name"

    def test_given_twice_deep_inside_are_refused(self):
        assert code_of('[{"a": {"b": 1, "b": 2}}]') == "duplicate_name"

    def test_given_twice_in_different_spelling_are_refused(self):
        assert code_of('{"a": 1, "\\u0061": 2}') == "duplicate_name"

    def test_of_half_a_surrogate_pair_can_be_reported(self):
        assert code_of('{"\\ud800": 1, "\\ud800": 2}') == "duplicate_name"


class TestNesting:
    def test_is_allowed_to_the_limit(self):
        assert parsing.loads("[" * 64 + "]" * 64)

    @pytest.mark.parametrize("depth", [65, 1_000, 200_000])
    @pytest.mark.parametrize("bracket", ["[", '{"a":'])
    def test_beyond_the_limit_is_refused(self, depth, bracket):
        assert code_of(bracket * depth) == "nested_too_deep"

    def test_does_not_count_brackets_inside_text(self):
        assert parsing.loads('"' + "[" * 100 + '\\"' + "{" * 100 + '"')

    def test_counts_side_by_side_only_once(self):
        assert len(parsing.loads("[" + "[]," * 100 + "[]]")) == 101


class TestBytes:
    def test_that_are_not_utf8_are_refused(self):
        assert code_of(b'"\xff"') == "not_utf8"

    def test_of_a_surrogate_are_refused(self):
        assert code_of(b'"\xed\xa0\x80"') == "not_utf8"

    def test_with_a_byte_order_mark_are_refused(self):
        assert code_of(b"\xef\xbb\xbf{}") == "byte_order_mark"

    @pytest.mark.parametrize("text", [b"", b"  \n"])
    def test_of_nothing_are_refused(self, text):
        assert code_of(text) == "empty"

    @pytest.mark.parametrize("text", ["{", "[1,]", "{'a': 1}", "nul", '"a\nb"', "1 2", '"\\x"'])
    def test_that_are_no_json_are_refused(self, text):
        assert code_of(text) == "malformed"


def posted(body: bytes = b"{}", **meta: object):
    request = RequestFactory().generic("POST", "/api/v1/x/", body, "application/json")
    request.META.update(meta)
    return request


class TestContentType:
    @pytest.mark.parametrize(
        "name",
        [
            "application/json",
            "Application/JSON; charset=UTF-8",
            'application/json;charset="utf-8"',
            "application/vnd.bot+json",
        ],
    )
    def test_takes_json(self, name):
        assert parsing.content_type(posted(CONTENT_TYPE=name), ("application/json",))

    @pytest.mark.parametrize(
        "name",
        ["", "text/plain", "text/csv", "multipart/form-data; boundary=x", "application/jsonx"],
    )
    def test_refuses_what_it_cannot_read(self, name):
        with pytest.raises(ApiError) as caught:
            parsing.content_type(posted(CONTENT_TYPE=name), ("application/json",))
        assert caught.value.status == 415

    def test_refuses_another_charset(self):
        with pytest.raises(ApiError) as caught:
            parsing.content_type(
                posted(CONTENT_TYPE="application/json; charset=latin-1"), ("application/json",)
            )
        assert caught.value.code == "unsupported_charset"

    def test_refuses_compression(self):
        with pytest.raises(ApiError) as caught:
            parsing.content_type(posted(HTTP_CONTENT_ENCODING="gzip"), ("application/json",))
        assert caught.value.code == "unsupported_encoding"


class TestReadBody:
    def test_returns_what_was_sent(self):
        assert parsing.read_body(posted(b"[1]"), 100) == b"[1]"

    def test_can_be_asked_twice(self):
        request = posted(b"[1]")

        assert parsing.read_body(request, 100) == parsing.read_body(request, 100)
        assert request.body == b"[1]"

    def test_takes_a_body_of_exactly_the_limit(self):
        assert len(parsing.read_body(posted(b"x" * 100), 100)) == 100

    def test_refuses_a_longer_one_by_its_length(self):
        with pytest.raises(ApiError) as caught:
            parsing.read_body(posted(b"x" * 101), 100)
        assert caught.value.status == 413

    def test_refuses_a_longer_one_that_another_reader_has_read(self):
        request = posted(b"x" * 101)
        assert request.body

        with pytest.raises(ApiError) as caught:
            parsing.read_body(request, 100)
        assert caught.value.status == 413
