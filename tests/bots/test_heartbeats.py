"""Heartbeats: what counts as one, what is kept of it, what it is answered."""

from decimal import Decimal
from statistics import median

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from psycopg._queries import MAX_CACHED_STATEMENT_LENGTH

from apps.bots.choices import BotHealth, BotStatus, DesiredState
from apps.bots.domain import heartbeats as rules
from apps.bots.models import BotInstance
from apps.bots.models.instances import AT_WORK
from apps.bots.services.heartbeats import ORDINARY
from apps.bots.services.instances import UnknownBot
from apps.bots.services.watching import watch_bots
from apps.bots.services.wishes import wish
from apps.executions.models import Watch
from apps.logs.models import Notification
from tests.bots.lives import HOUR, MINUTE, NOON, SECOND, beats, every_bit, living, stored, told
from tests.factories import make_bot, make_watch

S = BotStatus


def life(**values):
    defaults = {"status": S.RUNNING, "heard": NOON, "interval": 60}
    return rules.Life(**defaults | values)


class TestHealth:
    def at(self, moment, before=BotHealth.OK, awake=None, **values):
        return rules.health(life(**values), now=moment, before=before, awake=awake)

    def test_is_silent_after_three_intervals_and_not_before(self):
        assert self.at(NOON + 180 * SECOND) == BotHealth.OK
        assert self.at(NOON + 181 * SECOND) == BotHealth.SILENT

    @pytest.mark.parametrize("status", BotStatus)
    def test_expects_to_hear_of_those_at_work_alone(self, status):
        expected = BotHealth.SILENT if status in rules.AT_WORK else BotHealth.OK
        assert self.at(NOON + HOUR, status=status) == expected

    def test_counts_from_when_somebody_was_there_to_hear(self):
        assert self.at(NOON + HOUR, awake=NOON + HOUR - 180 * SECOND) == BotHealth.OK
        assert self.at(NOON + HOUR, awake=NOON + HOUR - 181 * SECOND) == BotHealth.SILENT

    def test_is_stale_when_the_last_candle_is_three_candles_old(self):
        fed = {"candle_at": NOON - 180 * SECOND, "candle_interval": 60}
        assert self.at(NOON, **fed) == BotHealth.OK
        assert self.at(NOON + SECOND, **fed) == BotHealth.STALE

    def test_is_idle_after_five_usual_gaps(self):
        busy = {"activity_at": NOON, "usual_gap": 100.0, "interval": 120}
        heard = {"heard": NOON + 400 * SECOND}
        assert self.at(NOON + 500 * SECOND, **busy, **heard) == BotHealth.OK
        assert self.at(NOON + 501 * SECOND, **busy, **heard) == BotHealth.IDLE

    def test_is_idle_no_sooner_than_silent(self):
        busy = {"activity_at": NOON, "usual_gap": 1.0, "heard": NOON + 100 * SECOND}
        assert self.at(NOON + 180 * SECOND, **busy) == BotHealth.OK
        assert self.at(NOON + 181 * SECOND, **busy) == BotHealth.IDLE

    @pytest.mark.parametrize("status", sorted(set(BotStatus) - {S.RUNNING}))
    def test_only_who_runs_is_idle(self, status):
        late = {"activity_at": NOON - 24 * HOUR, "usual_gap": 60.0}
        assert self.at(NOON, status=status, **late) == BotHealth.OK

    @pytest.mark.parametrize("unknown", [{"usual_gap": None}, {"activity_at": None}])
    def test_is_never_idle_where_nothing_is_usual(self, unknown):
        late = {"activity_at": NOON - 24 * HOUR, "usual_gap": 60.0}
        assert self.at(NOON, **late | unknown) == BotHealth.OK

    def test_says_the_worst_first(self):
        bad = {
            "candle_at": NOON - HOUR,
            "candle_interval": 60,
            "activity_at": NOON - HOUR,
            "usual_gap": 60.0,
        }
        assert self.at(NOON + HOUR, **bad) == BotHealth.SILENT
        assert self.at(NOON, **bad) == BotHealth.STALE
        assert self.at(NOON, **bad | {"candle_at": NOON}) == BotHealth.IDLE

    def test_stays_silent_until_it_is_heard(self):
        assert self.at(NOON, before=BotHealth.SILENT) == BotHealth.SILENT

    def test_a_spell_is_not_ended_by_our_own_absence(self):
        fed = {"candle_at": NOON - HOUR, "candle_interval": 60}
        assert self.at(NOON, before=BotHealth.STALE, awake=NOON, **fed) == BotHealth.STALE
        assert self.at(NOON, before=BotHealth.OK, awake=NOON, **fed) == BotHealth.OK

    def test_a_bot_that_begins_has_neither_candles_nor_trades_yet(self):
        old = {
            "candle_at": NOON - HOUR,
            "candle_interval": 60,
            "activity_at": NOON - HOUR,
            "usual_gap": 60.0,
        }
        assert self.at(NOON + MINUTE, begun=NOON, **old) == BotHealth.OK


moments = st.integers(-2000, 2000).map(lambda seconds: NOON + seconds * SECOND)
lives = st.builds(
    rules.Life,
    status=st.sampled_from(BotStatus),
    heard=moments,
    interval=st.integers(1, 600),
    candle_at=st.none() | moments,
    candle_interval=st.none() | st.integers(1, 600),
    activity_at=st.none() | moments,
    usual_gap=st.none() | st.integers(1, 600).map(float),
    begun=st.none() | moments,
)


@given(lives, st.sampled_from(BotHealth), st.none() | moments, st.integers(0, 4000))
def test_nothing_gets_worse_before_it_must_be_looked_at_again(one, before, awake, later):
    found = rules.health(one, now=NOON, before=before, awake=awake)
    due = rules.overdue_at(one, found, awake=awake)
    assert due is None or due >= NOON
    moment = NOON + later * SECOND
    if due is None or moment <= due:
        then = rules.health(one, now=moment, before=found, awake=awake)
        order = [BotHealth.OK, BotHealth.IDLE, BotHealth.STALE, BotHealth.SILENT]
        assert order.index(then) <= order.index(found)


def test_one_list_says_who_is_at_work():
    assert set(AT_WORK) == rules.AT_WORK


class TestUsualGap:
    def test_is_the_median_of_the_last_fifty_moments(self):
        times = [NOON + seconds * SECOND for seconds in (0, 1000, 1010, 1030, 1060, 1100, 1150)]
        assert rules.usual_gap(times) == median([1000, 10, 20, 30, 40, 50])
        many = [NOON + n * HOUR for n in range(30)] + [
            NOON + 100 * HOUR + n * SECOND for n in range(50)
        ]
        assert rules.usual_gap(many) == 1

    def test_is_unknown_below_five_gaps(self):
        assert rules.usual_gap([NOON + n * SECOND for n in (0, 1, 2, 3, 4, 4)]) is None
        assert rules.usual_gap([NOON + n * SECOND for n in range(6)]) == 1


class TestReplay:
    def asked(self, **values):
        usual = {
            "now": NOON,
            "beat": None,
            "counted": 7,
            "sent_at": None,
            "last_sent_at": NOON - HOUR,
            "interval": 60,
        }
        return rules.is_replay(**usual | values)

    def test_is_told_by_the_count(self):
        assert self.asked(beat=6)
        assert not self.asked(beat=7)
        assert not self.asked(beat=8)

    def test_is_told_by_the_clock_of_the_bot_where_there_is_no_count(self):
        assert self.asked(sent_at=NOON - HOUR)
        assert not self.asked(sent_at=NOON - HOUR + SECOND)

    def test_is_not_taken_for_one_while_it_is_hardly_old(self):
        recent = {"last_sent_at": NOON - 30 * SECOND, "sent_at": NOON - 31 * SECOND}
        assert not self.asked(**recent)

    def test_needs_a_clock_to_be_told(self):
        assert not self.asked()
        assert not self.asked(sent_at=NOON - 2 * HOUR, last_sent_at=None)


@pytest.mark.django_db
class TestBeat:
    def test_is_kept_and_counted_by_our_clock(self):
        bot = living(NOON - MINUTE)

        answer = beats(
            bot,
            current_balance=Decimal("10.5"),
            total_pnl=Decimal("-1.25"),
            open_positions=2,
            last_candle_at=NOON - MINUTE,
            last_decision_at=NOON - SECOND,
            error_count=3,
            last_error="no quote",
            loop_time_ms=Decimal("12.5"),
            config_hash="abc",
            sent_at=NOON + 9 * HOUR,
        )

        found = stored(bot)
        assert (found.last_heartbeat, found.beats, answer.beat) == (NOON, 8, 8)
        assert found.reported_at == NOON + 9 * HOUR
        assert (found.current_balance, found.total_pnl) == (Decimal("10.5"), Decimal("-1.25"))
        assert (found.open_positions, found.error_count, found.last_error) == (2, 3, "no quote")
        assert (found.last_candle_at, found.last_activity_at) == (NOON - MINUTE, NOON - SECOND)
        assert (found.loop_time_ms, found.reported_config_hash) == (Decimal("12.5"), "abc")
        assert answer.health == BotHealth.OK

    def test_leaves_what_it_does_not_tell(self):
        bot = living(NOON - MINUTE, total_pnl=Decimal(5), last_error="old", open_positions=1)

        beats(bot)

        found = stored(bot)
        assert (found.status, found.total_pnl, found.open_positions) == ("running", 5, 1)
        assert found.last_error == "old"

    def test_takes_no_time_of_the_bot_from_the_future(self):
        bot = living(NOON - MINUTE)

        beats(bot, last_candle_at=NOON + HOUR, last_decision_at=NOON + HOUR)

        assert (stored(bot).last_candle_at, stored(bot).last_activity_at) == (NOON, NOON)

    def test_sets_nothing_back_when_it_was_under_way_for_long(self):
        bot = living(NOON)

        beats(bot, now=NOON - 10 * SECOND)

        assert stored(bot).last_heartbeat == NOON

    def test_keeps_no_secret_of_an_error(self):
        bot = living(NOON - MINUTE)

        beats(bot, last_error="api_key=sk-abcdefghijklmnopqrstuvwxyz012345 " + "x" * 20_000)

        assert "sk-abcdef" not in stored(bot).last_error
        assert len(stored(bot).last_error) == 10_000

    def test_of_an_unknown_bot_is_refused(self):
        for name in ("nobody", "no\0body"):
            with pytest.raises(UnknownBot):
                beats(name)

    def test_is_one_statement(self):
        bot = living(NOON - MINUTE)

        with CaptureQueriesContext(connection) as asked:
            beats(bot, status=S.RUNNING, current_balance=Decimal(1))

        assert len(asked) == 1

    def test_is_short_enough_to_be_taken_apart_once(self):
        assert len(ORDINARY) <= MAX_CACHED_STATEMENT_LENGTH

    @pytest.mark.parametrize("wished", [False, True])
    def test_says_the_same_whichever_way_it_goes(self, wished):
        report = {
            "status": S.RUNNING,
            "current_balance": Decimal("1.5"),
            "total_pnl": Decimal(0),
            "open_positions": 0,
            "last_candle_at": NOON - SECOND,
            "last_decision_at": NOON - SECOND,
            "error_count": 0,
            "last_error": "",
            "loop_time_ms": Decimal("0.5"),
            "config_hash": "abc",
            "acknowledged": 4,
            "beat": 7,
            "sent_at": NOON + HOUR,
        }
        usual = {
            "last_candle_at": NOON - MINUTE,
            "candle_interval_seconds": 100,
            "last_activity_at": NOON - HOUR,
            "usual_gap_seconds": 100,
            "last_error": "old",
            "error_count": 3,
        }
        if wished:
            usual |= {"desired_state": "pause", "instruction": 4, "delivered_at": NOON - MINUTE}
        quick, slow = living(NOON - MINUTE, **usual), living(NOON - MINUTE, **usual, health="idle")

        for bot in (quick, slow):
            beats(bot, **report)

        own = {"id", "health_since", "created_at"}
        rows = [
            {name: value for name, value in row.items() if name not in own}
            for row in BotInstance.objects.filter(pk__in=[quick, slow]).values()
        ]
        assert rows[0] == rows[1]
        assert (rows[0]["last_error"], rows[0]["error_count"], rows[0]["health"]) == ("", 0, "ok")
        assert (rows[0]["acknowledged_at"] == NOON) == wished

    def test_moves_the_deadline_only_when_it_is_near(self):
        bot = living(NOON, overdue_at=NOON + 180 * SECOND)

        beats(bot, now=NOON + 30 * SECOND)
        assert stored(bot).overdue_at == NOON + 180 * SECOND
        beats(bot, now=NOON + 100 * SECOND)
        assert stored(bot).overdue_at == NOON + 280 * SECOND

    def test_moves_the_deadline_when_it_has_become_another(self):
        bot = living(NOON, overdue_at=NOON + 180 * SECOND, candle_interval_seconds=10)

        beats(bot, now=NOON + SECOND, last_candle_at=NOON)
        assert stored(bot).overdue_at == NOON + 30 * SECOND
        beats(bot, now=NOON + 2 * SECOND, status=S.STOPPED)
        assert stored(bot).overdue_at is None
        beats(bot, now=NOON + 3 * SECOND, status=S.STARTING)
        assert stored(bot).overdue_at == NOON + 33 * SECOND

    def test_says_when_a_bot_began(self):
        bot = living(NOON, status=S.STARTING, started_at=None)

        beats(bot, status=S.RUNNING)
        beats(bot, now=NOON + MINUTE, status=S.PAUSED)
        beats(bot, now=NOON + 2 * MINUTE, status=S.RUNNING)
        assert stored(bot).started_at == NOON
        beats(bot, now=NOON + 3 * MINUTE, status=S.STOPPED)
        beats(bot, now=NOON + 4 * MINUTE, status=S.RUNNING)
        assert stored(bot).started_at == NOON + 4 * MINUTE

    def test_ends_stale_data_and_idleness(self):
        stale = living(NOON, health="stale", last_candle_at=NOON - HOUR, candle_interval_seconds=60)
        idle = living(NOON, health="idle", last_activity_at=NOON - HOUR, usual_gap_seconds=60)
        for bot in (stale, idle):
            assert beats(bot, now=NOON + SECOND).health == stored(bot).health != BotHealth.OK

        assert beats(stale, now=NOON + 2 * SECOND, last_candle_at=NOON).health == BotHealth.OK
        assert beats(idle, now=NOON + 2 * SECOND, last_decision_at=NOON).health == BotHealth.OK
        assert stored(idle).health_since == NOON + 2 * SECOND
        assert told() == []

    def test_tells_of_an_error_once(self):
        bot = living(NOON)

        for second in range(3):
            beats(bot, now=NOON + second * SECOND, status=S.ERROR, last_error="out of money")

        told_once = Notification.objects.get()
        assert (told_once.what, told_once.level) == ("bot_error", "critical")
        assert "out of money" in told_once.message
        assert stored(bot).beats == 10
        beats(bot, now=NOON + MINUTE, status=S.RUNNING)
        beats(bot, now=NOON + 2 * MINUTE, status=S.ERROR)
        assert told() == ["bot_error"] * 2


@pytest.mark.django_db
class TestOldBeats:
    @pytest.mark.parametrize("old", [{"beat": 6}, {"sent_at": NOON - HOUR}])
    @pytest.mark.parametrize("health", ["ok", "silent"])
    def test_revive_nothing(self, old, health):
        bot = living(NOON - HOUR, reported_at=NOON - HOUR, health=health)
        before = every_bit()

        answer = beats(bot, now=NOON, status=S.ERROR, current_balance=Decimal(1), **old)

        assert every_bit() == before
        assert (answer.beat, answer.health, told()) == (7, health, [])

    def test_a_bot_that_lost_an_answer_is_counted_again_with_the_next(self):
        bot = living(NOON)

        beats(bot, now=NOON + SECOND, beat=7)
        answer = beats(bot, now=NOON + 2 * SECOND, beat=7)
        beats(bot, now=NOON + 3 * SECOND, beat=answer.beat)

        assert (stored(bot).beats, stored(bot).last_heartbeat) == (9, NOON + 3 * SECOND)


@pytest.mark.django_db
class TestRecovery:
    def test_is_told_once(self):
        bot = living(NOON - HOUR, health="silent", health_since=NOON - 50 * MINUTE, overdue_at=None)

        answer = beats(bot)
        beats(bot, now=NOON + SECOND)

        assert answer.health == BotHealth.OK
        found = stored(bot)
        assert (found.health, found.health_since) == ("ok", NOON)
        assert found.overdue_at == NOON + 180 * SECOND
        back = Notification.objects.get()
        assert (back.what, back.level) == ("bot_recovered", "info")

    def test_is_told_with_what_it_says_or_not_at_all(self):
        bot = living(NOON - HOUR, health="silent", health_since=NOON - 50 * MINUTE)

        with transaction.atomic():
            beats(bot)
            transaction.set_rollback(True)

        assert (stored(bot).health, told()) == ("silent", [])

    def test_each_spell_is_told(self):
        make_watch(name="bots", looked_at=NOON, awake_since=NOON - 24 * HOUR)
        bot = living(NOON)
        for round_ in range(1, 3):
            start = NOON + round_ * HOUR
            stay_awake(start)
            watch_bots(now=start)
            beats(bot, now=start)

        assert told() == ["bot_silent", "bot_recovered"] * 2


def stay_awake(now):
    Watch.objects.update(looked_at=now, awake_since=NOON - 24 * HOUR)


@pytest.mark.django_db
class TestInstructions:
    def wished(self, bot, state=DesiredState.PAUSE, now=NOON):
        return wish(
            BotInstance.objects.filter(pk=bot), state=state, by="ann", reason="news", now=now
        )

    def test_are_delivered_with_the_next_beat_and_acknowledged_by_the_one_after(self):
        bot = living(NOON)
        assert self.wished(bot) == 1
        assert stored(bot).delivered_at is None

        answer = beats(bot, now=NOON + SECOND, status=S.PAUSED, acknowledged=1)
        assert (answer.desired_state, answer.instruction) == (DesiredState.PAUSE, 1)
        assert answer.reason == "news"
        assert (stored(bot).delivered_at, stored(bot).acknowledged_at) == (NOON + SECOND, None)

        beats(bot, now=NOON + 2 * SECOND, status=S.PAUSED, acknowledged=1)
        assert stored(bot).acknowledged_at == NOON + 2 * SECOND
        beats(bot, now=NOON + 3 * SECOND, acknowledged=1)
        assert stored(bot).delivered_at == NOON + SECOND
        assert stored(bot).acknowledged_at == NOON + 2 * SECOND

    @pytest.mark.parametrize("state", DesiredState)
    @pytest.mark.parametrize("status", BotStatus)
    def test_are_acknowledged_by_the_status_of_bots_that_tell_no_number(self, state, status):
        bot = living(NOON, desired_state=state, instruction=3, delivered_at=NOON)

        beats(bot, now=NOON + SECOND, status=status)

        done = rules.acknowledges(state, 3, acknowledged=None, status=status)
        assert (stored(bot).acknowledged_at is not None) == done

    @pytest.mark.parametrize(("number", "done"), [(2, False), (3, True), (4, False)])
    def test_are_acknowledged_by_their_own_number(self, number, done):
        bot = living(NOON, desired_state="stop", instruction=3, delivered_at=NOON)

        beats(bot, now=NOON + SECOND, acknowledged=number)

        assert (stored(bot).acknowledged_at is not None) == done

    def test_of_a_bot_of_which_nothing_was_wanted_there_are_none(self):
        bot = living(NOON)

        beats(bot)
        beats(bot)

        found = stored(bot)
        assert (found.instruction, found.delivered_at, found.acknowledged_at) == (0, None, None)

    def test_are_not_delivered_by_an_old_beat(self):
        bot = living(NOON)
        self.wished(bot)

        beats(bot, now=NOON + SECOND, beat=1)

        assert stored(bot).delivered_at is None


@pytest.mark.django_db
def test_the_statement_and_the_rules_agree_on_old_beats():
    for beat in (None, 6, 7):
        for sent in (None, NOON - HOUR, NOON - 30 * SECOND, NOON):
            for last in (None, NOON - HOUR, NOON - 30 * SECOND):
                bot = make_bot(beats=7, reported_at=last, last_heartbeat=NOON - HOUR).pk
                beats(bot, beat=beat, sent_at=sent)
                old = rules.is_replay(
                    now=NOON,
                    beat=beat,
                    counted=7,
                    sent_at=sent,
                    last_sent_at=last,
                    interval=60,
                )
                assert (stored(bot).beats == 7) == old, (beat, sent, last)
