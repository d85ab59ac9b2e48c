"""Documents that bots keep with us: each version is replaced once, by who has read it."""

import os
from decimal import Decimal

import pytest
from django.db import connection

from apps.bots.models import BotState
from apps.bots.services.instances import UnknownBot
from apps.bots.services.states import LONGEST_VALUE, RefusedState, VersionConflict, put_state
from apps.shared.errors import Conflict
from tests.bots.lives import HOUR, NOON
from tests.factories import make_bot
from tests.threads import at_once

ROUNDS = int(os.environ.get("BOTS_ROUNDS", "3"))


def put(value, version=None, key="loop", bot_id=None, now=NOON):
    state, created = put_state(key=key, bot_id=bot_id, value=value, version=version, now=now)
    return state.version, created


def kept(key="loop"):
    with connection.cursor() as cursor:
        cursor.execute("SELECT value::text FROM bot_state WHERE key = %s", [key])
        return cursor.fetchone()[0]


@pytest.mark.django_db
class TestPut:
    def test_counts_the_versions_of_a_key(self):
        assert put({"n": 1}, 0) == (1, True)
        assert put({"n": 2}, 1) == (2, False)
        assert put({"n": 3}, 2, now=NOON + HOUR) == (3, False)
        assert BotState.objects.get().updated_at == NOON + HOUR

    def test_without_a_version_replaces_what_is_there(self):
        assert put({"n": 1}) == (1, True)
        assert put({"n": 2}) == (2, False)
        assert put({"n": 2}) == (2, False)

    @pytest.mark.parametrize("version", [0, 1, 3, 9])
    def test_of_another_version_is_refused_and_names_the_stored_one(self, version):
        put({"n": 1})
        put({"n": 2})

        with pytest.raises(VersionConflict, match="2") as refusal:
            put({"n": 7}, version)

        assert (refusal.value.status, refusal.value.code) == (409, "version_conflict")
        assert kept() == '{"n": 2}'

    def test_of_a_version_that_is_not_there_is_refused(self):
        with pytest.raises(VersionConflict, match="No version"):
            put({"n": 1}, 1)

    def test_whose_answer_was_lost_may_be_repeated(self):
        put({"n": Decimal("1.0")}, 0)
        assert put({"n": Decimal("1.0")}, 0) == (1, False)
        put({"n": 2}, 1)
        assert put({"n": 2}, 1) == (2, False)

    def test_of_an_equal_value_over_an_older_version_is_no_repetition(self):
        for number in (1, 2, 1):
            put({"n": number})

        with pytest.raises(VersionConflict):
            put({"n": 1}, 1)

    @pytest.mark.parametrize(
        "value", [None, True, "text", [], 12, Decimal("0.100000000000000000000000000000001"), {}]
    )
    def test_keeps_any_json_exactly(self, value):
        put(value)

        assert put(value, 0) == (1, False)
        if isinstance(value, Decimal):
            assert kept() == str(value)

    def test_keeps_a_mebibyte_and_no_more(self):
        put("x" * (LONGEST_VALUE - 2))

        with pytest.raises(RefusedState):
            put("x" * (LONGEST_VALUE - 1))

    def test_never_changes_whose_it_is(self):
        mine, other = make_bot().pk, make_bot().pk
        put({"n": 1}, bot_id=mine)

        with pytest.raises(Conflict):
            put({"n": 2}, bot_id=other)
        assert put({"n": 3}) == (2, False)
        assert BotState.objects.get().bot_id == mine

    def test_for_an_unknown_bot_is_refused(self):
        with pytest.raises(UnknownBot):
            put({}, bot_id="nobody")


@pytest.mark.django_db(transaction=True)
class TestSeveralAtOnce:
    @pytest.mark.parametrize("version", [0, 1])
    def test_exactly_one_of_several_writers_wins(self, version):
        for round_ in range(ROUNDS):
            key = f"key-{version}-{round_}"
            for _ in range(version):
                put("before", key=key)

            results = at_once(
                [lambda n=n, key=key: put({"writer": n}, version, key=key) for n in range(8)]
            )

            won = [n for n, result in enumerate(results) if isinstance(result, tuple)]
            assert len(won) == 1
            assert kept(key) == f'{{"writer": {won[0]}}}'
            lost = [result for result in results if not isinstance(result, tuple)]
            assert {type(each) for each in lost} == {VersionConflict}

    def test_of_writers_without_a_version_none_is_lost_unseen(self):
        results = at_once([lambda n=n: put({"writer": n}) for n in range(8)])

        assert sorted(version for version, _ in results) == list(range(1, 9))
