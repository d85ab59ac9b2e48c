"""What every dataset holds to: nothing is torn out of what is kept, and every age is found fast."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.models import F, Q

from apps.agents.models import AgentTrade, LLMCall
from apps.analysis.models import Prediction
from apps.bots.choices import OrderStatus, TradeStatus, TradeType
from apps.bots.models import BotInstance, Order, Trade
from apps.executions.models import Execution
from apps.logs.models import ENTRIES
from apps.market.models import ApiCacheEntry, Candle
from apps.market.services.cache.clearing import expire
from apps.retention.models import Archive, RetentionPolicy
from apps.shared.retention.datasets import (
    UNDATED,
    Dataset,
    Rule,
    UnknownDataset,
    dataset,
    datasets,
    register,
)
from tests.factories import make_cache_entry, make_execution, make_order, make_prediction

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
ALL = datasets()
EVERY_DATASET = pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
TABLES = {model._meta.db_table: model for model in apps.get_models() if model._meta.managed}

DAYS = {
    "agent_decisions": 92,
    "agent_performance": 183,
    "analyses": 30,
    "api_cache": 0,
    "bot_performance": 365,
    "cache_invalidations": 90,
    "error_logs": 180,
    "executions": 90,
    "features": 731,
    "performance_logs": 30,
    "predictions": 365,
    "system_logs": 90,
    "trades": 90,
    "user_action_logs": 90,
}
# For those who want them; the day they are switched on, they keep what is young.
WHO_WANTS_THEM = {
    "alerts": 731,
    "model_signals": 365,
    "notifications": 365,
    "paper_performance": 365,
    "trading_events": 731,
}


def usual(one):
    return Rule(
        one, one.times[0], timedelta(one.age_days), frozenset(each.name for each in one.exempt)
    )


def foreign_keys():
    """Every foreign key of the database, as the database tells: table, column, to which table."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.conrelid::regclass::text, a.attname, c.confrelid::regclass::text
            FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY(c.conkey)
            WHERE c.contype = 'f' ORDER BY 1, 2
            """
        )
        return cursor.fetchall()


class TestWhatIsDeclared:
    def test_is_what_the_design_asks_for(self):
        assert {one.name: one.age_days for one in ALL if one.enabled} == DAYS
        assert {one.name: one.age_days for one in ALL if not one.enabled} == WHO_WANTS_THEM

    @EVERY_DATASET
    def test_tells_staff_what_it_is(self, one):
        assert re.fullmatch(r"[A-Z].*[^.]", one.title)
        assert re.fullmatch(r"[A-Z].*[.]", one.about)
        assert len(one.about) <= 200
        for each in one.exemptions:
            # "It stays because …"
            assert re.fullmatch(r"[a-z].*[^.]", each.why), each.why

    @EVERY_DATASET
    def test_has_a_name_that_a_policy_can_keep(self, one):
        longest = RetentionPolicy._meta.get_field("dataset").max_length
        assert longest == Archive._meta.get_field("dataset").max_length
        assert re.fullmatch(r"[a-z][a-z_]*", one.name)
        assert len(one.name) <= longest

    @EVERY_DATASET
    def test_names_each_exemption_once(self, one):
        names = [each.name for each in (*one.exemptions, *usual(one).holding[-1:])]
        assert len(set(names)) == len(names)
        assert names[-1] == UNDATED

    @EVERY_DATASET
    def test_can_be_asked_of_the_database(self, one, db):
        for time in one.times:
            old = one.model._default_manager.filter(one.scope, **{f"{time}__lt": NOW})
            for each in usual(one).holding:
                old = old.exclude(each.rows)
            assert list(old) == []
            for each in one.dependents:
                along = each.model._default_manager.annotate(belongs_to=each.root)
                assert list(along.filter(belongs_to__in=old.values("pk"))) == []

    def test_is_known_by_its_name(self):
        assert dataset("trades").model is Trade
        with pytest.raises(UnknownDataset):
            dataset("no such")

    def test_has_no_two_of_one_name(self):
        other = Dataset(
            name="trades",
            title="Others",
            about="Others.",
            model=Execution,
            times=("created_at",),
            age_days=1,
        )

        with pytest.raises(ValueError, match="trades"):
            register(other)

        assert dataset("trades").model is Trade


class TestTimes:
    @EVERY_DATASET
    def test_are_times_of_the_row(self, one):
        assert one.times
        for time in one.times:
            field = one.model._meta.get_field(time)
            assert isinstance(field, models.DateTimeField)

    @EVERY_DATASET
    def test_are_found_by_an_index(self, one, db):
        """Asked of the planner, as one asks: rows of the scope, older than a moment, in order."""
        for time in one.times:
            with connection.cursor() as cursor:
                for way in ("seqscan", "bitmapscan", "sort"):
                    cursor.execute(f"SET LOCAL enable_{way} = off")
            # Runs that ended badly are joined to the analyses that the index finds.
            scope = Q() if one.name == "analyses" else one.scope
            old = one.model._default_manager.filter(scope, **{f"{time}__lt": NOW})
            plan = old.order_by(time).explain()

            assert re.search(rf'Index Cond: .*\b{time}"? <', plan), plan
            assert "Sort" not in plan, plan


class TestReferences:
    """Whatever points to a row that leaves either leaves with it, or keeps it."""

    @EVERY_DATASET
    def test_are_cited_or_leave_along(self, one, db):
        inside = {model._meta.db_table for model in one.models}
        kept = {each.name for each in one.citations()}
        along = {
            (one.table, column)
            for each in one.dependents
            if each.model is one.model
            for column in names_in(each)
        }
        pointing = [key for key in foreign_keys() if key[2] in inside]
        for table, column, target in pointing:
            if table in inside and table != one.table:
                continue
            if table == one.table and (table, column) in along:
                continue
            field = next(
                field for field in TABLES[table]._meta.local_fields if field.column == column
            )
            assert target == one.table, (
                f"{table}.{column} points to {target}, which leaves with {one.table}"
            )
            assert f"cited_by_{table}_{field.name}" in kept

    @EVERY_DATASET
    def test_are_found_by_an_index(self, one, db):
        """To cite, and to leave along: else each row that leaves costs a walk through a table."""
        inside = {model._meta.db_table for model in one.models}
        for table, column, target in foreign_keys():
            if target in inside:
                assert leading(table, column), f"no index of {table} begins with {column}"

    @EVERY_DATASET
    def test_lead_to_the_key_of_the_row(self, one):
        key = one.model._meta.pk
        for each in one.dependents:
            query = each.model._default_manager.annotate(belongs_to=each.root)
            found = query.query.annotations["belongs_to"].output_field
            target = getattr(found, "target_field", found)
            assert type(target) is type(key), f"{each.model.__name__}: {each.root}"

    def test_of_predictions_are_seen(self, db):
        """They are cited by the sender's name, not by their key."""
        cited, free = make_prediction(), make_prediction()
        make_order(prediction=cited)
        [citation] = dataset("predictions").citations()

        assert list(Prediction.objects.exclude(citation.rows)) == [free]

    def test_of_executions_hold_the_last_run_of_each_policy(self, db):
        last, free = make_execution(), make_execution()
        RetentionPolicy.objects.create(
            dataset="trades", age_days=90, time_column="exit_time", last_run=last
        )
        kept = Execution.objects.all()
        for citation in dataset("executions").citations():
            kept = kept.exclude(citation.rows)

        assert list(kept) == [free]


def names_in(dependent):
    """Return the columns of a dependent that its root is read from, where it is its own table."""
    fields = dependent.model._meta.local_fields
    return [
        field.column
        for field in fields
        if isinstance(dependent.root, F) and dependent.root.name == field.name
    ]


def leading(table, column):
    """Return the names of the indexes of a table that begin with a column and hold all of it."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT i.indexrelid::regclass::text FROM pg_index i
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = %s::regclass AND a.attname = %s AND (
                i.indpred IS NULL
                OR pg_get_expr(i.indpred, i.indrelid) = format('(%%s IS NOT NULL)', %s)
            )
            """,
            [table, column, column],
        )
        return cursor.fetchall()


class TestMonthlyDatasets:
    def test_are_the_logs(self, db):
        monthly = {one.model for one in ALL if one.monthly}

        assert monthly == set(ENTRIES)

    @pytest.mark.parametrize("one", [one for one in ALL if one.monthly], ids=lambda one: one.name)
    def test_leave_whole(self, one):
        """A month leaves with all its rows, so no single one of them can be exempt."""
        assert one.exemptions == ()
        assert one.scope == Q()
        assert one.dependents == ()
        assert one.around is None

    @pytest.mark.parametrize("one", [one for one in ALL if one.monthly], ids=lambda one: one.name)
    def test_are_cut_by_the_time_that_their_age_counts_from(self, one, db):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_get_partkeydef(%s::regclass)", [one.table])
            [(key,)] = cursor.fetchall()

        assert one.times == (key.removeprefix("RANGE (").removesuffix(")").strip('"'),)

    def test_count_age_in_whole_months(self):
        rule = usual(dataset("system_logs"))

        assert rule.cutoff(NOW) == datetime(2026, 6, 1, tzinfo=UTC)


class TestWhatNeverLeaves:
    @pytest.mark.parametrize(
        "model", [AgentTrade, LLMCall, Candle, BotInstance], ids=lambda model: model.__name__
    )
    def test_is_in_no_dataset(self, model):
        assert not [one.name for one in ALL if model in one.models]

    def test_orders_only_leave_with_their_trade(self):
        assert [one.name for one in ALL if Order in one.models] == ["trades"]
        assert dataset("trades").model is Trade

    @EVERY_DATASET
    def test_stands_in_the_code_and_in_no_policy(self, one):
        names = {each.name for each in one.exempt}
        lifted = usual(one)._replace(exemptions=frozenset())

        assert {each.name for each in lifted.holding} >= {each.name for each in one.mandatory}
        assert not names & {each.name for each in one.mandatory}


class TestOrder:
    def test_sets_what_is_cited_before_what_cites_it(self):
        names = [one.name for one in ALL]

        # Orders cite predictions, and analyses their runs: what they free goes with the next run.
        assert names.index("predictions") < names.index("trades")
        assert names.index("executions") < names.index("analyses")

    def test_does_not_depend_on_what_was_declared_first(self):
        assert [one.name for one in datasets()] == [one.name for one in ALL]


class TestTrades:
    def test_of_every_type_are_meant(self):
        """Who adds a type decides whether it may leave."""
        assert set(TradeType) == {TradeType.LIVE, TradeType.PAPER, TradeType.OPTIMIZATION}

    def test_know_every_state_of_trades_and_orders(self):
        assert set(TradeStatus) == {TradeStatus.OPEN, TradeStatus.CLOSED, TradeStatus.CANCELLED}
        final = {
            OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED
        }  # fmt: skip
        working = set(OrderStatus) - final
        assert working == {
            OrderStatus.PENDING, OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED
        }  # fmt: skip


class TestCachedAnswers:
    def test_leave_as_they_are_removed_every_five_minutes(self, db):
        moments = [NOW + timedelta(seconds=number) for number in (-3600, -1, 1, 3600)]
        for stale in moments:
            cached = stale - timedelta(hours=2)
            make_cache_entry(
                cached_at=cached, expires_at=cached + timedelta(hours=1), stale_until=stale
            )
        one = dataset("api_cache")
        cutoff = usual(one).cutoff(NOW)
        told = set(
            ApiCacheEntry.objects.filter(stale_until__lt=cutoff).values_list("pk", flat=True)
        )
        stood = set(ApiCacheEntry.objects.values_list("pk", flat=True))

        assert expire(now=NOW) == 2

        assert stood - set(ApiCacheEntry.objects.values_list("pk", flat=True)) == told
        assert (one.scope, one.exemptions, one.dependents, one.archive) == (Q(), (), (), False)
