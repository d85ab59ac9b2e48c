"""Bookings against lots in the database: in their order, in batches, by many at once.

``BOTS_ROUNDS`` sets how many rounds threads fight over one lot.
"""

import os
import random
from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.bots.domain.lots import OverReserved
from apps.bots.models import BotInstance, LotTrade, Position
from apps.bots.services import lots
from apps.logs.writer import writer
from tests.bots.orders import (
    HOUR,
    MINUTE,
    NOON,
    book,
    buy,
    every_bit,
    named,
    new_bot,
    sell,
)
from tests.threads import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1800)]

ROUNDS = int(os.environ.get("BOTS_ROUNDS", "3"))
EXAMPLES = int(os.environ.get("BOTS_SEQUENCES", "8"))
TABLES = ("positions", "lot_trades")


def lot(lot_id):
    return Position.objects.get(pk=lot_id)


def sizes(lot_id):
    found = lot(lot_id)
    return found.total_size, found.available_size


def booked(**filters):
    columns = ("id", "lot_id", "trade_type", "size", "fee", "pnl")
    return list(LotTrade.objects.filter(**filters).order_by("id").values_list(*columns))


class TestBuying:
    def test_makes_a_lot_named_after_the_booking(self):
        bot = new_bot()
        outcome = book(buy("2", "100", id="b1", bot_id=bot.pk, fee=Decimal("0.2")))

        found = lot("b1")
        assert outcome.created == 1
        assert (found.bot_id, found.type, found.symbol) == (bot.pk, "paper", "BTC/USD")
        assert (found.quote_currency, found.opened_at, found.closed_at) == ("USD", NOON, None)
        assert (found.total_size, found.available_size, found.avg_buy_price) == (2, 2, 100)
        assert (found.realized_pnl, found.fees) == (0, Decimal("0.2"))
        assert booked() == [("b1", "b1", "buy", 2, Decimal("0.2"), None)]

    def test_is_paid_in_the_currency_of_its_bot_where_the_symbol_does_not_say(self):
        book(buy("1", id="b1", symbol="AAPL", bot_id=new_bot(quote_currency="EUR").pk))

        assert lot("b1").quote_currency == "EUR"
        book(buy("1", id="b2", symbol="AAPL"))
        assert (lot("b2").quote_currency, lot("b2").type) == ("", "live")

    def test_makes_a_lot_that_is_named_and_adds_to_it(self):
        outcome = book(buy("1", "100", lot_id="core"), buy("3", "104", lot_id="core"))

        assert outcome.created == 2
        assert (sizes("core"), lot("core").avg_buy_price) == ((4, 4), 103)

    def test_leaves_what_is_reserved_reserved(self):
        book(buy("2", lot_id="core"))
        lots.reserve(lot_id="core", size=Decimal("1.5"), now=NOON)
        book(buy("1", lot_id="core"))

        assert sizes("core") == (3, Decimal("1.5"))

    def test_names_no_lot_that_stands_already(self):
        book(buy("1", lot_id="core"))

        assert named(book(buy("1", id="core"))) == [(0, "/id", "lot_exists")]

    def test_into_a_lot_of_which_all_was_sold_is_refused(self):
        book(buy("1", lot_id="core"), sell("1", lot_id="core"))

        assert named(book(buy("1", lot_id="core"))) == [(0, "/lot_id", "lot_closed")]
        assert lot("core").closed_at == NOON


class TestSelling:
    def test_of_a_lot_realizes_what_was_gained(self):
        book(buy("2", "100", lot_id="core"))

        book(sell("0.5", "110", id="s1", lot_id="core", fee=Decimal("0.1")))

        found = lot("core")
        assert (found.total_size, found.available_size) == (Decimal("1.5"), Decimal("1.5"))
        assert (found.realized_pnl, found.fees) == (5, Decimal("0.1"))
        assert booked(booking="s1") == [("s1", "core", "sell", Decimal("0.5"), Decimal("0.1"), 5)]
        assert LotTrade.objects.get(pk="s1").avg_buy_price == 100

    def test_of_all_closes_the_lot(self):
        book(buy("2", lot_id="core"), sell("2", lot_id="core", timestamp=NOON + MINUTE))

        assert (sizes("core"), lot("core").closed_at) == ((0, 0), NOON + MINUTE)

    def test_of_more_than_is_there_changes_nothing(self):
        book(buy("2", lot_id="core"))
        lots.reserve(lot_id="core", size=Decimal(1), now=NOON)
        before = every_bit(*TABLES)

        outcome = book(sell("1.000000000000000001", lot_id="core"))

        assert named(outcome) == [(0, "/size", "insufficient_lot")]
        assert "the 1 available in the lot core" in outcome.results[0].errors[0].message
        assert every_bit(*TABLES) == before

    def test_without_a_lot_takes_the_oldest_first(self):
        book(
            buy("1", "100", id="young", timestamp=NOON + MINUTE),
            buy("1", "90", id="old", timestamp=NOON - MINUTE),
            buy("1", "95", id="b", timestamp=NOON),
            buy("1", "95", id="a", timestamp=NOON),
        )

        outcome = book(sell("2.5", "110", id="s1", fee=Decimal("0.25")))

        tenth, twentieth = Decimal("0.1"), Decimal("0.05")
        assert outcome.created == 1
        assert booked(booking="s1") == [
            ("s1/1", "old", "sell", 1, tenth, 20),
            ("s1/2", "a", "sell", 1, tenth, 15),
            ("s1/3", "b", "sell", Decimal("0.5"), twentieth, Decimal("7.5")),
        ]
        assert sizes("young") == (1, 1)

    def test_without_a_lot_that_one_lot_can_serve_is_one_row(self):
        book(buy("1", id="b1"), sell("0.5", id="s1"))

        assert [row[:2] for row in booked(booking="s1")] == [("s1", "b1")]

    def test_without_a_lot_takes_only_lots_of_its_kind(self):
        bot, other = new_bot(), new_bot()
        book(
            buy("1", bot_id=bot.pk),
            buy("1", bot_id=other.pk),
            buy("1"),
            buy("1", bot_id=bot.pk, type="live"),
            buy("1", bot_id=bot.pk, symbol="BTC/EUR"),
        )

        assert named(book(sell("1.5", bot_id=bot.pk))) == [(0, "/size", "insufficient_lot")]
        assert book(sell("1", bot_id=bot.pk)).created == 1

    def test_sees_what_the_same_batch_bought(self):
        outcome = book(
            sell("1", id="too early"),
            buy("1", id="b1"),
            sell("0.4", id="s1"),
            buy("1", id="b2", timestamp=NOON - MINUTE),
            sell("1.5", id="s2"),
        )

        assert (outcome.created, outcome.failed) == (4, 1)
        assert [row[:4] for row in booked(booking="s2")] == [
            ("s2/1", "b2", "sell", 1),
            ("s2/2", "b1", "sell", Decimal("0.5")),
        ]
        assert sizes("b1") == (Decimal("0.1"), Decimal("0.1"))

    def test_of_an_unknown_lot_is_refused(self):
        assert named(book(sell("1", lot_id="none"))) == [(0, "/lot_id", "unknown_lot")]


class TestBooking:
    def test_the_same_again_has_no_effect(self):
        rows = [buy("1", id="b1"), buy("1", id="b2"), sell("1.5", id="s1", fee=Decimal("0.1"))]
        book(*rows)
        before = every_bit(*TABLES)

        outcome = book(*rows, *rows)

        assert (outcome.created, outcome.unchanged, outcome.failed) == (0, 6, 0)
        assert every_bit(*TABLES) == before

    def test_the_same_twice_in_one_batch_counts_once(self):
        row = buy("1", id="b1")

        outcome = book(row, row, sell("1", id="s1"), sell("1", id="s1"))

        assert (outcome.created, outcome.unchanged) == (2, 2)

    def test_with_other_content_is_refused_by_name(self):
        row = buy("1", id="b1", notes="first")
        book(row)

        other = replace(row, size=Decimal(2), price=Decimal(5), lot_id="core", notes="")

        assert named(book(other)) == [
            (0, f"/{name}", "differs") for name in ("price", "size", "notes", "lot_id")
        ]
        assert not Position.objects.filter(pk="core").exists()

    def test_says_nothing_of_the_booking_of_another_bot(self):
        row = buy("1", id="b1", bot_id=new_bot().pk)
        book(row)

        other = replace(row, bot_id=new_bot().pk, size=Decimal(2))

        assert named(book(other)) == [(0, "/bot_id", "differs")]

    def test_against_a_lot_of_another_kind_is_refused(self):
        bot, other = new_bot(), new_bot()
        book(buy("2", lot_id="core", bot_id=bot.pk))

        outcome = book(
            sell("1", lot_id="core", symbol="ETH/USD"),
            sell("1", lot_id="core", bot_id=other.pk),
            buy("1", lot_id="core", bot_id=bot.pk, type="live"),
            sell("1", lot_id="core"),
        )

        assert named(outcome) == [(n, "/lot_id", "other_lot") for n in range(3)]
        assert LotTrade.objects.get(trade_type="sell").bot_id == bot.pk

    def test_names_what_cannot_be_booked(self):
        outcome = book(
            buy("1", bot_id="nobody"),
            replace(buy("1"), trade_type="hold"),
            buy("1", timestamp=NOON + 3 * HOUR),
            buy("1", id="b1"),
        )

        assert outcome.created == 1
        assert named(outcome) == [
            (0, "/bot_id", "unknown_bot"),
            (1, "/trade_type", "not_booked"),
            (2, "/timestamp", "in_future"),
        ]
        assert list(Position.objects.values_list("lot_id", flat=True)) == ["b1"]

    def test_of_many_takes_as_many_statements_as_of_one(self):
        bot = new_bot()
        with CaptureQueriesContext(connection) as one:
            book(buy("1", bot_id=bot.pk), sell("0.5", bot_id=bot.pk))
        with CaptureQueriesContext(connection) as many:
            outcome = book(
                *(buy("1", bot_id=bot.pk) for _ in range(150)),
                *(sell("0.7", bot_id=bot.pk) for _ in range(150)),
            )

        assert outcome.created == 300
        assert len(many) == len(one)

    def test_is_told_to_the_logs_and_to_the_bot(
        self, monkeypatch, django_capture_on_commit_callbacks
    ):
        told = []
        monkeypatch.setattr(writer, "put", lambda model, rows: told.extend(rows))
        bot = new_bot()
        row = buy("1", id="b1", bot_id=bot.pk)
        with django_capture_on_commit_callbacks(execute=True):
            book(row, sell("0.5", "110", bot_id=bot.pk))
            book(row)

        assert BotInstance.objects.get(pk=bot.pk).last_activity_at == NOON + HOUR
        assert [(e["event_type"], e["side"], e["metadata"]["pnl"]) for e in told] == [
            ("position_updated", "buy", None),
            ("position_updated", "sell", "5"),
        ]


class TestReserving:
    def test_sets_what_is_available(self):
        book(buy("2", lot_id="core"))

        lots.reserve(lot_id="core", size=Decimal("1.5"), now=NOON)
        before = every_bit(*TABLES)
        again = lots.reserve(lot_id="core", size=Decimal("1.5"), now=NOON + HOUR)

        assert (again.total_size, again.available_size) == (2, Decimal("0.5"))
        assert every_bit(*TABLES) == before

    def test_of_more_than_there_is_is_refused(self):
        book(buy("2", lot_id="core"))

        with pytest.raises(OverReserved):
            lots.reserve(lot_id="core", size=Decimal("2.000000000000000001"), now=NOON)
        assert sizes("core") == (2, 2)

    def test_of_no_lot_is_refused(self):
        with pytest.raises(lots.UnknownLot):
            lots.reserve(lot_id="none", size=Decimal(1), now=NOON)


thousandths = st.integers(1, 3000).map(lambda n: Decimal(n).scaleb(-3))
moves = st.lists(
    st.tuples(
        st.sampled_from(["buy", "add", "sell", "sell from", "reserve"]),
        st.sampled_from(["a", "b", "c"]),
        thousandths,
        thousandths,
    ),
    min_size=1,
    max_size=25,
)


class TestAnyBookings:
    """Against a model of dictionaries: what each lot holds, and what of it is reserved."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(moves, st.randoms())
    def test_leave_what_a_plain_model_has(self, life, chance):
        LotTrade.objects.all().delete()
        Position.objects.all().delete()
        total, held_back, closed, opened = {}, {}, set(), []
        batch, expected = [], []

        def enter():
            outcome = book(*batch)
            refused = {result.index for result in outcome.results}
            assert [n not in refused for n in range(len(batch))] == expected
            batch.clear()
            expected.clear()

        for number, (what, name, size, price) in enumerate(life):
            values = {"id": f"move {number}", "timestamp": NOON + number * MINUTE / 10}
            if what == "reserve":
                enter()
                if name in total and size <= total[name]:
                    lots.reserve(lot_id=name, size=size, now=NOON)
                    held_back[name] = size
                continue
            if what in ("buy", "add"):
                target = name if what == "add" else values["id"]
                batch.append(buy(size, price, **values, lot_id=name if what == "add" else None))
                expected.append(target not in closed)
                if target not in closed:
                    if target not in total:
                        opened.append(target)
                    total[target] = total.get(target, Decimal(0)) + size
                    held_back.setdefault(target, Decimal(0))
            else:
                named_lots = [name] if what == "sell from" else opened
                free = {n: total[n] - held_back[n] for n in named_lots if n in total}
                batch.append(
                    sell(
                        size,
                        price,
                        **values,
                        lot_id=name if len(named_lots) == 1 and what == "sell from" else None,
                    )
                )
                expected.append(sum(free.values(), Decimal(0)) >= size)
                left = size if expected[-1] else Decimal(0)
                for each, available in free.items():
                    part = min(left, available)
                    total[each] -= part
                    left -= part
                    if part and not total[each]:
                        closed.add(each)
            if chance.random() < 0.5:
                enter()
        enter()

        stored = Position.objects.values_list("lot_id", "total_size", "available_size")
        assert {name: (whole, free) for name, whole, free in stored} == {
            name: (total[name], total[name] - held_back[name]) for name in total
        }
        moved = LotTrade.objects.values_list("lot_id", "trade_type").annotate(size=Sum("size"))
        bought = {lot_id: size for lot_id, side, size in moved if side == "buy"}
        sold = {lot_id: size for lot_id, side, size in moved if side == "sell"}
        assert {name: bought[name] - sold.get(name, 0) for name in bought} == total


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_never_sell_more_than_there_is(self):
        """Eight sell 0.3 of one; two of them are the same booking, half of them name the lot."""
        for number in range(ROUNDS):
            name = f"lot {number}"
            symbol = f"C{number}/USD"
            book(buy("1", lot_id=name, symbol=symbol))
            rows = [
                sell(
                    "0.3",
                    "110",
                    id=f"{number} {n % 7}",
                    symbol=symbol,
                    lot_id=name if n % 2 else None,
                )
                for n in range(8)
            ]

            outcomes = at_once([partial(book, row) for row in rows])

            sales = LotTrade.objects.filter(lot_id=name, trade_type="sell")
            assert sum(each.created for each in outcomes) == sales.count() == 3
            assert sizes(name) == (Decimal("0.1"), Decimal("0.1"))
            assert lot(name).realized_pnl == 9

    def test_conserve_every_lot_and_do_not_wait_in_a_circle(self):
        for number in range(ROUNDS):
            symbol = f"D{number}/USD"
            names = [f"{number} {n}" for n in range(4)]
            batches = []
            for worker in range(8):
                chance = random.Random(worker)
                rows = [buy("1", lot_id=name, symbol=symbol) for name in names]
                rows += [sell("0.5", lot_id=name, symbol=symbol) for name in names]
                rows += [sell("0.75", symbol=symbol), buy("0.25", symbol=symbol)]
                chance.shuffle(rows)
                batches.append(rows)

            outcomes = at_once([partial(book, *rows) for rows in batches])

            assert not [each for each in outcomes if isinstance(each, Exception)]
            of = LotTrade.objects.filter(symbol=symbol)
            for found in Position.objects.filter(symbol=symbol):
                moved = dict(
                    of.filter(lot=found).values_list("trade_type").annotate(size=Sum("size"))
                )
                assert found.total_size == moved["buy"] - moved.get("sell", 0) >= 0
                assert 0 <= found.available_size <= found.total_size
