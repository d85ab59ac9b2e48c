"""What staff want of bots."""

import pytest

from apps.bots.choices import DesiredState
from apps.bots.models import BotInstance
from apps.bots.services.wishes import wish
from tests.bots.lives import HOUR, MINUTE, NOON, beats, every_bit, living, stored
from tests.threads import at_once

PAUSE, RUN, STOP = DesiredState.PAUSE, DesiredState.RUN, DesiredState.STOP


def wished(state, *names, now=NOON, by="ann", reason="news"):
    rows = BotInstance.objects.filter(pk__in=names)
    return wish(rows, state=state, by=by, reason=reason, now=now)


@pytest.mark.django_db
class TestWish:
    def test_is_noted_with_who_when_and_why(self):
        bot = living()

        assert wished(PAUSE, bot, by="a" * 200, reason="r" * 600) == 1

        found = stored(bot)
        assert (found.desired_state, found.instruction, found.desired_at) == ("pause", 1, NOON)
        assert (found.desired_by, found.desired_reason) == ("a" * 150, "r" * 500)
        assert (found.delivered_at, found.acknowledged_at) == (None, None)

    def test_of_the_same_again_has_no_effect(self):
        bot = living()
        wished(PAUSE, bot)
        beats(bot)
        before = every_bit()

        assert wished(PAUSE, bot, now=NOON + HOUR, by="bob", reason="again") == 0
        assert every_bit() == before

    def test_to_run_is_no_news_to_a_bot_that_is_to_run(self):
        assert wished(RUN, living()) == 0

    def test_of_something_else_is_a_new_instruction(self):
        bot = living()
        wished(PAUSE, bot)
        beats(bot)
        beats(bot, status="paused", now=NOON + MINUTE)

        assert wished(RUN, bot, now=NOON + HOUR) == 1

        found = stored(bot)
        assert (found.instruction, found.delivered_at, found.acknowledged_at) == (2, None, None)

    def test_reaches_those_alone_of_whom_it_was_not_wanted(self):
        first, second, other = living(), living(desired_state="stop"), living()

        assert wished(STOP, first, second) == 1
        assert [stored(each).instruction for each in (first, second, other)] == [1, 0, 0]

    def test_moves_nothing_that_the_bot_says_of_itself(self):
        bot = living()

        wished(STOP, bot)

        assert (stored(bot).status, stored(bot).last_heartbeat) == ("running", NOON)


@pytest.mark.django_db(transaction=True)
def test_the_same_wish_at_the_same_moment_is_one_instruction():
    bot = living()

    assert sum(at_once([lambda: wished(PAUSE, bot)] * 8)) == 1
    assert stored(bot).instruction == 1
