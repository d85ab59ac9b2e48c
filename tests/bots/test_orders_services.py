"""Orders and fills in the database: placed, filled, ended, by many at once and in any order.

``BOTS_ORDERINGS`` sets how many orderings of one history are told, ``BOTS_ROUNDS`` how many
rounds threads fight over one order.
"""

import os
import random
import uuid
from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.bots.choices import OrderEvent, OrderStatus
from apps.bots.models import BotInstance, Fill, Order, Trade
from apps.bots.services import fills, orders
from apps.logs.writer import writer
from tests.bots.orders import (
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    ToldFill,
    ToldOrder,
    every_bit,
    fill,
    named,
    new_bot,
    order,
    placed,
)
from tests.factories import make_prediction
from tests.threads import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1800)]

ORDERINGS = int(os.environ.get("BOTS_ORDERINGS", "12"))
ROUNDS = int(os.environ.get("BOTS_ROUNDS", "3"))
ACCEPTED, CANCELLED = OrderEvent.ACCEPTED, OrderEvent.CANCELLED
REJECTED, EXPIRED = OrderEvent.REJECTED, OrderEvent.EXPIRED


def store(*rows):
    return orders.store_orders(rows, now=NOON)


def report(order_id, event, timestamp=NOON, reason=""):
    return orders.record_event(
        order_id=order_id, event=event, timestamp=timestamp, reason=reason, now=NOON + HOUR
    )


class TestPlacing:
    def test_stores_an_order_that_waits(self):
        name = placed(quantity=Decimal("0.123456789012345678"), extra_metadata={"a": 1})

        found = order(name)
        assert (found.status, found.filled_quantity, found.average_price) == ("pending", 0, None)
        assert (found.trade_type, found.bot_id, found.extra_metadata) == ("live", None, {"a": 1})
        assert found.quantity == Decimal("0.123456789012345678")

    def test_takes_the_type_of_its_bot_and_the_bot_of_its_trade(self):
        bot = new_bot(type="optimization")
        trade = Trade.objects.create(
            bot=bot, trade_type="optimization", symbol="BTC/USD", direction="long"
        )

        of_bot = order(placed(bot_id=bot.pk))
        of_trade = order(placed(trade_id=str(trade.pk)))

        assert of_bot.trade_type == of_trade.trade_type == "optimization"
        assert of_trade.bot_id == bot.pk
        assert order(placed(bot_id=bot.pk, trade_type="paper")).trade_type == "paper"

    @pytest.mark.parametrize(
        ("status", "column"),
        [
            ("accepted", "accepted_at"),
            ("new", "accepted_at"),
            ("canceled", "cancelled_at"),
            ("rejected", "rejected_at"),
            ("expired", "expired_at"),
        ],
    )
    def test_reads_another_status_as_an_event(self, status, column):
        told = order(placed(status=status, submitted_at=NOON - MINUTE))
        untold = order(placed(status=status))

        assert getattr(told, column) == NOON - MINUTE
        assert getattr(untold, column) == NOON
        assert told.status == column.removesuffix("_at")

    def test_again_is_harmless_whatever_happened_since(self):
        row = ToldOrder(submitted_at=NOON, extra_metadata={"grid": Decimal("0.10")})
        store(row)
        fill(row.order_id, "0.5")
        report(row.order_id, CANCELLED)
        before = every_bit("orders")

        again = store(row, replace(row, bot_id=None, submitted_at=None))

        assert (again.created, again.unchanged, again.failed) == (0, 2, 0)
        assert every_bit("orders") == before

    def test_again_with_other_content_is_refused_by_name(self):
        row = ToldOrder(price=Decimal(5), strategy="grid")
        store(row)

        other = replace(row, price=None, quantity=Decimal(2), side="sell", strategy="dca")

        assert named(store(other)) == [
            (0, f"/{name}", "differs") for name in ("side", "quantity", "price", "strategy")
        ]

    def test_says_nothing_of_the_order_of_another_bot(self):
        mine, other = new_bot(), new_bot()
        row = ToldOrder(bot_id=other.pk)
        store(row)

        outcome = store(replace(row, bot_id=mine.pk, quantity=Decimal(9)))

        assert named(outcome) == [(0, "/bot_id", "differs")]

    def test_again_as_ended_is_told_to_be_another_report(self):
        row = ToldOrder()
        store(row)

        assert named(store(replace(row, status="cancelled"))) == [(0, "/status", "differs")]
        report(row.order_id, CANCELLED)
        assert store(replace(row, status="cancelled")).unchanged == 1

    def test_names_what_is_not_there(self):
        outcome = store(
            ToldOrder(bot_id="nobody"),
            ToldOrder(trade_id=str(uuid.uuid4())),
            ToldOrder(model_id="none"),
            ToldOrder(),
            ToldOrder(prediction_id="none"),
            ToldOrder(status="filled"),
            ToldOrder(submitted_at=NOON + HOUR),
        )

        assert (outcome.created, outcome.failed) == (1, 6)
        assert named(outcome) == [
            (0, "/bot_id", "unknown_bot"),
            (1, "/trade_id", "unknown_trade"),
            (2, "/model_id", "unknown_model"),
            (4, "/prediction_id", "unknown_prediction"),
            (5, "/status", "follows_from_fills"),
            (6, "/submitted_at", "in_future"),
        ]

    def test_takes_no_trade_of_another_bot(self):
        trade = Trade.objects.create(
            bot=new_bot(), trade_type="paper", symbol="BTC/USD", direction="long"
        )

        outcome = store(ToldOrder(bot_id=new_bot().pk, trade_id=str(trade.pk)))

        assert named(outcome) == [(0, "/trade_id", "unknown_trade")]

    def test_of_many_takes_as_many_statements_as_of_one(self):
        bot, prediction = new_bot(), make_prediction()
        told = {
            "bot_id": bot.pk,
            "model_id": prediction.model_id,
            "prediction_id": prediction.prediction_id,
        }
        with CaptureQueriesContext(
            connection,
        ) as one:
            store(ToldOrder(**told))
        with CaptureQueriesContext(connection) as many:
            store(*(ToldOrder(**told) for _ in range(300)))

        assert len(many) == len(one)
        assert Order.objects.filter(bot=bot, model_id=prediction.model_id).count() == 301


class TestDescribing:
    def test_changes_what_is_noted(self):
        bot = new_bot()
        trade = Trade.objects.create(
            bot=bot, trade_type="paper", symbol="BTC/USD", direction="long"
        )
        row = ToldOrder(bot_id=bot.pk)
        store(row)
        fill(row.order_id, "0.5")

        changed = replace(row, trade_id=str(trade.pk), strategy="grid", extra_metadata={"b": 2})
        outcome = orders.describe_order(changed, now=NOON)

        found = order(row.order_id)
        assert outcome.replaced == 1
        assert (found.trade_id, found.strategy, found.extra_metadata) == (
            trade.pk,
            "grid",
            {"b": 2},
        )
        assert (found.status, found.filled_quantity) == ("partially_filled", Decimal("0.5"))
        assert orders.describe_order(changed, now=NOON).unchanged == 1

    def test_does_not_change_the_instruction(self):
        row = ToldOrder()
        store(row)

        outcome = orders.describe_order(replace(row, quantity=Decimal(2)), now=NOON)

        assert named(outcome) == [(0, "/quantity", "differs")]
        assert order(row.order_id).quantity == 1

    def test_places_one_that_is_unknown(self):
        assert orders.describe_order(ToldOrder(), now=NOON).created == 1


class TestReports:
    def test_move_the_state(self):
        name = placed()

        assert report(name, ACCEPTED, NOON) is True
        assert order(name).status == "accepted"
        assert report(name, EXPIRED, NOON + MINUTE, "end of day") is True
        assert (order(name).status, order(name).reason) == ("expired", "end of day")

    def test_again_has_no_effect(self):
        name = placed()
        report(name, CANCELLED, NOON, "by hand")
        before = every_bit("orders")

        assert report(name, CANCELLED, NOON, "by hand") is False
        assert report(name, CANCELLED, NOON + MINUTE, "later") is False
        assert every_bit("orders") == before

    def test_keep_the_earliest_time(self):
        name = placed()
        report(name, CANCELLED, NOON)
        report(name, CANCELLED, NOON - MINUTE)

        assert order(name).cancelled_at == NOON - MINUTE

    def test_after_it_was_filled_are_counted(self):
        name = placed()
        fill(name, "1", timestamp=NOON)
        report(name, CANCELLED, NOON + SECOND)

        assert (order(name).status, order(name).late_events) == ("filled", 1)

    def test_of_no_order_are_refused(self):
        with pytest.raises(orders.UnknownOrder):
            report("none", CANCELLED)

    def test_of_the_future_are_refused(self):
        with pytest.raises(orders.RefusedEvent) as refusal:
            report(placed(), CANCELLED, NOON + 3 * HOUR)
        assert [each.pointer for each in refusal.value.errors] == ["/timestamp"]


class TestFilling:
    def test_derives_the_state(self):
        name = placed(quantity=Decimal(4))

        fill(name, "1", price=Decimal(100))
        assert (order(name).status, order(name).average_price) == ("partially_filled", 100)
        fill(name, "3", price=Decimal(104))

        found = order(name)
        assert (found.status, found.filled_quantity, found.average_price) == ("filled", 4, 103)

    def test_takes_symbol_and_currency_from_the_order(self):
        name = placed(symbol="ETH/EUR")
        fill(name, "0.5", commission=Decimal("0.1"))
        fill(name, "0.5", commission=Decimal("-0.1"), commission_currency="BNB", symbol="ETH/EUR")

        rows = Fill.objects.order_by("id").values_list("symbol", "commission_currency")
        assert list(rows) == [("ETH/EUR", "EUR"), ("ETH/EUR", "BNB")]

    def test_the_same_again_has_no_effect(self):
        row = ToldFill(order_id=placed(), quantity=Decimal("0.5"), liquidity="maker")
        fills.store_fills([row], now=NOON)
        before = every_bit("orders", "fills")

        again = fills.store_fills([row, replace(row, liquidity="")], now=NOON + HOUR)

        assert (again.created, again.unchanged) == (0, 2)
        assert every_bit("orders", "fills") == before

    def test_with_other_content_is_refused_by_name(self):
        row = ToldFill(order_id=placed(), quantity=Decimal("0.5"))
        other = replace(row, quantity=Decimal("0.4"), price=Decimal(1))

        outcome = fills.store_fills([row, other], now=NOON)

        assert (outcome.created, outcome.failed) == (1, 1)
        assert named(outcome) == [(1, "/quantity", "differs"), (1, "/price", "differs")]
        assert named(fills.store_fills([other], now=NOON)) == [
            (0, "/quantity", "differs"),
            (0, "/price", "differs"),
        ]

    def test_one_fill_id_may_stand_under_two_orders(self):
        rows = [ToldFill(order_id=placed(), fill_id="1") for _ in range(2)]

        assert fills.store_fills(rows, now=NOON).created == 2

    def test_of_too_much_is_refused_alone(self):
        name, other = placed(), placed()
        rows = [
            ToldFill(order_id=name, quantity=Decimal("0.6")),
            ToldFill(order_id=name, quantity=Decimal("0.400000000000000001")),
            ToldFill(order_id=other),
            ToldFill(order_id=name, quantity=Decimal("0.4")),
        ]

        outcome = fills.store_fills(rows, now=NOON)

        assert (outcome.created, outcome.failed) == (3, 1)
        assert named(outcome) == [(1, "/quantity", "over_fill")]
        assert order(name).filled_quantity == 1
        before = every_bit("orders", "fills")
        assert named(fill(name, "0.000000000000000001")) == [(0, "/quantity", "over_fill")]
        assert every_bit("orders", "fills") == before

    def test_counts_every_digit_of_a_long_quantity(self):
        name = placed(quantity=Decimal("12345678901234567890.123456789012345678"))
        assert fill(name, "12345678901234567890.123456789012345677").created == 1

        assert named(fill(name, "0.000000000000000002")) == [(0, "/quantity", "over_fill")]
        assert fill(name, "0.000000000000000001").created == 1
        assert order(name).status == "filled"

    def test_names_what_does_not_fit(self):
        name = placed(side="sell")
        rows = [
            ToldFill(order_id="none"),
            ToldFill(order_id=name, symbol="ETH/USD"),
            ToldFill(order_id=name, side="buy"),
            ToldFill(order_id=name, timestamp=NOON + HOUR),
            ToldFill(order_id=name, side="sell"),
        ]

        outcome = fills.store_fills(rows, now=NOON)

        assert outcome.created == 1
        assert named(outcome) == [
            (0, "/order_id", "unknown_order"),
            (1, "/symbol", "other_symbol"),
            (2, "/side", "other_side"),
            (3, "/timestamp", "in_future"),
        ]

    def test_may_be_older_than_its_order_and_younger_than_its_end(self):
        name = placed(submitted_at=NOON)
        fill(name, "0.3", timestamp=NOON - MINUTE)
        report(name, CANCELLED, NOON + SECOND)
        fill(name, "0.3", timestamp=NOON + MINUTE)

        found = order(name)
        assert (found.status, found.filled_quantity) == ("cancelled", Decimal("0.6"))
        assert found.late_events == 1

    def test_knows_only_the_orders_it_is_given(self):
        row = ToldFill(order_id=placed())

        outcome = fills.store_fills([row], now=NOON, orders=Order.objects.none())

        assert named(outcome) == [(0, "/order_id", "unknown_order")]

    def test_of_many_takes_as_many_statements_as_of_one(self):
        bot = new_bot()
        names = [placed(bot_id=bot.pk) for _ in range(40)]
        with CaptureQueriesContext(connection) as one:
            fill(names[0], "0.1")
        rows = [ToldFill(order_id=name, quantity=Decimal("0.1")) for name in names * 8]
        with CaptureQueriesContext(connection) as many:
            fills.store_fills(rows, now=NOON)

        assert len(many) == len(one)
        assert set(Order.objects.values_list("filled_quantity", flat=True)) == {
            Decimal("0.8"),
            Decimal("0.9"),
        }


class TestAfterwards:
    def test_bots_were_active_and_the_logs_tell_of_it(
        self, monkeypatch, django_capture_on_commit_callbacks
    ):
        told = []
        monkeypatch.setattr(writer, "put", lambda model, rows: told.extend(rows))
        bot = new_bot()
        with django_capture_on_commit_callbacks(execute=True):
            name = placed(bot_id=bot.pk, side="sell", strategy="grid")
            fill(name, "0.5", price=Decimal(90))
            report(name, CANCELLED, reason="by hand")
            report(name, CANCELLED, NOON - SECOND)
            fill(name, "0.5")
            fill(name, "0.5")

        assert BotInstance.objects.get(pk=bot.pk).last_activity_at == NOON + HOUR
        assert [(e["event_type"], e["order_id"], e["metadata"]["bot_id"]) for e in told] == [
            ("order_placed", name, bot.pk),
            ("order_partially_filled", name, bot.pk),
            ("order_cancelled", name, bot.pk),
            ("order_filled", name, bot.pk),
        ]


class TestOrderings:
    """One history of two orders, told in any order, twice, and in batches of any size."""

    def history(self, first, second):
        filled = [
            ToldFill(
                order_id=name,
                fill_id=f"{number}",
                quantity=Decimal("0.125"),
                price=Decimal(100 + number),
                timestamp=NOON + number * SECOND,
            )
            for name, parts in ((first, 8), (second, 5))
            for number in range(parts)
        ]
        events = [
            (first, ACCEPTED, NOON, ""),
            (first, CANCELLED, NOON + MINUTE, "too late"),
            (second, ACCEPTED, NOON + SECOND, ""),
            (second, ACCEPTED, NOON - SECOND, ""),
            (second, CANCELLED, NOON + 3 * SECOND, "by hand"),
            (second, CANCELLED, NOON + 2 * SECOND, "by the venue"),
            (second, EXPIRED, NOON + 2 * SECOND, "end of day"),
            (second, REJECTED, NOON, "no money"),
        ]
        return filled, events

    def tell(self, chance, reports):
        while reports:
            if isinstance(reports[-1], tuple):
                report(*reports.pop())
                continue
            batch = [reports.pop()]
            while reports and isinstance(reports[-1], ToldFill) and chance.random() < 0.6:
                batch.append(reports.pop())
            assert not fills.store_fills(batch, now=NOON + HOUR).failed

    def test_all_end_the_same(self):
        ends = set()
        for number in range(ORDERINGS):
            chance = random.Random(number)
            first, second = placed(), placed()
            filled, events = self.history(first, second)
            reports = [*filled, *events, *chance.choices(filled, k=6), *chance.choices(events, k=3)]
            chance.shuffle(reports)
            self.tell(chance, reports)
            columns = [*(f"{event.value}_at" for event in OrderEvent), "reason", "late_events"]
            columns += ["status", "filled_quantity", "average_price"]
            ends.add(
                tuple(
                    Order.objects.filter(order_id=name).values_list(*columns).get()
                    for name in (first, second)
                )
            )

        ((of_first, of_second),) = ends
        assert of_first[-5:] == ("too late", 1, "filled", 1, Decimal("103.5"))
        assert of_second[-5:] == ("no money", 4, "cancelled", Decimal("0.625"), 102)


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_never_fill_an_order_beyond_its_quantity(self):
        """Eight tell of 0.3 each, of which three fit; two of them tell of the same fill."""
        for number in range(ROUNDS):
            name = placed()
            rows = [
                ToldFill(order_id=name, fill_id=f"{n % 7}", quantity=Decimal("0.3"))
                for n in range(8)
            ]

            outcomes = at_once([partial(fills.store_fills, [row], now=NOON) for row in rows])

            found = order(name)
            stored = Fill.objects.filter(order_id=name)
            assert sum(each.created for each in outcomes) == stored.count() == 3, number
            assert found.filled_quantity == Decimal("0.9")
            assert found.status == OrderStatus.PARTIALLY_FILLED

    def test_do_not_wait_for_each_other_in_a_circle(self):
        told = [ToldOrder(quantity=Decimal(8)) for _ in range(150)]
        store(*told)
        names = [row.order_id for row in told]
        for number in range(ROUNDS):
            batches = []
            for worker in range(8):
                mixed = random.Random(worker).sample(names, k=len(names))
                batches.append(
                    [
                        ToldFill(
                            order_id=name,
                            fill_id=f"{number} {worker}",
                            quantity=Decimal("0.01"),
                        )
                        for name in mixed
                    ]
                )

            outcomes = at_once([partial(fills.store_fills, batch, now=NOON) for batch in batches])

            assert [each.created for each in outcomes] == [150] * 8

        whole = Decimal("0.08") * ROUNDS
        assert set(Order.objects.values_list("filled_quantity", flat=True)) == {whole}

    def test_tell_of_fills_and_ends_alike(self):
        for _ in range(ROUNDS):
            name = placed()
            calls = [
                partial(fill, name, "0.25", fill_id=f"{n}", timestamp=NOON + n * SECOND)
                for n in range(4)
            ]
            calls += [partial(report, name, CANCELLED, NOON + n * MINUTE) for n in range(1, 5)]

            at_once(calls)

            found = order(name)
            assert (found.status, found.late_events) == ("filled", 1)
            assert found.cancelled_at == NOON + MINUTE
