"""The watch over bots: every spell found, each told once, our own down time nobody's fault."""

import os
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.bots.choices import BotHealth, BotStatus
from apps.bots.domain import heartbeats as rules
from apps.bots.models import BotInstance
from apps.bots.services import watching
from apps.bots.services.activity import measure_usual_gaps, note_activity
from apps.bots.services.watching import JUDGE, watch_bots
from apps.executions.models import Watch
from apps.logs.models import Notification
from tests.bots.lives import HOUR, MINUTE, NOON, SECOND, beats, living, stored, told
from tests.factories import make_bot, make_trade, make_watch
from tests.threads import at_once

TICK = 15 * SECOND
ROUNDS = int(os.environ.get("BOTS_ROUNDS", "3"))

MANY = """
INSERT INTO bot_instances (id, type, config_file, config, config_hash, strategy_name, symbol,
    quote_currency, heartbeat_interval_seconds, version, extra_metadata, status, last_heartbeat,
    overdue_at)
SELECT 'fine-' || n, 'live', '', '{}', '', '', '', '', 60, '', '{}', 'running', %(now)s,
    %(now)s::timestamptz + interval '1 minute' + n * interval '10 milliseconds'
FROM generate_series(1, 10000) n
"""


@pytest.fixture
def awake(db):
    """The watch has looked for a day without a break, last just before noon."""
    return make_watch(name="bots", looked_at=NOON - TICK, awake_since=NOON - 24 * HOUR)


def look(start, end):
    """Look every fifteen seconds; return how many spells began."""
    found, now = 0, start
    while now <= end:
        found += watch_bots(now=now)
        now += TICK
    return found


@pytest.mark.usefixtures("awake")
class TestSilence:
    def test_is_marked_after_three_intervals_and_told_with_what_is_open(self):
        punctual, late = living(NOON - 180 * SECOND), living(NOON - 181 * SECOND, pk="a/b")
        bot = BotInstance.objects.get(pk=late)
        for symbol, left in (("BTC/USD", "0.05"), ("ETH/USD", "0.1"), ("ETH/USD", "0.02")):
            make_trade(bot=bot, symbol=symbol, remaining_position_size=Decimal(left))
        make_trade(bot=bot, closed=True)

        assert watch_bots(now=NOON) == 1

        assert (stored(punctual).health, stored(late).health) == ("ok", "silent")
        assert (stored(late).health_since, stored(late).overdue_at) == (NOON, None)
        note = Notification.objects.get()
        assert (note.what, note.level, note.subject) == ("bot_silent", "critical", "Silent: a/b")
        assert "since 2026-03-02 11:56:59 UTC" in note.message
        assert (
            "It held 3 trades open: 0.05 BTC/USD long, 0.1 ETH/USD long, 0.02 ETH/USD long."
            in note.message
        )
        assert note.link == "/admin/bots/botinstance/a_2Fb/change/"

    def test_of_many_open_trades_the_first_are_named(self):
        bot = stored(living(NOON - HOUR))
        for _ in range(7):
            make_trade(bot=bot)

        watch_bots(now=NOON)

        assert "7 trades open:" in Notification.objects.get().message
        assert Notification.objects.get().message.endswith(" and 2 more.")

    def test_is_told_once_however_long_it_lasts(self):
        living(NOON - HOUR)

        assert look(NOON, NOON + 10 * MINUTE) == 1
        assert told() == ["bot_silent"]

    @pytest.mark.parametrize("status", sorted(set(BotStatus) - rules.AT_WORK))
    def test_is_not_of_those_who_said_goodbye(self, status):
        bot = living(NOON - HOUR, status=status)

        watch_bots(now=NOON)

        assert (stored(bot).health, stored(bot).overdue_at, told()) == ("ok", None, [])

    def test_counts_from_the_registration_of_one_that_was_never_heard_of(self):
        for seconds in (180, 181):
            start = NOON - seconds * SECOND
            make_bot(id=f"new-{seconds}", created_at=start, overdue_at=start)

        assert watch_bots(now=NOON) == 1
        assert stored("new-181").health == "silent"
        assert "since it was registered" in Notification.objects.get().message

    def test_moves_the_deadline_of_those_who_were_heard_meanwhile(self):
        bot = living(NOON - MINUTE)

        watch_bots(now=NOON)

        assert stored(bot).overdue_at == NOON + 2 * MINUTE

    def test_a_look_with_nothing_due_is_three_statements(self):
        living(NOON, overdue_at=NOON + MINUTE)

        with CaptureQueriesContext(connection) as asked:
            watch_bots(now=NOON)

        # Its own note of the look, whether anybody is at the door, the bots that are due.
        assert len([q for q in asked if "SAVEPOINT" not in q["sql"]]) == 3

    def test_a_thousand_at_once_take_few_statements(self):
        BotInstance.objects.bulk_create(
            BotInstance(
                id=f"gone-{n}",
                type="live",
                status="running",
                last_heartbeat=NOON - HOUR,
                overdue_at=NOON - n * SECOND,
            )
            for n in range(1, 1002)
        )

        with CaptureQueriesContext(connection) as asked:
            assert watch_bots(now=NOON) == 1001

        assert Notification.objects.count() == 1001
        assert len([q for q in asked if "SAVEPOINT" not in q["sql"]]) < 25

    def test_of_ten_thousand_only_the_due_are_read(self):
        with connection.cursor() as cursor:
            cursor.execute(MANY, {"now": NOON})
            cursor.execute("ANALYZE bot_instances")
            cursor.execute(
                "EXPLAIN " + JUDGE,
                {"now": NOON, "awake": NOON - HOUR, "batch": watching.BATCH},
            )
            plan = "\n".join(line for (line,) in cursor.fetchall())

        assert "bot_instances_overdue_idx" in plan
        assert "Seq Scan on bot_instances" not in plan


class TestOurOwnDownTime:
    def test_extends_all_deadlines_and_the_dead_are_found_all_the_same(self, db):
        make_watch(name="bots", looked_at=NOON, awake_since=NOON - HOUR)
        dead, alive = living(NOON), living(NOON)
        up = NOON + 8 * HOUR

        assert look(up, up + 180 * SECOND) == 0
        beats(alive, now=up + 170 * SECOND)
        assert look(up + 195 * SECOND, up + 4 * MINUTE) == 1
        assert (stored(dead).health, stored(alive).health) == ("silent", "ok")

    def test_begins_no_second_telling_of_a_spell(self, db):
        make_watch(name="bots", looked_at=NOON - TICK, awake_since=NOON - HOUR)
        stale = living(NOON, last_candle_at=NOON - HOUR, candle_interval_seconds=60)
        silent = living(NOON - HOUR)
        look(NOON, NOON + MINUTE)
        up = NOON + 8 * HOUR
        beats(stale, now=up)

        look(up, up + 10 * MINUTE)

        assert (stored(stale).health, stored(silent).health) == ("silent", "silent")
        assert Counter(told()) == {"bot_silent": 2, "bot_stale": 1}

    def test_the_first_look_of_all_is_no_alarm(self, db):
        living(NOON - 24 * HOUR)

        assert watch_bots(now=NOON) == 0
        assert Watch.objects.get(name="bots").awake_since == NOON


@pytest.mark.usefixtures("awake")
class TestStaleData:
    def test_is_told_and_ends_with_a_newer_candle(self):
        bot = living(NOON, last_candle_at=NOON - 181 * SECOND, candle_interval_seconds=60)

        assert watch_bots(now=NOON + SECOND) == 1
        assert stored(bot).health == "stale"
        assert stored(bot).overdue_at == NOON + 180 * SECOND
        beats(bot, now=NOON + 2 * SECOND, last_candle_at=NOON)
        look(NOON + TICK, NOON + MINUTE)

        assert (stored(bot).health, told()) == ("ok", ["bot_stale"])

    def test_each_spell_is_told(self):
        bot = living(NOON, last_candle_at=NOON - HOUR, candle_interval_seconds=60)
        for minute in (1, 11):
            now = NOON + minute * MINUTE
            Watch.objects.update(looked_at=now - TICK)
            beats(bot, now=now, last_candle_at=now - 10 * MINUTE)
            look(now, now + MINUTE)
            beats(bot, now=now + MINUTE, last_candle_at=now + MINUTE)

        assert told() == ["bot_stale"] * 2

    def test_turns_into_silence(self):
        bot = living(NOON, last_candle_at=NOON - HOUR, candle_interval_seconds=60)

        look(NOON, NOON + 4 * MINUTE)

        assert (stored(bot).health, told()) == ("silent", ["bot_stale", "bot_silent"])


@pytest.mark.usefixtures("awake")
class TestIdleness:
    def idle(self, **values):
        busy = {"last_activity_at": NOON - 501 * SECOND, "usual_gap_seconds": 100}
        return living(NOON, **busy | values)

    def test_is_told_and_ends_with_a_trade(self):
        bot = self.idle()

        assert watch_bots(now=NOON + SECOND) == 1
        assert (stored(bot).health, told()) == ("idle", ["bot_idle"])
        note_activity([bot, bot, "", "nobody"], now=NOON + 2 * SECOND)
        look(NOON + TICK, NOON + MINUTE)

        assert (stored(bot).health, stored(bot).last_activity_at) == ("ok", NOON + 2 * SECOND)
        assert told() == ["bot_idle"]

    def test_is_expected_of_nobody_of_whom_nothing_is_usual(self):
        self.idle(usual_gap_seconds=None)
        self.idle(last_activity_at=None)
        self.idle(status="paused")

        assert watch_bots(now=NOON + SECOND) == 0

    def test_a_decision_is_a_sign_too(self):
        bot = self.idle()

        beats(bot, now=NOON + SECOND, last_decision_at=NOON)

        assert look(NOON + 2 * SECOND, NOON + MINUTE) == 0

    def test_activity_sets_nothing_back(self):
        bot = living(NOON, last_activity_at=NOON)

        note_activity([bot], now=NOON - HOUR)

        assert stored(bot).last_activity_at == NOON

    def test_what_is_usual_is_learned_from_trades(self):
        bot, few = stored(living(NOON)), stored(living(NOON, overdue_at=NOON + HOUR))
        times = [NOON + seconds * SECOND for seconds in (0, 1000, 1010, 1030, 1060, 1100, 1150)]
        for start, end in zip(times[::2], [*times[1::2], None], strict=True):
            closed = {"closed": True, "exit_time": end} if end else {}
            make_trade(bot=bot, entry_time=start, **closed)
        make_trade(bot=few, entry_time=NOON)

        assert measure_usual_gaps(now=NOON) == 1
        assert stored(bot.pk).usual_gap_seconds == Decimal(str(rules.usual_gap(times)))
        assert stored(few.pk).usual_gap_seconds is None
        assert measure_usual_gaps(now=NOON) == 0


class TestEveryLife:
    """The statement follows the rules, whatever a life looks like."""

    @pytest.mark.parametrize("status", ["running", "starting", "stopped"])
    @pytest.mark.parametrize("before", ["ok", "stale", "idle"])
    def test_is_judged_as_the_rules_say(self, db, status, before):
        awake = NOON - 400 * SECOND
        make_watch(name="bots", looked_at=NOON - TICK, awake_since=awake)
        expected = {}
        number = 0
        for heard in (100, 500):
            for candle in (None, 100, 500, 900):
                for activity in (None, 200, 500, 900):
                    for begun in (None, 300):
                        number += 1
                        values = {
                            "heard": NOON - heard * SECOND,
                            "candle_at": ago(candle),
                            "activity_at": ago(activity),
                            "begun": ago(begun),
                        }
                        life = rules.Life(
                            status=BotStatus(status),
                            interval=60,
                            candle_interval=100,
                            usual_gap=50.0,
                            **values,
                        )
                        found = rules.health(life, now=NOON, awake=awake, before=BotHealth(before))
                        due = rules.overdue_at(life, found, awake=awake)
                        expected[f"bot-of-{number}"] = (str(found), due)
                        make_bot(
                            id=f"bot-of-{number}",
                            status=status,
                            health=before,
                            last_heartbeat=values["heard"],
                            heartbeat_interval_seconds=60,
                            last_candle_at=values["candle_at"],
                            candle_interval_seconds=100,
                            last_activity_at=values["activity_at"],
                            usual_gap_seconds=50,
                            started_at=values["begun"],
                            overdue_at=NOON - SECOND,
                        )

        watch_bots(now=NOON)

        found = BotInstance.objects.values_list("id", "health", "overdue_at")
        assert {name: (health, due) for name, health, due in found} == expected


def ago(seconds):
    return None if seconds is None else NOON - timedelta(seconds=seconds)


@pytest.mark.django_db(transaction=True)
class TestSeveralAtOnce:
    def test_every_silence_is_marked_and_told_exactly_once(self):
        make_watch(name="bots", looked_at=NOON, awake_since=NOON - 24 * HOUR)
        for round_ in range(ROUNDS):
            now = NOON + round_ * SECOND
            names = [living(now - HOUR) for _ in range(30)]

            results = at_once([lambda now=now: watch_bots(now=now)] * 8)

            assert sum(results) == 30
            assert set(BotInstance.objects.values_list("health", flat=True)) == {"silent"}
            assert Notification.objects.filter(what="bot_silent").count() == 30 * (round_ + 1)
            assert len(names) == 30

    def test_every_recovery_is_told_exactly_once(self):
        for _ in range(ROUNDS):
            bot = living(NOON - HOUR, health="silent", health_since=NOON, overdue_at=None)

            answers = at_once([lambda bot=bot: beats(bot)] * 8)

            assert {answer.health for answer in answers} == {"ok"}
            assert stored(bot).beats == 15
            assert Notification.objects.filter(subject=f"Back: {bot}").count() == 1

    def test_of_a_beat_and_a_look_each_outcome_is_whole(self):
        make_watch(name="bots", looked_at=NOON, awake_since=NOON - 24 * HOUR)
        for _ in range(ROUNDS):
            bot = living(NOON - HOUR)

            at_once([lambda: watch_bots(now=NOON)] * 4 + [lambda bot=bot: beats(bot)] * 4)

            silent = Notification.objects.filter(subject=f"Silent: {bot}").count()
            back = Notification.objects.filter(subject=f"Back: {bot}").count()
            assert silent == back <= 1
            assert (stored(bot).health, stored(bot).beats) == ("ok", 11)
