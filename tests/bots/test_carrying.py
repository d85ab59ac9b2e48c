"""What archived trades came to is carried forward: no balance changes when they leave."""

import os
import random
import uuid
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.db import transaction

from apps.bots.admin import ledger as admin_ledger
from apps.bots.domain import limits as rules
from apps.bots.domain.performance import (
    ALL_ARCHIVED,
    ARCHIVED_LOSSES,
    ARCHIVED_WINS,
    BEGINS_RUINED,
    DEFINITIONS,
    KEPT,
    NO_LOSS,
    Booked,
    Capital,
    Carried,
    figures_of,
    totals_of,
)
from apps.bots.models import BotPerformance, CarriedResult, Trade
from apps.bots.services.activity import measure_usual_gaps
from apps.bots.services.carrying import NotCarried, carried
from apps.bots.services.equity import equity_curve
from apps.bots.services.firing import evaluate_limits
from apps.bots.services.performance import snapshot_bots
from apps.bots.services.recovery import recover
from apps.bots.services.trade_summaries import summarize
from apps.shared.quant.performance import define
from tests.bots.ledgers import book, closed, in_parts
from tests.factories import NOON, make_bot, make_carried_result, make_limit, make_trade
from tests.threads import at_once

LATER = NOON + timedelta(days=120)
SYMBOLS = ["BTC/USD", "ETH/USD", "ADA/USD"]
# How many round trips the random ledgers have; the suite runs few.
ROUND_TRIPS = int(os.environ.get("CARRIED_ROUND_TRIPS", "100"))


def tree(roots):
    return Trade.objects.filter(pk__in=roots) | Trade.objects.filter(parent_trade__in=roots)


def archive(roots):
    """Let round trips leave as retention does; return their rows."""
    with carried(roots):
        rows = list(tree(roots))
        tree(roots).filter(parent_trade__isnull=False).delete()
        Trade.objects.filter(pk__in=roots).delete()
    return rows


def restore(rows):
    """Let them come back; what is there already stays as it is."""
    with carried([row.pk for row in rows if row.parent_trade_id is None]):
        rows = sorted(rows, key=lambda row: row.parent_trade_id is not None)
        Trade.objects.bulk_create(rows, ignore_conflicts=True)


def random_net(chance):
    """Return a net result of either sign, some zero, some with all digits that there are."""
    if chance.random() < 0.1:
        return Decimal(0)
    if chance.random() < 0.3:
        return Decimal(chance.randint(-(10**33), 10**33)).scaleb(-18)
    return Decimal(chance.randint(-9_000, 9_500)).scaleb(-2)


def random_trades(chance, bots, trips=ROUND_TRIPS):
    rows = []
    for _ in range(trips):
        bot = chance.choice(bots)
        told = {
            "trade_type": chance.choice([bot.type, bot.type, "optimization"]),
            "quote_currency": chance.choice(["USD", "USD", "EUR", ""]),
            "symbol": chance.choice(SYMBOLS),
        }
        at = NOON + timedelta(minutes=15 * chance.randrange(4 * 24 * 60))
        if chance.random() < 0.7:
            net = random_net(chance)
            rows.append(closed(bot, net, at, gross_pnl=rules.WIDE.add(net, Decimal(1)), **told))
        else:
            # Their sum has to be exact too, as it is in the ledger.
            nets = [Decimal(chance.randint(-(10**21), 10**21)).scaleb(-18) for _ in range(3)]
            rows += in_parts(bot, nets, at, over=chance.random() < 0.8, **told)
    return Trade.objects.bulk_create(rows)


def balances(bots):
    """Return everything that says what the ledgers of these bots came to."""
    BotPerformance.objects.all().delete()
    snapshot_bots(now=LATER)
    figures = ["net_pnl", "equity", "total_return", "total_trades", "winning_trades",
               "losing_trades", "win_rate", "open_trades"]  # fmt: skip
    keys = ["bot_id", "trade_type", "quote_currency"]
    curves = {}
    for bot in bots:
        for currency in ("USD", "EUR", ""):
            curve = equity_curve(bot, bot.type, currency)
            last = curve.points[-1] if curve.points else None
            curves[bot.pk, currency] = last.net_pnl if last else curve.opening
    booked = admin_ledger.booked([bot.pk for bot in bots], now=LATER)
    return {
        "recovery": {bot.pk: recover(bot_id=bot.pk).document["balance"] for bot in bots},
        "performance": list(BotPerformance.objects.order_by(*keys).values_list(*keys, *figures)),
        "curves": curves,
        "admin": {key: (each.today, each.total) for key, each in booked.items()},
        "summaries": summarize(Trade.objects.all(), carried=CarriedResult.objects.all()),
    }


def stored():
    return list(
        CarriedResult.objects.order_by("bot_id", "trade_type", "symbol", "quote_currency").values(
            "bot_id", "trade_type", "symbol", "quote_currency", "trades", "winning", "losing",
            "net_pnl", "commission", "last_exit",
        )
    )  # fmt: skip


def by_hand(rows):
    """Return what rows that left came to, counted one by one."""
    found = {}
    for row in rows:
        key = (row.bot_id, row.trade_type, row.symbol, row.quote_currency)
        sums = found.setdefault(key, [0, 0, 0, [], [], []])
        if row.parent_trade_id is None:
            sums[0] += 1
            sums[1] += row.net_pnl > 0
            sums[2] += row.net_pnl < 0
        if not row.partial_exits:
            sums[3].append(row.net_pnl)
            sums[4].append(row.commission)
            sums[5].append(row.exit_time)
    names = ["bot_id", "trade_type", "symbol", "quote_currency"]
    return [
        dict(zip(names, key, strict=True))
        | {"trades": trades, "winning": won, "losing": lost}
        | {
            "net_pnl": exact(nets),
            "commission": exact(fees),
            "last_exit": max(exits),
        }
        for key, (trades, won, lost, nets, fees, exits) in sorted(found.items())
    ]


def exact(amounts):
    total = Decimal(0)
    for amount in amounts:
        total = rules.WIDE.add(total, amount)
    return total


@pytest.mark.django_db
class TestBalances:
    @pytest.mark.parametrize("seed", [3, 8])
    def test_of_random_ledgers_stay_the_same_when_any_closed_trades_leave_and_come_back(self, seed):
        chance = random.Random(seed)
        bots = [make_bot(type="paper", initial_balance=n and 5000 * n) for n in range(4)]
        random_trades(chance, bots)
        before = balances(bots)
        over = list(Trade.objects.roots().filter(status="closed").order_by("pk"))
        left = []

        for share in (0.3, 0.5, 1):
            some = [root.pk for root in over if chance.random() <= share]
            left += archive(some)

            assert stored() == by_hand(left)
            assert balances(bots) == before

        assert not Trade.objects.roots().filter(status="closed").exists()
        while left:
            roots = {row.pk for row in left if row.parent_trade_id is None}
            some = {root for root in roots if chance.random() < 0.5} or roots
            back = [row for row in left if (row.parent_trade_id or row.pk) in some]
            restore(back)
            restore(back)
            left = [row for row in left if row not in back]
            assert balances(bots) == before

        assert stored() == []

    def test_count_what_really_left(self):
        bot = make_bot(type="paper")
        trades = book(bot, (0, "10"), (1, "-4"), (2, "0"))
        stays = trades[0]

        with carried([each.pk for each in trades] + [uuid.uuid4()]):
            Trade.objects.filter(pk__in=[each.pk for each in trades]).exclude(pk=stays.pk).delete()
        with carried([each.pk for each in trades]):
            pass

        (found,) = stored()
        assert (found["trades"], found["winning"], found["losing"]) == (2, 0, 1)
        assert (found["net_pnl"], found["last_exit"]) == (-4, NOON + timedelta(days=2))

    def test_that_are_zero_are_carried_too_and_the_latest_exit_is_never_set_back(self):
        bot = make_bot(type="paper")
        first, second = book(bot, (0, "5"), (1, "-5"))
        rows = archive([first.pk, second.pk])

        assert stored()[0] | {"net_pnl": 0, "trades": 2} == stored()[0]

        restore([row for row in rows if row.pk == second.pk])
        assert stored()[0] | {"net_pnl": 5, "last_exit": NOON + timedelta(days=1)} == stored()[0]
        restore(rows)
        assert stored() == []

    def test_are_the_same_whether_keys_are_told_as_text_or_not_at_all(self):
        (trade,) = book(make_bot(type="paper"), (0, "5"))

        with carried([]):
            pass
        with carried([str(trade.pk)]):
            trade.delete()

        assert stored()[0]["net_pnl"] == 5

    def test_stay_when_the_block_raises(self):
        bot = make_bot(type="paper")
        (trade,) = book(bot, (0, "5"))

        def fail():
            with carried([trade.pk]):
                Trade.objects.filter(pk=trade.pk).delete()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()

        assert (Trade.objects.count(), stored()) == (1, [])

    def test_do_not_let_trades_come_back_that_were_never_carried(self):
        bot = make_bot(type="paper")
        new = [closed(bot, "5", NOON)]

        with pytest.raises(NotCarried, match=f"{bot.pk} in BTC/USD"):
            restore(new)

        assert (Trade.objects.count(), stored()) == (0, [])

    def test_carry_many_by_a_handful_of_statements(self, django_assert_num_queries):
        trades = book(make_bot(type="paper"), *((n / 10, n) for n in range(300)))

        # Begun and ended by a savepoint; two locks, two looks, the delete, and four writes.
        with django_assert_num_queries(11), carried([each.pk for each in trades]):
            Trade.objects.all()._raw_delete("default")

        assert stored()[0]["trades"] == 300


@pytest.mark.django_db(transaction=True)
class TestSeveralAtOnce:
    def test_carry_a_trade_forward_once(self):
        bot = make_bot(type="paper")
        trades = book(bot, *((n, n + 1) for n in range(8)))
        keys = [each.pk for each in trades]

        def leave(some):
            return lambda: archive(some)

        @transaction.atomic
        def leave_held():
            list(Trade.objects.filter(pk__in=keys).order_by("pk").select_for_update())
            return archive(keys)

        found = at_once([leave(keys), leave(keys[::-1]), leave(keys[:4]), leave_held])

        assert [each for each in found if isinstance(each, Exception)] == []
        assert (stored()[0]["trades"], stored()[0]["net_pnl"]) == (8, 36)

        rows = max(found, key=len)
        back = at_once([lambda: restore(list(trades)), lambda: restore(rows)])

        assert back == [None, None]
        assert (Trade.objects.count(), stored()) == (8, [])

    def test_count_a_trade_that_staff_delete_meanwhile_on_one_side_only(self):
        trades = book(make_bot(type="paper"), *((n, 1) for n in range(20)))
        keys = [each.pk for each in trades]

        at_once([lambda: archive(keys), Trade.objects.filter(pk__in=keys[:10]).delete])

        assert stored()[0]["trades"] in (10, 20)
        assert stored()[0]["net_pnl"] == stored()[0]["trades"]


@pytest.mark.django_db
class TestEquityCurve:
    def test_begins_with_what_was_carried(self):
        bot = make_bot(type="paper", initial_balance=100)
        trades = book(bot, (0, "10"), (1, "-4"), (2, "1"), (3, "2"))
        archive([each.pk for each in trades[:2]])

        whole = equity_curve(bot, "paper", "USD")
        since = equity_curve(bot, "paper", "USD", since=NOON + timedelta(days=3))

        assert (whole.opening, [each.equity for each in whole.points]) == (6, [107, 109])
        assert (since.opening, [each.net_pnl for each in since.points]) == (7, [9])

    def test_of_archived_trades_alone_has_no_points(self):
        bot = make_carried_result(net_pnl=Decimal("-12.3")).bot

        curve = equity_curve(bot, "paper", "USD")

        assert (curve.opening, curve.points) == (Decimal("-12.3"), [])


def figures(exits, carried, capital="1000"):
    nets = [Decimal(net) for _, net in exits]
    day = 86_400 * 10**6
    times = np.array([days * day for days, _ in exits], np.int64)
    booked = Booked(times, np.array([float(net) for net in nets]))
    return figures_of(totals_of(nets, nets), booked, Capital(Decimal(capital)), carried=carried)


class TestFigures:
    def test_begin_behind_the_archived_trades(self):
        found = figures([(0, "-30"), (1, "170")], Carried(8, 6, 1, Decimal(-700)))

        values = found.values
        assert (values["total_trades"], values["winning_trades"], values["losing_trades"]) == (
            10, 7, 2,
        )  # fmt: skip
        assert values["win_rate"] == pytest.approx(700 / 9)
        assert (values["net_pnl"], values["equity"]) == (-560, 440)
        assert values["total_return"] == pytest.approx(-56)
        assert values["max_drawdown"] == pytest.approx(10)  # of the 300 it begins with
        assert (values["avg_win"], values["largest_loss"]) == (170, -30)
        assert found.reasons == {}

    def test_say_by_their_definitions_what_they_are_of(self):
        found = figures([(0, "-30")], Carried(1, 1, 0, Decimal(5)))

        assert found.definitions == {**DEFINITIONS, **KEPT}
        assert found.definitions["avg_win"] == "average_win/money/kept"
        assert "archived" in define(found.definitions["max_drawdown"])
        assert found.definitions["net_pnl"] == DEFINITIONS["net_pnl"]
        assert figures([(0, "-30")], Carried()).definitions == DEFINITIONS

    def test_that_nothing_kept_can_tell_are_empty_with_a_reason(self):
        found = figures([], Carried(2, 1, 1, Decimal(5)))

        assert (found.values["equity"], found.values["win_rate"]) == (1005, 50)
        assert found.reasons == {
            **dict.fromkeys(["avg_win", "largest_win"], ARCHIVED_WINS),
            **dict.fromkeys(["avg_loss", "largest_loss", "profit_factor"], ARCHIVED_LOSSES),
            **dict.fromkeys(["sharpe_ratio", "max_drawdown"], ALL_ARCHIVED),
        }
        assert figures([], Carried(1, 1, 0, Decimal(5))).reasons["avg_loss"] == NO_LOSS

    def test_of_a_ruined_beginning_have_no_course(self):
        found = figures([(0, "1"), (1, "2")], Carried(1, 0, 1, Decimal(-1000)))

        assert found.values["equity"] == 3
        assert found.values["total_return"] == pytest.approx(-99.7)
        assert found.reasons["max_drawdown"] == found.reasons["sharpe_ratio"] == BEGINS_RUINED

    @pytest.mark.django_db
    def test_are_stored_with_their_definitions_also_where_nothing_is_kept(self):
        archived, whole = make_carried_result().bot, make_bot()
        book(whole, (0, "10"))

        assert snapshot_bots(now=LATER) == 2
        assert snapshot_bots(now=LATER, bots=[archived.pk]) == 1

        row = BotPerformance.objects.get(bot=archived)
        assert (row.net_pnl, row.equity) == (Decimal("-12.3"), Decimal("9987.7"))
        assert row.definitions == {**DEFINITIONS, **KEPT}
        assert row.reasons["max_drawdown"] == ALL_ARCHIVED
        assert BotPerformance.objects.get(bot=whole).definitions == DEFINITIONS


@pytest.mark.django_db
class TestDrawdownLimit:
    def limit(self, **values):
        named = {"limit_type": "max_drawdown", "price": None, "threshold": 90, "action": "notify"}
        return make_limit(**named | {"type": "paper", "currency": "USD"} | values)

    def measured(self, limit):
        evaluate_limits(now=LATER)
        limit.refresh_from_db()
        return limit.current_value

    def test_begins_behind_the_archived_trades(self):
        chance = random.Random(5)
        for _ in range(5):
            bot = make_bot(type="paper", initial_balance=Decimal(1000))
            nets = [random_net(chance) % 90 for _ in range(8)]
            trades = book(bot, *enumerate(nets))
            one = self.limit(bot=bot)
            assert self.measured(one) == rules.drawdown_pct(
                initial=Decimal(1000), results=nets, unrealized=Decimal(0)
            )

            archive([each.pk for each in trades[:4]])

            assert self.measured(one) == rules.drawdown_pct(
                initial=1000 + exact(nets[:4]), results=nets[4:], unrealized=Decimal(0)
            )

    def test_of_a_symbol_still_counts_bots_whose_trades_in_it_are_archived(self):
        bot = make_bot(type="paper", initial_balance=Decimal(1000), symbol="")
        trades = book(bot, (0, "500"), (1, "-300"), symbol="ETH/USD")
        book(bot, (0, "-900"))
        archive([each.pk for each in trades])
        one = self.limit(bot=None, symbol="ETH/USD")

        assert self.measured(one) == 0

    def test_is_full_where_nothing_is_left(self):
        bot = make_bot(type="paper", initial_balance=Decimal(1000))
        archive([each.pk for each in book(bot, (0, "-1200"))])
        one = self.limit(bot=bot)

        assert self.measured(one) == 100
        assert one.status == "triggered"


@pytest.mark.django_db
class TestSummaries:
    def test_hold_what_was_archived(self):
        bot = make_bot(type="paper")
        trades = book(bot, (0, "10"), (1, "-4"), (2, "0"))
        make_trade(bot=bot)
        whole = summarize(Trade.objects.all())
        archive([each.pk for each in trades[:2]])

        told = summarize(Trade.objects.all(), carried=CarriedResult.objects.all())

        assert told == whole
        assert (told[0].total, told[0].open, told[0].closed, told[0].wins) == (4, 1, 3, 1)

    def test_over_http_hold_it_unless_exits_are_chosen(self, api):
        bot = make_carried_result(net_pnl=Decimal("-12.3"), symbol="ETH/USD").bot
        make_carried_result()
        asked = f"/api/v1/bots/trades/summary/?bot_id={bot.pk}"

        [found] = api.get(asked).json()["results"]

        assert found | {"closed": 3, "wins": 1, "net_pnl": "-12.3", "fees": "1.5"} == found
        assert found | {"breakeven": 0, "gross_pnl": "-10.8"} == found
        assert len(api.get(f"{asked}&symbol=ETH/USD").json()["results"]) == 1
        assert api.get(f"{asked}&symbol=BTC/USD").json()["results"] == []
        within = api.get(f"{asked}&exit_time_after=2020-01-01T00:00:00Z")
        assert within.json()["results"] == []


@pytest.mark.django_db
class TestPages:
    def page(self, client, bot):
        return client.get(f"/admin/bots/botinstance/{bot.pk}/change/").content.decode()

    def test_of_a_bot_says_with_what_it_begins(self, admin_client):
        bot = make_carried_result(trades=431, winning=200, losing=220).bot
        alone = self.page(admin_client, bot)
        book(bot, (0, "10"))
        beside = self.page(admin_client, bot)

        for page in (alone, beside):
            for words in ("Begins with", "431", "archived trades"):
                assert words in page
        snapshot_bots(now=LATER)
        assert "of those kept" in self.page(admin_client, bot)
        assert "Begins with" not in self.page(admin_client, make_bot())

    def test_let_nobody_delete_a_bot_whose_trades_are_archived(self, admin_client):
        bot = make_carried_result().bot

        answer = admin_client.get(f"/admin/bots/botinstance/{bot.pk}/delete/")

        assert answer.status_code == 403


@pytest.mark.django_db
class TestWhatIsUsual:
    def test_of_a_bot_stays_so_when_its_trades_leave(self):
        bot = make_bot(status="running")
        trades = [
            make_trade(
                bot=bot,
                closed=True,
                entry_time=NOON + timedelta(hours=2 * each),
                exit_time=NOON + timedelta(hours=2 * each + 1),
            )
            for each in range(6)
        ]
        measure_usual_gaps(now=LATER)
        bot.refresh_from_db()
        usual = bot.usual_gap_seconds

        archive([each.pk for each in trades])
        measure_usual_gaps(now=LATER)

        bot.refresh_from_db()
        assert usual == 3600
        assert bot.usual_gap_seconds == usual
