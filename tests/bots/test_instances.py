"""Bots as they describe themselves."""

from decimal import Decimal

import pytest

from apps.bots.models import BotInstance
from apps.bots.services.instances import hash_of, register_bots
from apps.bots.services.watching import watch_bots
from tests.bots.lives import HOUR, NOON, SECOND, Described, living, stored, told
from tests.factories import make_watch

LIFE = ["status", "health", "beats", "last_heartbeat", "current_balance", "desired_state"]


class TestHash:
    def test_is_that_of_the_canonical_text(self):
        # printf '{"a":[1.5,null],"b":{"x":true,"y":"é"}}' | sha256sum
        known = "64410688ebcd70d16c635ff8b9d1f90041043505c6243cfc30e60bf8eff74179"
        assert hash_of({"b": {"y": "é", "x": True}, "a": [Decimal("1.50"), None]}) == known

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"a": 1}, {"a": Decimal("1.000")}),
            ({"a": 100}, {"a": Decimal("1E+2")}),
            ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ],
    )
    def test_is_the_same_for_what_is_equal(self, one, other):
        assert hash_of(one) == hash_of(other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"a": 1}, {"a": "1"}),
            ({"a": 1}, {"a": True}),
            ({"a": Decimal("0.1")}, {"a": Decimal("0.1000000000000000055511151231257827")}),
            ({"a": [1, 2]}, {"a": [2, 1]}),
            ({}, {"a": None}),
        ],
    )
    def test_differs_for_what_differs(self, one, other):
        assert hash_of(one) != hash_of(other)


@pytest.mark.django_db
class TestRegistration:
    def register(self, *rows, now=NOON, **how):
        return register_bots(rows, now=now, **how)

    def test_stores_what_describes_a_bot(self):
        row = Described(config={"fast": 12, "rate": Decimal("0.10")}, symbol="ETH/BTC")

        assert self.register(row).created == 1

        found = stored(row.id)
        assert (found.type, found.symbol, found.quote_currency) == ("paper", "ETH/BTC", "BTC")
        assert (found.status, found.health, found.beats) == ("starting", "ok", 0)
        assert (found.last_heartbeat, found.created_at) == (None, NOON)
        assert found.config_hash == hash_of({"rate": Decimal("0.1"), "fast": 12})

    def test_of_the_same_changes_nothing(self):
        row = Described()
        self.register(row)

        assert self.register(row, now=NOON + HOUR).unchanged == 1
        assert stored(row.id).overdue_at == NOON

    def test_describes_a_known_bot_anew_and_moves_no_life(self):
        name = living(current_balance=Decimal(5), desired_state="pause")
        before = BotInstance.objects.values(*LIFE).get(pk=name)

        outcome = self.register(Described(id=name, version="2.0"), now=NOON + SECOND)

        assert outcome.replaced == 1
        assert BotInstance.objects.values(*LIFE).get(pk=name) == before
        assert stored(name).version == "2.0"

    def test_refuses_another_description_where_it_may_not_replace(self):
        row = Described()
        self.register(row)

        outcome = self.register(Described(id=row.id, version="2.0"), replace=False)

        assert [error.pointer for error in outcome.results[0].errors] == ["/version"]
        assert stored(row.id).version == "1.0"

    def test_stores_the_good_and_names_the_bad(self):
        outcome = self.register(Described(), Described(id="a/b"), Described(id=""))

        assert (outcome.created, outcome.failed) == (1, 2)
        assert [result.index for result in outcome.results] == [1, 2]

    def test_expects_a_new_bot_within_three_intervals(self):
        make_watch(name="bots", looked_at=NOON, awake_since=NOON - HOUR)
        row = Described(heartbeat_interval_seconds=10)
        self.register(row)

        assert watch_bots(now=NOON + 30 * SECOND) == 0
        assert watch_bots(now=NOON + 31 * SECOND) == 1
        assert (stored(row.id).status, told()) == ("starting", ["bot_silent"])

    def test_another_interval_is_another_deadline(self):
        make_watch(name="bots", looked_at=NOON, awake_since=NOON - HOUR)
        name = living(NOON, heartbeat_interval_seconds=3600, overdue_at=NOON + 3 * HOUR)

        self.register(Described(id=name, heartbeat_interval_seconds=10), now=NOON)

        assert watch_bots(now=NOON + 31 * SECOND) == 1

    def test_does_not_revive_a_silent_bot(self):
        make_watch(name="bots", looked_at=NOON, awake_since=NOON - HOUR)
        name = living(NOON - HOUR, health="silent", overdue_at=None)

        self.register(Described(id=name, heartbeat_interval_seconds=86400))
        watch_bots(now=NOON + SECOND)

        assert (stored(name).health, told()) == ("silent", [])
