"""How values look: ages, prices, percentages, badges, and what is not known."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.shared import display

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class TestAge:
    @pytest.mark.parametrize(
        ("span", "words"),
        [
            (timedelta(seconds=12), "12 s"),
            (timedelta(minutes=4, seconds=50), "4 min"),
            (timedelta(hours=2, minutes=5), "2 h 5 min"),
            (timedelta(hours=9, minutes=5), "9 h"),
            (timedelta(days=2, hours=3), "2 d 3 h"),
            (timedelta(days=1200), "1,200 d"),
        ],
    )
    def test_names_one_or_two_units(self, span, words):
        assert display.span_words(span) == words

    def test_carries_the_exact_time_for_hover_and_for_the_browser(self):
        shown = display.age(NOON, now=NOON + timedelta(minutes=4))

        assert ">4 min ago<" in shown
        assert 'title="2026-03-02 12:00:00 UTC"' in shown
        assert 'datetime="2026-03-02T12:00:00+00:00"' in shown

    def test_says_in_for_what_is_still_to_come(self):
        assert ">in 2 h<" in display.age(NOON, now=NOON - timedelta(hours=2))

    def test_is_a_dash_with_its_reason_where_there_is_no_time(self):
        shown = display.age(None, "Not settled yet.")

        assert "—" in shown
        assert 'title="Not settled yet."' in shown


class TestPrice:
    @pytest.mark.parametrize(
        ("stored", "shown"),
        [
            ("0.000061230000000000", "0.00006123"),
            ("19345.490000000000000000", "19,345.49"),
            ("1000000", "1,000,000"),
            ("-1234.5", "-1,234.5"),
            ("-0.5", "-0.5"),
            ("1E+5", "100,000"),
        ],
    )
    def test_shows_the_digits_that_mean_something(self, stored, shown):
        assert f">{shown}<" in display.price(Decimal(stored))

    def test_keeps_every_digit_of_the_column(self):
        assert "12,345,678,901,234,567,890.123456789012345678" in display.price(
            Decimal("12345678901234567890.123456789012345678")
        )


class TestSignedPct:
    @pytest.mark.parametrize(
        ("value", "words", "tone"),
        [
            ("4.21555", "+4.22 %", "b-gain"),
            ("-4.2", "\u22124.20 %", "b-loss"),
            ("0", ">0.00 %", ""),
            ("-0.001", ">0.00 %", ""),
        ],
    )
    def test_tells_gain_from_loss_by_sign_and_color(self, value, words, tone):
        shown = display.signed_pct(Decimal(value))

        assert words in shown
        assert ("b-gain" in shown, "b-loss" in shown) == (tone == "b-gain", tone == "b-loss")

    def test_rounds_half_to_even(self):
        assert display.pct_words(Decimal("0.125")) == "+0.12 %"


class TestShareAndTimes:
    def test_show_a_probability_as_percent_with_all_its_digits(self):
        assert "74 %" in display.share(Decimal("0.74"))
        assert "72.55 %" in display.share(Decimal("0.7255"))

    def test_show_leverage_as_a_multiple(self):
        assert "3.5×" in display.times(Decimal("3.5"))

    def test_say_why_there_is_none(self):
        for show in (display.share, display.times):
            assert "None was named." in show(None, "None was named.")


class TestForeignText:
    def test_is_never_markup(self):
        hostile = "<script>alert(1)</script>"

        for shown in (
            display.text(hostile),
            display.short_text(hostile * 9),
            display.raw_json({hostile: hostile}),
            display.badge(hostile),
            display.empty(f'"{hostile}'),
        ):
            assert "<script" not in shown

    def test_is_cut_in_a_list_and_whole_on_hover(self):
        shown = display.short_text("word " * 40)

        assert "word " * 40 in shown
        assert "…" in shown


class TestBadge:
    def test_refuses_a_color_that_does_not_exist(self):
        with pytest.raises(ValueError, match="mauve"):
            display.badge("Open", "mauve")


class TestVisible:
    @pytest.mark.parametrize(
        ("sent", "seen"),
        [
            ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
            ("bell\x07 null\x00 del\x7f", "bell␇ null␀ del␡"),
            ("\x9b1m", "\\x9b1m"),
            ("gpj\u202eexe", "gpj⟦U+202E⟧exe"),
            ("no\u200bwidth", "no⟦U+200B⟧width"),
            ("line\n\ttab", "line\n\ttab"),
            ("carriage\r\n", "carriage␍\n"),
            ("ünï 🚀 العربية", "ünï 🚀 العربية"),
        ],
    )
    def test_shows_what_would_act_or_hide(self, sent, seen):
        assert display.visible(sent) == seen

    def test_is_what_every_foreign_text_goes_through(self):
        for shown in (
            display.text("\x1b"),
            display.short_text("\x1b" + "long " * 50),
            display.block("\x1b"),
            display.folded("\x1b", "\x1b"),
            display.raw_json({"\u202e": "\x7f"}),
            display.for_export("\x1b"),
            display.for_export({"\u202e": "\x7f"}),
        ):
            assert not {"\x1b", "\u202e", "\x7f"} & set(shown)


class TestBlock:
    def test_keeps_the_line_break_it_begins_with(self):
        # A browser drops the first one after the tag.
        assert display.block("\nfirst") == '<pre class="b-raw">\n\nfirst</pre>'

    def test_says_why_there_is_none(self):
        assert "It has no text." in display.block("", "It has no text.")

    def test_folds_behind_its_summary(self):
        shown = display.folded("grid.py in close", "<b>")

        assert shown.startswith('<details class="b-fold"><summary>grid.py in close</summary>')
        assert "&lt;b&gt;" in shown


class TestMilliseconds:
    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("0", "0.000 ms"),
            ("0.0312", "0.031 ms"),
            ("88.25", "88.3 ms"),
            ("950.2", "950 ms"),
            ("1510", "1.51 s"),
            ("61250", "61.3 s"),
            ("450000", "450 s"),
            ("36000000", "600.0 min"),
        ],
    )
    def test_are_told_in_the_unit_that_fits(self, value, words):
        assert display.duration_words(Decimal(value)) == words

    def test_are_whole_on_hover(self):
        assert 'title="61250.5 ms"' in display.milliseconds(Decimal("61250.50"))


class TestExactMoment:
    def test_shows_milliseconds_and_marks_itself_for_the_browser(self):
        shown = display.exact_moment(NOON + timedelta(milliseconds=7))

        assert ">2026-03-02 12:00:00.007 UTC<" in shown
        assert 'data-local="exact"' in shown


class TestSparkline:
    def test_shows_whatever_happened_at_all(self):
        shown = display.sparkline([0, 1, 1_000], "1,001 in 3 hours")

        assert 'height="0"' in shown
        assert 'height="2"' in shown
        assert 'height="20"' in shown
        assert 'aria-label="1,001 in 3 hours"' in shown

    def test_draws_nothing_happening(self):
        assert display.sparkline([0, 0], "none").count('height="0"') == 2

    def test_says_of_each_bar_what_it_is(self):
        assert "<title>Monday: 4</title>" in display.sparkline([4], "4", ["Monday: 4"])
