"""What an agent has to work with, as pure rules."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from apps.agents.domain.accounts import OpenTrade, account_of

LARGEST = Decimal("99999999999999999999.999999999999999999")


def trade(**values):
    """Return a long of 2 at 100 with leverage 5, on which half a dollar of fees was paid."""
    usual = {
        "coin": "BTC",
        "symbol": "BTC/USD",
        "side": "long",
        "size": Decimal(2),
        "leverage": Decimal(5),
        "entry_price": Decimal(100),
        "fees": Decimal("0.5"),
    }
    return OpenTrade(**usual | values)


def account(*trades, **values):
    usual = {
        "initial": Decimal(10_000),
        "max_leverage": 10,
        "realized": Decimal(0),
        "prices": {"BTC/USD": Decimal(110)},
    }
    return account_of(**usual | values, trades=trades)


class TestAnAccount:
    def test_begins_with_its_balance(self):
        found = account()

        assert (found.value, found.withdrawable) == (10_000, 10_000)
        assert (found.realized, found.unrealized, found.margin_used) == (0, 0, 0)
        assert (found.held, found.open_trades, found.unpriced) == ({}, 0, 0)

    def test_comes_to_the_known_result(self):
        # Three trades came to 300, -100 and 200; one that is open stands at 50.
        found = account(
            trade(size=Decimal(5), fees=None),
            realized=Decimal(400),
            prices={"BTC/USD": Decimal(110)},
        )

        assert (found.realized, found.unrealized, found.value) == (400, 50, 10_450)

    def test_ties_up_the_value_at_the_market_by_the_leverage(self):
        found = account(trade())

        assert (found.unrealized, found.value) == (Decimal("19.5"), Decimal("10019.5"))
        assert (found.exposure, found.margin_used) == (220, 44)
        assert found.withdrawable == Decimal("9975.5")

    def test_takes_the_largest_leverage_of_the_agent_where_the_trade_tells_none(self):
        assert account(trade(leverage=None)).margin_used == 22

    def test_has_nothing_withdrawable_below_zero(self):
        found = account(trade(size=Decimal(1_000), leverage=Decimal(1)))

        assert found.margin_used > found.value
        assert found.withdrawable == 0

    def test_may_be_worth_less_than_nothing(self):
        found = account(trade(size=Decimal(1_000)), prices={"BTC/USD": Decimal(80)})

        assert found.value == Decimal("-10000.5")
        assert found.withdrawable == 0

    def test_holds_the_side_of_each_coin(self):
        found = account(
            trade(), trade(coin="ETH", symbol="ETH/USD", side="short"), trade(side="short")
        )

        assert found.held == {"BTC": "short", "ETH": "short"}
        assert found.open_trades == 3

    def test_counts_what_cannot_be_priced_and_adds_nothing_for_it(self):
        found = account(
            trade(entry_price=None),
            trade(coin="ETH", symbol="ETH/USD"),
            trade(symbol=""),
            unknown=2,
        )

        assert (found.unrealized, found.value) == (0, 10_000)
        assert (found.open_trades, found.unpriced, found.unknown) == (3, 3, 2)

    def test_ties_up_the_entry_where_the_market_has_no_price(self):
        assert account(trade(), prices={}).margin_used == 40
        assert account(trade(entry_price=None), prices={}).margin_used == 0
        assert account(trade(entry_price=None)).margin_used == 44

    def test_is_told_however_large_its_figures_are(self):
        found = account(
            trade(size=LARGEST, leverage=Decimal(1)), prices={"BTC/USD": LARGEST}, initial=LARGEST
        )

        assert (found.unpriced, found.value, found.withdrawable) == (1, LARGEST, 0)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["long", "short"]),
                st.decimals("0.000000000000000001", "99999", places=18),
                st.decimals("0.000000000000000001", "99999", places=18),
                st.decimals("1", "50", places=2),
                st.none() | st.decimals("-10", "10", places=18),
            ),
            max_size=5,
        ),
        st.decimals("0.000000000000000001", "99999", places=18),
        st.decimals("-99999", "99999", places=18),
    )
    def test_equals_the_fractions_of_a_book_keeper(self, told, price, realized):
        trades = [
            trade(side=side, size=size, entry_price=entry, leverage=leverage, fees=fees)
            for side, size, entry, leverage, fees in told
        ]

        found = account(*trades, prices={"BTC/USD": price}, realized=realized)

        near = Fraction(len(told) + 1, 10**18)
        won = sum(
            (Fraction(price) - Fraction(entry)) * Fraction(size) * (1 if side == "long" else -1)
            - Fraction(fees or 0)
            for side, size, entry, _, fees in told
        )
        tied = sum(Fraction(price) * Fraction(each[1]) / Fraction(each[3]) for each in told)
        assert abs(Fraction(found.unrealized) - won) <= near
        assert abs(Fraction(found.margin_used) - tied) <= near
        value = 10_000 + Fraction(realized) + Fraction(found.unrealized)
        assert Fraction(found.value) == value
        assert Fraction(found.withdrawable) == max(value - Fraction(found.margin_used), 0)
