"""The rules of limits: what one must say, where it fires, how much of it is used up."""

from dataclasses import dataclass
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.bots.choices import Direction, LimitAction, LimitType, TradeType
from apps.bots.domain import limits

K = LimitType
LONG, SHORT = Direction.LONG, Direction.SHORT
PRICES = st.decimals("0.01", "1000000", places=2)


@dataclass
class Row:
    id: str = "a"
    limit_type: str = K.STOP_LOSS
    bot_id: str | None = None
    type: str = TradeType.LIVE
    symbol: str = "BTC/USD"
    lot_id: str | None = None
    direction: str = LONG
    price: D | None = None
    size: D | None = None
    threshold: D | None = None
    currency: str = ""
    action: str = LimitAction.NOTIFY
    notes: str = ""


def pointers(**values):
    return [(error.pointer, error.code) for error in limits.problems(Row(**values))]


class TestWhatALimitSays:
    @pytest.mark.parametrize("kind", [K.STOP_LOSS, K.TAKE_PROFIT])
    def test_a_price_kind_has_a_price_and_no_threshold(self, kind):
        assert pointers(limit_type=kind, price=D(1)) == []
        assert pointers(limit_type=kind) == [("/price", "required")]
        assert pointers(limit_type=kind, price=D(1), threshold=D(1)) == [
            ("/threshold", "does_not_apply")
        ]

    def test_a_price_kind_is_about_a_symbol_or_a_lot(self):
        assert pointers(price=D(1), symbol="") == [("/symbol", "required")]
        assert pointers(price=D(1), symbol="", lot_id="lot") == []

    def test_a_lot_is_held_long(self):
        assert pointers(price=D(1), lot_id="lot", direction=SHORT) == [
            ("/direction", "does_not_apply")
        ]

    @pytest.mark.parametrize(
        "kind", [K.MAX_DAILY_LOSS, K.MAX_DRAWDOWN, K.MAX_EXPOSURE, K.MAX_TRADES_PER_HOUR]
    )
    def test_the_operators_kinds_have_a_threshold_and_nothing_of_a_price(self, kind):
        assert pointers(limit_type=kind, threshold=D(5)) == []
        assert pointers(limit_type=kind) == [("/threshold", "required")]
        wrong = {"price": D(1), "size": D(1), "lot_id": "lot", "direction": SHORT}
        assert [
            where for where, _ in pointers(limit_type=kind, threshold=D(5), symbol="", **wrong)
        ] == ["/price", "/size", "/lot_id", "/direction"]

    def test_a_drawdown_is_a_percentage(self):
        assert pointers(limit_type=K.MAX_DRAWDOWN, threshold=D(100)) == []
        assert pointers(limit_type=K.MAX_DRAWDOWN, threshold=D("100.01")) == [
            ("/threshold", "out_of_range")
        ]

    def test_trades_are_whole(self):
        assert pointers(limit_type=K.MAX_TRADES_PER_HOUR, threshold=D("2.0")) == []
        assert pointers(limit_type=K.MAX_TRADES_PER_HOUR, threshold=D("2.5")) == [
            ("/threshold", "not_whole")
        ]


class TestSide:
    @pytest.mark.parametrize(
        ("kind", "direction", "above"),
        [
            (K.STOP_LOSS, LONG, False),
            (K.STOP_LOSS, SHORT, True),
            (K.TAKE_PROFIT, LONG, True),
            (K.TAKE_PROFIT, SHORT, False),
        ],
    )
    def test_follows_from_what_is_held(self, kind, direction, above):
        assert limits.fires_above(kind, direction) is above


class TestCrossing:
    @pytest.mark.parametrize(
        ("above", "opened", "high", "low", "at"),
        [
            (False, 100, 101, 91, None),
            (False, 100, 101, 90, 90),
            (False, 100, 101, 80, 90),
            (False, 85, 95, 80, 85),
            (False, 90, 95, 80, 90),
            (True, 80, 89, 79, None),
            (True, 80, 90, 79, 90),
            (True, 95, 99, 85, 95),
        ],
    )
    def test_is_at_the_price_or_at_the_open_beyond_it(self, above, opened, high, low, at):
        found = limits.crossed_at(
            price=D(90), above=above, opened=D(opened), high=D(high), low=D(low)
        )

        assert found == at

    @given(PRICES, st.lists(PRICES, min_size=3, max_size=3), st.booleans())
    def test_never_trades_at_a_price_that_was_not_there(self, price, three, above):
        low, opened, high = sorted(three)

        found = limits.crossed_at(price=price, above=above, opened=opened, high=high, low=low)

        if found is None:
            assert high < price if above else low > price
        else:
            assert low <= found <= high
            assert found >= price if above else found <= price


class TestUsage:
    @pytest.mark.parametrize(
        ("current", "used"),
        [(100, 0), (95, "0.5"), (90, 1), (80, 2), (120, 0)],
    )
    def test_of_a_price_is_the_way_that_is_gone(self, current, used):
        found = limits.way_used(reference=D(100), price=D(90), current=D(current))

        assert found == D(used)

    def test_of_a_stop_above_runs_the_other_way(self):
        assert limits.way_used(reference=D(100), price=D(110), current=D(105)) == D("0.5")

    def test_of_a_price_is_unknown_where_there_is_no_way(self):
        assert limits.way_used(reference=None, price=D(90), current=D(95)) is None
        assert limits.way_used(reference=D(90), price=D(90), current=D(95)) is None

    @pytest.mark.parametrize(
        ("value", "used", "fires"),
        [("-50", 0, False), ("80", "0.8", False), ("100", 1, True), ("250", "2.5", True)],
    )
    def test_of_a_threshold_is_its_share(self, value, used, fires):
        assert limits.share_used(value=D(value), threshold=D(100)) == D(used)
        assert limits.reached(value=D(value), threshold=D(100)) is fires

    def test_of_what_is_unknown_is_unknown_and_fires_nothing(self):
        assert limits.share_used(value=None, threshold=D(1)) is None
        assert not limits.reached(value=None, threshold=D(1))

    def test_has_an_end(self):
        used = limits.share_used(value=D(10) ** 19, threshold=D("0.000000000000000001"))

        assert used == limits.MOST_USAGE


class TestDrawdown:
    @pytest.mark.parametrize(
        ("results", "unrealized", "percent"),
        [
            ([], 0, 0),
            ([500, -300], 0, "20"),
            ([-100], 0, "10"),
            ([500, -300], 300, 0),
            ([500], -150, "10"),
            ([500, -1500], 0, "100"),
        ],
    )
    def test_is_measured_from_the_peak_of_what_was_realized(self, results, unrealized, percent):
        found = limits.drawdown_pct(
            initial=D(1000), results=list(map(D, results)), unrealized=D(unrealized)
        )

        assert found == D(percent)


class TestNames:
    def test_count_up(self):
        assert limits.next_id("stop") == "stop~2"
        assert limits.next_id("stop~9") == "stop~10"
        assert limits.next_id("~x") == "~x~2"

    @given(st.text("ab~1", min_size=1, max_size=100))
    def test_fit_and_differ(self, name):
        following = limits.next_id(name)

        assert len(following) <= limits.ID_LENGTH
        assert following != name

    def test_of_two_long_names_are_two(self):
        one, other = (limits.next_id("x" * 98 + end) for end in "ab")

        assert one != other
