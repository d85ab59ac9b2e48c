"""What leaves and what stays: counted to the row, also where columns are empty."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q
from django.test.utils import CaptureQueriesContext

from apps.bots.models import Order, Trade
from apps.logs.models import Notification, SystemLog
from apps.shared import partitions
from apps.shared.retention.datasets import (
    UNDATED,
    Dataset,
    Dependent,
    Exemption,
    Rule,
    dataset,
    datasets,
)
from apps.shared.retention.selecting import ForbiddenRows, guard, leaving, plan
from tests.factories import make_bot, make_notification, make_order, make_system_log, make_trade

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, tzinfo=UTC)
AGE = timedelta(days=90)
CUTOFF = NOW - AGE
CITED = "cited_by_orders_trade"
LONG_AGO = NOW - timedelta(days=200)

orders = Order.objects.filter(trade_id=OuterRef("pk"))


def trades(**changes: Any) -> Rule:
    """Return a rule for trades without the exemptions of their app."""
    plain: dict[str, Any] = {"never": (), "exempt": (), "dependents": (), "scope": Q()}
    return Rule(replace(dataset("trades"), **plain | changes), "exit_time", AGE, frozenset())


def make_closed(exit_time: datetime = LONG_AGO, **values: Any) -> Trade:
    entry_time = exit_time - timedelta(hours=1)
    usual = {"trade_type": "paper", "entry_time": entry_time, "exit_time": exit_time}
    return make_trade(closed=True, **usual | values)


class TestLeaving:
    def test_rows_before_the_cutoff_leave_and_no_others(self) -> None:
        before = make_closed(CUTOFF - timedelta(microseconds=1))
        make_closed(CUTOFF)
        make_trade()
        assert list(leaving(trades(), NOW)) == [before]

    def test_rows_outside_of_the_scope_are_not_meant(self) -> None:
        make_closed(symbol="ETH/USD")
        meant = make_closed()
        rule = trades(scope=Q(symbol="BTC/USD"))
        assert list(leaving(rule, NOW)) == [meant]
        assert plan(rule, NOW).old == 1

    @pytest.mark.parametrize(
        "rows",
        [
            Q(pnl_percentage__gt=5),
            Q(pnl_percentage__gt=F("commission_rate")),
            ~Q(pnl_percentage__lt=5),
            Q(pnl_percentage__gt=5) | Q(commission_rate__gt=5),
            Q(pnl_percentage__gt=5) & Q(symbol="BTC/USD"),
            Q(extra_metadata__kept=True),
            Q(parent_trade__symbol="BTC/USD"),
            ~Q(pk__in=[]) & Q(pnl_percentage__gt=5),
        ],
    )
    def test_an_exemption_that_is_not_known_does_not_hold(self, rows: Q) -> None:
        unknown = make_closed(pnl_percentage=None, commission_rate=None)
        rule = trades(exempt=(), never=(Exemption("big", "it is big", rows),))
        found = plan(rule, NOW)
        left = list(leaving(rule, NOW))
        # Django's own "not" takes an empty value for one that is not less.
        assert left == ([] if rows == ~Q(pnl_percentage__lt=5) else [unknown])
        assert (found.rows, found.exempt[0].rows) == (len(left), 1 - len(left))

    def test_nothing_is_exempt_by_an_impossible_condition_and_all_by_an_empty_one(self) -> None:
        trade = make_closed()
        none, every = (Exemption("x", "x", each) for each in (Q(pk__in=[]), ~Q(pk__in=[])))
        assert list(leaving(trades(never=(none,)), NOW)) == [trade]
        assert list(leaving(trades(never=(every,)), NOW)) == []
        assert plan(trades(never=(every,)), NOW).exempt[0].rows == 1

    def test_an_optional_exemption_holds_where_the_policy_says_so(self) -> None:
        seen = make_notification(created_at=LONG_AGO, seen_at=LONG_AGO, seen_by="ann")
        unseen = make_notification(created_at=LONG_AGO)
        Notification.objects.update(created_at=LONG_AGO)
        lifted = Rule(dataset("notifications"), "created_at", AGE, frozenset())
        assert set(leaving(lifted, NOW)) == {seen, unseen}
        assert list(leaving(lifted._replace(exemptions=frozenset({"unseen"})), NOW)) == [seen]

    def test_a_lookup_by_time_can_use_an_index(self) -> None:
        with CaptureQueriesContext(connection) as asked:
            list(leaving(trades(never=(Exemption("o", "o", Q(Exists(orders))),)), NOW))
        (query,) = asked.captured_queries
        assert 'AND "trades"."exit_time" < ' in query["sql"]
        assert "AND NOT EXISTS(" in query["sql"].replace("WHERE (NOT", "AND NOT")


class TestPlan:
    def test_a_row_counts_under_the_first_exemption_that_holds(self) -> None:
        both, second = make_closed(symbol="ETH/USD", interval="4h"), make_closed(interval="4h")
        third = make_closed()
        rule = trades(
            never=(
                Exemption("ether", "it is ether", Q(symbol="ETH/USD")),
                Exemption("slow", "it is slow", Q(interval="4h")),
            )
        )
        found = plan(rule, NOW)
        assert [each.rows for each in found.exempt[:2]] == [1, 1]
        assert (found.old, found.rows) == (3, 1)
        assert list(leaving(rule, NOW)) == [third]
        assert {both, second}.isdisjoint(leaving(rule, NOW))

    def test_rows_without_a_time_count_under_what_else_holds_or_as_undated(self) -> None:
        make_trade()
        make_trade(status="cancelled")
        rule = trades(never=(Exemption("open", "it is open", Q(status="open")),))
        found = plan(rule, NOW)
        stay = {each.name: each.rows for each in found.exempt if each.rows}
        assert stay == {"open": 1, UNDATED: 1}
        assert (found.old, found.rows) == (2, 0)

    def test_it_says_from_when_to_when_and_how_many_bytes(self) -> None:
        times = [LONG_AGO + timedelta(days=n) for n in range(3)]
        for each in times:
            make_closed(each)
        make_closed(LONG_AGO - timedelta(days=9), symbol="ETH/USD")
        found = plan(trades(never=(Exemption("e", "e", Q(symbol="ETH/USD")),)), NOW)
        assert (found.oldest, found.newest) == (times[0], times[-1])
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT sum(pg_column_size(t.*)) FROM trades AS t WHERE symbol = 'BTC/USD'"
            )
            assert cursor.fetchone() == (found.bytes,)

    def test_dependents_of_what_leaves_are_counted_with_their_bytes(self) -> None:
        for _ in range(2):
            make_order(trade=make_closed(), trade_type="paper", status="filled")
        make_order(trade=make_closed(NOW), trade_type="paper", status="filled")
        without = plan(trades(), NOW).bytes
        found = plan(trades(dependents=(Dependent(Order, F("trade")),)), NOW)
        assert found.dependents == {"orders": 2}
        assert found.bytes > without

    def test_nothing_at_all_is_a_plan_too(self) -> None:
        found = plan(trades(), NOW)
        assert (found.old, found.rows, found.bytes, found.oldest) == (0, 0, 0, None)
        assert found.months == []

    def test_a_table_cut_into_months_is_counted_with_its_catch_all(self) -> None:
        rule = Rule(dataset("system_logs"), "timestamp", AGE, frozenset())
        partitions.make_months("system_logs", [date(2019, 12, 1)])
        first = datetime(2018, 5, 5, tzinfo=UTC)
        # The cutoff is the first of the month that 90 days ago lay in.
        last = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
        for each in (first, datetime(2019, 12, 24, tzinfo=UTC), last, last + timedelta(seconds=1)):
            make_system_log(timestamp=each)
        found = plan(rule, NOW)
        assert (found.old, found.rows, found.oldest, found.newest) == (3, 3, first, last)
        assert found.months[0] == date(2019, 12, 1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_total_relation_size('system_logs_2019_12')")
            (month,) = cursor.fetchone()
        assert month < found.bytes < month + 2_000
        assert SystemLog.objects.count() == 4

    def test_old_rows_are_those_that_leave_and_those_that_are_exempt(self) -> None:
        """Rows, exemptions and empty columns at random, judged again row by row in Python."""
        chance = random.Random(8)
        bot = make_bot(type="paper")
        for _ in range(150):
            exit_time = NOW - timedelta(days=chance.randrange(180))
            values: dict[str, Any] = {
                "symbol": chance.choice(["BTC/USD", "ETH/USD"]),
                "pnl_percentage": chance.choice([None, 1, 9]),
                "commission_rate": chance.choice([None, 0, 5]),
            }
            if chance.random() < 0.2:
                trade = make_trade(bot=bot, **values)
            else:
                trade = make_closed(exit_time, bot=bot, **values)
            if chance.random() < 0.3:
                make_order(trade=trade, trade_type="paper", status="filled")
        rules: dict[str, tuple[Q, Any]] = {
            "big": (
                Q(pnl_percentage__gt=5),
                lambda t: t.pnl_percentage is not None and t.pnl_percentage > 5,
            ),
            "over": (
                Q(pnl_percentage__gt=F("commission_rate")),
                lambda t: (
                    t.pnl_percentage is not None
                    and t.commission_rate is not None
                    and t.pnl_percentage > t.commission_rate
                ),
            ),
            "ordered": (Q(Exists(orders)), lambda t: t.orders.exists()),
            "either": (
                Q(Exists(orders), symbol="ETH/USD") | Q(commission_rate=5) | Q(status="open"),
                lambda t: (
                    (t.symbol == "ETH/USD" and t.orders.exists())
                    or t.commission_rate == 5
                    or t.status == "open"
                ),
            ),
            "neither": (
                Q(~Exists(orders), symbol="BTC/USD"),
                lambda t: t.symbol == "BTC/USD" and not t.orders.exists(),
            ),
        }
        rows = list(Trade.objects.all())
        for _ in range(25):
            names = chance.sample(sorted(rules), chance.randrange(1, 4))
            rule = trades(never=tuple(Exemption(each, each, rules[each][0]) for each in names))
            expected = dict.fromkeys([*names, CITED, UNDATED, "leaves"], 0)
            left: set[Any] = set()
            for row in rows:
                if row.exit_time is not None and row.exit_time >= CUTOFF:
                    continue
                why = next((each for each in names if rules[each][1](row)), None)
                if why is None and row.orders.exists():
                    why = CITED
                if why is None:
                    why = UNDATED if row.exit_time is None else "leaves"
                expected[why] += 1
                left.update({row.pk} if why == "leaves" else ())
            found = plan(rule, NOW)
            stay = {each.name: each.rows for each in found.exempt}
            # No trade has parts here, so none is cited by one.
            assert stay | {"leaves": found.rows} == expected | {"cited_by_trades_parent_trade": 0}
            assert found.old == sum(expected.values())
            assert set(leaving(rule, NOW).values_list("pk", flat=True)) == left

    @pytest.mark.parametrize("name", [each.name for each in datasets()])
    def test_every_dataset_has_one_by_each_of_its_times(self, name: str) -> None:
        declared: Dataset = dataset(name)
        for time in declared.times:
            rule = Rule(declared, time, AGE, frozenset(each.name for each in declared.exempt))
            found = plan(rule, NOW)
            guard(rule, NOW)
            assert found.old == found.rows + sum(each.rows for each in found.exempt)


class TestGuard:
    def test_what_may_leave_may_leave(self) -> None:
        make_closed()
        guard(trades(never=(Exemption("open", "it is open", Q(status="open")),)), NOW)

    def test_rows_that_no_policy_may_touch_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_closed()
        rule = trades(never=(Exemption("paper", "it is paper", Q(trade_type="paper")),))
        guard(rule, NOW)
        # As if the rule had forgotten what it has to hold to.
        monkeypatch.setattr(Rule, "holding", ())
        with pytest.raises(ForbiddenRows, match=r"paper \(it is paper\)"):
            guard(rule, NOW)
