"""What a bot is told after a restart."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.bots.services.instances import UnknownBot
from apps.bots.services.recovery import recover
from apps.bots.services.states import put_state
from tests.bots.lives import NOON, SECOND
from tests.factories import make_bot, make_limit, make_order, make_position, make_trade


def of(bot):
    return recover(bot_id=bot.pk).document


def closed(bot, net, **values):
    return make_trade(
        bot=bot,
        closed=True,
        gross_pnl=Decimal(net),
        net_pnl=Decimal(net),
        commission=Decimal(0),
        **values,
    )


@pytest.mark.django_db
class TestRecovery:
    def test_of_a_bot_that_has_done_nothing_is_empty(self):
        found = of(make_bot(beats=4))

        assert found["beat"] == 4
        lists = ("open_trades", "open_orders", "lots", "limits")
        assert [found[name] for name in lists] == [[]] * 4
        assert found["states"] == {}
        assert found["balance"] == {
            "initial": "10000",
            "realized": "0",
            "ledger": "10000",
            "reported": None,
            "difference": None,
            "currency": "USD",
            "reason": "",
            "other_currencies": {},
        }

    def test_of_an_unknown_bot_is_refused(self):
        for name in ("nobody", "no\0body"):
            with pytest.raises(UnknownBot):
                recover(bot_id=name)

    def test_holds_every_open_trade_also_two_of_one_symbol(self):
        bot = make_bot()
        trades = [make_trade(bot=bot) for _ in range(2)]
        half = make_trade(bot=bot, remaining_position_size=Decimal("0.04"), partial_exits=1)
        closed(
            bot,
            1,
            parent_trade=half,
            is_partial_exit=True,
            partial_exit_sequence=1,
            partial_exits=0,
        )
        make_trade()

        found = of(bot)["open_trades"]

        assert [each["id"] for each in found] == [str(one.pk) for one in [*trades, half]]
        assert [each["remaining_position_size"] for each in found] == ["0.1", "0.1", "0.04"]
        assert found[0]["entry_time"].endswith("Z")

    def test_rebuilds_the_balance_from_the_ledger(self):
        bot = make_bot(current_balance=Decimal("10089.90"))
        closed(bot, "89.9")
        root = make_trade(
            bot=bot, partial_exits=1, net_pnl=Decimal(5), gross_pnl=Decimal(5), commission=0
        )
        closed(bot, 5, parent_trade=root, is_partial_exit=True, partial_exit_sequence=1)
        closed(bot, 1000, trade_type="paper")
        closed(bot, -3, quote_currency="EUR")
        closed(make_bot(), 7)

        balance = of(bot)["balance"]

        assert (balance["realized"], balance["ledger"]) == ("94.9", "10094.9")
        assert (balance["reported"], balance["difference"]) == ("10089.9", "-5")
        assert balance["other_currencies"] == {"EUR": "-3"}

    def test_has_no_ledger_balance_without_a_capital(self):
        bot = make_bot(initial_balance=None, current_balance=Decimal(3))
        closed(bot, 2)

        balance = of(bot)["balance"]

        assert (balance["realized"], balance["ledger"], balance["difference"]) == ("2", None, None)
        assert balance["reason"] == "no_initial_balance"

    def test_holds_orders_lots_and_limits_that_are_still_alive(self):
        bot = make_bot()
        order = make_order(bot=bot, status="accepted")
        make_order(bot=bot, status="cancelled")
        lot = make_position(bot=bot)
        make_position(bot=bot, total_size=0, available_size=0)
        own = make_limit(bot=bot)
        make_limit(bot=bot, status="cancelled", cancelled_at=NOON)
        make_limit(bot=make_bot())

        found = of(bot)

        assert [each["order_id"] for each in found["open_orders"]] == [order.order_id]
        assert found["open_orders"][0]["filled_quantity"] == "0"
        assert [each["lot_id"] for each in found["lots"]] == [lot.pk]
        assert [each["id"] for each in found["limits"]] == [own.pk]

    def test_holds_the_limits_of_all_bots_that_hold_this_one_too(self):
        bot = make_bot(symbol="BTC/USD")
        money = {"limit_type": "max_daily_loss", "price": None, "threshold": Decimal(100)}
        mine = [make_limit(**money, symbol=symbol).pk for symbol in ("", "BTC/USD")]
        make_limit(**money, symbol="ETH/USD")
        make_limit(**money, symbol="", type="paper")

        assert [each["id"] for each in of(bot)["limits"]] == mine

    def test_keeps_the_numbers_of_documents(self):
        bot = make_bot()
        exact = Decimal("0.10000000000000000000000000001")
        put_state(key="loop", bot_id=bot.pk, value={"ema": exact}, version=0, now=NOON)

        found = of(bot)["states"]

        assert found == {"loop": {"value": {"ema": exact}, "version": 1}}
        assert str(found["loop"]["value"]["ema"]) == str(exact)

    def test_is_one_statement_whatever_there_is(self):
        bot = make_bot()
        for second in range(5):
            make_trade(bot=bot, entry_time=NOON + second * SECOND)
            closed(bot, second)

        with CaptureQueriesContext(connection) as asked:
            of(bot)

        assert len(asked) == 1
