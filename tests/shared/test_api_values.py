"""Single values: exact, aware, visible."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.shared.api.values import (
    DocumentCheck,
    EvidenceCheck,
    KnownCheck,
    NumberCheck,
    Refused,
    TextCheck,
    TimeCheck,
    is_address,
)

PRICE = NumberCheck(above=Decimal(0), below=Decimal(10) ** 20, places=18)
TEXT = TextCheck(minimum=1, maximum=10)


def code_of(check, value) -> str:
    with pytest.raises(Refused) as caught:
        check.read(value)
    return caught.value.code


class TestNumber:
    @pytest.mark.parametrize(
        "value",
        [
            1,
            Decimal("1.5"),
            "1.5",
            "0.000000000000000001",
            "99999999999999999999.999999999999999999",
            "1e-18",
            "1E3",
            "+1",
            " 1 ",
            ".5",
            "5.",
            "1.50000000000000000000000000",
            Decimal("1e19"),
        ],
    )
    def test_is_read_exactly(self, value):
        assert PRICE.read(value) == Decimal(value)

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            ("0", "too_small"),
            ("-1", "too_small"),
            ("-0", "too_small"),
            (Decimal("-0"), "too_small"),
            ("100000000000000000000", "too_large"),
            ("1e20", "too_large"),
            (Decimal("1e999999"), "too_large"),
            (10**25, "too_large"),
            ("1e-30", "too_precise"),
            (Decimal("1e-999999"), "too_precise"),
            ("1.0000000000000000001", "too_precise"),
            ("NaN", "not_finite"),
            ("sNaN", "not_finite"),
            ("-nan", "not_finite"),
            ("Infinity", "not_finite"),
            ("-inf", "not_finite"),
            ("", "not_a_number"),
            ("1 0", "not_a_number"),
            ("1_0", "not_a_number"),
            ("1,5", "not_a_number"),
            ("1.5.", "not_a_number"),
            (".", "not_a_number"),
            ("--1", "not_a_number"),
            ("0x1", "not_a_number"),
            ("\u0661", "not_a_number"),
            ("1\x00", "not_a_number"),
            ("1" * 101, "too_long"),
            (True, "type"),
            ([], "type"),
            ({}, "type"),
        ],
    )
    def test_is_refused(self, value, code):
        assert code_of(PRICE, value) == code

    def test_zero_has_neither_sign_nor_exponent(self):
        amount = NumberCheck(minimum=Decimal(0), places=18)

        assert str(amount.read("-0e-30")) == "0"

    def test_a_ratio_has_its_own_places(self):
        assert code_of(NumberCheck(places=8), "0.123456789") == "too_precise"

    def test_bounds_are_said_in_words(self):
        with pytest.raises(Refused, match="at most 1"):
            NumberCheck(maximum=Decimal(1), places=8).read("1.1")


class TestText:
    @pytest.mark.parametrize("value", ["a", "BTC/USDT", "ü", "a b", "a\nb", "💰"])
    def test_is_taken(self, value):
        assert TEXT.read(value) == value

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            ("", "empty"),
            ("a\x00b", "unstorable"),
            ("a\ud800", "unstorable"),
            (" a", "invisible_edge"),
            ("a\n", "invisible_edge"),
            ("\x1fa", "invisible_edge"),
            ("a\x7f", "invisible_edge"),
            ("a\x85", "invisible_edge"),
            ("a" * 11, "too_long"),
            (1, "type"),
            (None, "type"),
        ],
    )
    def test_is_refused(self, value, code):
        assert code_of(TEXT, value) == code

    def test_prose_may_end_with_a_line_break(self):
        assert TextCheck(maximum=10, prose=True).read("a\n") == "a\n"


class TestTime:
    def test_is_kept_in_utc(self):
        moment = TimeCheck().read("2026-01-31T12:00:00+02:00")

        assert moment == datetime(2026, 1, 31, 10, tzinfo=UTC)
        assert moment.tzinfo is UTC

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            ("2026-01-31T12:00:00", "naive"),
            ("2026-01-31", "not_a_time"),
            ("yesterday", "not_a_time"),
            ("2026-02-30T12:00:00Z", "not_a_time"),
            ("2026-01-31T24:00:00Z", "not_a_time"),
            ("2026-01-31T12:00:00+24:00", "not_a_time"),
            ("0001-01-01T00:00:00+23:59", "out_of_range"),
            ("9999-12-31T23:59:59-23:59", "out_of_range"),
            ("2026-01-31T12:00:00Z\x00", "not_a_time"),
            (1_700_000_000, "type"),
        ],
    )
    def test_is_refused(self, value, code):
        assert code_of(TimeCheck(), value) == code

    def test_takes_the_widest_offset(self):
        assert TimeCheck().read("2026-01-31T12:00:00+23:59").day == 30


class TestDocument:
    def test_is_taken_as_it_is(self):
        value = {"a": [1, Decimal("1.10"), None, {"b": "c"}]}

        assert DocumentCheck().read(value) == value

    @pytest.mark.parametrize(
        ("value", "pointer"),
        [
            ({"a": "\x00"}, "/a"),
            ({"a": [{"b/c": "\ud800"}]}, "/a/0/b~1c"),
            ({"\x00": 1}, "/\ufffd"),
            ({"a": Decimal("1e999999")}, "/a"),
        ],
    )
    def test_names_the_place_of_what_cannot_be_kept(self, value, pointer):
        with pytest.raises(Refused) as caught:
            DocumentCheck().read(value)
        assert caught.value.pointer == pointer

    @pytest.mark.parametrize("value", [[], "{}", 1, None])
    def test_is_an_object(self, value):
        assert code_of(DocumentCheck(), value) == "type"


class TestEvidence:
    CHECK = EvidenceCheck(maximum=5)

    @pytest.mark.parametrize("value", ["", "\0\ud800", " \n ", "12345"])
    def test_is_taken_whatever_it_holds(self, value):
        assert self.CHECK.read(value) == value
        assert self.CHECK.admits([value, "a"], short=True)

    def test_has_a_length(self):
        assert code_of(self.CHECK, "123456") == "too_long"
        assert not self.CHECK.admits(["a", "123456"], short=True)

    @pytest.mark.parametrize("value", [None, 5, b"a", []])
    def test_is_text(self, value):
        assert code_of(self.CHECK, value) == "type"

    def test_in_a_document_is_taken_too(self):
        value = {"\0": ["\ud800", 1]}

        assert DocumentCheck(evidence=True).read(value) == value
        assert DocumentCheck(evidence=True).admits([value], short=True)
        assert not DocumentCheck().admits([value], short=True)


class TestKnown:
    CHECK = KnownCheck(
        knows=lambda value: value in ("a", 1), code="odd", message="No.", kinds=(str, int)
    )

    def test_is_kept_as_it_was_sent(self):
        assert [self.CHECK.read(value) for value in ("a", 1)] == ["a", 1]
        assert self.CHECK.admits(["a", 1], short=True)

    @pytest.mark.parametrize(
        ("value", "code"), [("b", "odd"), (2, "odd"), (True, "type"), (1.0, "type"), (None, "type")]
    )
    def test_is_refused_otherwise(self, value, code):
        assert code_of(self.CHECK, value) == code
        assert not self.CHECK.admits(["a", 1, value], short=True)


@pytest.mark.parametrize("text", ["192.0.2.7", "::1", "2001:db8::7", "::ffff:192.0.2.7"])
def test_addresses_are_known(text):
    assert is_address(text)


@pytest.mark.parametrize("text", ["", "192.0.2", "192.0.2.07", "192.0.2.0/24", "fe80::1%eth0"])
def test_what_is_no_address_is_known_too(text):
    assert not is_address(text)
