"""The desk: bounded, shared, honest about what it does not know, and only what one may see."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from redis import RedisError

from apps.alerts.choices import CheckpointStatus, PerformanceStatus
from apps.executions.admin.shown import run_url
from apps.executions.choices import ExecutionStatus, Health
from apps.executions.models import Execution
from apps.logs.choices import ErrorState
from apps.market.choices import FeedState, Granularity
from apps.market.domain.candles import aligned_start
from config import desk, figures
from config import needs as attention
from config.celery import SCHEDULE
from config.readings import Readings
from tests.factories import (
    make_alert,
    make_bot,
    make_candle,
    make_error_group,
    make_error_log,
    make_execution,
    make_feed,
    make_instrument,
    make_limit,
    make_notification,
    make_performance,
    make_performance_log,
    make_system_log,
    make_tracked_price,
    make_trade,
    make_user_action_log,
)

pytestmark = pytest.mark.django_db

# Readings of the desk itself, cold: see the properties of Readings. Of bots: how many stand how,
# those in trouble and what they hold, open trades, what was realized, limits. Of agents: who there
# is, what they spent, decided and realized, and who is near liquidation. Of the market: features,
# new defects, the cache. Of retention: the policies, damaged archives.
MOST_QUERIES = 42
SEARCH = "/admin/search/"


def recent_candle(age, **values):
    start = aligned_start(timezone.now() - age, Granularity.M5)
    return make_candle(timestamp=start, **values)


def waiting_run(minutes=3, **values):
    """Make a run of our own that nobody has taken up for so long."""
    run = make_execution(status=ExecutionStatus.PENDING, **{"runner": "tasks.run"} | values)
    announced = timezone.now() - timedelta(minutes=minutes)
    Execution.objects.filter(pk=run.pk).update(created_at=announced)
    return run


def needs(at=None):
    return [need.what for _, need in desk.needs(Readings(at or timezone.now()))]


def figure(read):
    return read(Readings(timezone.now()))


class TestCost:
    def test_is_bounded_however_much_there_is(self, django_assert_max_num_queries):
        for number in range(4):
            make_instrument(symbol=f"S{number}")
            recent_candle(timedelta(hours=9), symbol=f"S{number}")
            make_performance(status=PerformanceStatus.OPEN)
            make_feed(source="live", state=FeedState.UNHEALTHY)
            make_error_log(fingerprint=make_error_group().fingerprint)
            make_notification(), make_user_action_log()
            make_execution(health=Health.STUCK), make_execution(status=ExecutionStatus.FAILED)
            waiting_run()
            make_trade(bot=make_bot(status="running", health="silent"))
            make_trade(bot=make_bot(type="paper"), closed=True, entry_time=None,
                       exit_time=timezone.now())  # fmt: skip
            make_limit(usage=Decimal("0.9"))

        with django_assert_max_num_queries(MOST_QUERIES):
            desk.read_panels(timezone.now())

    def test_is_paid_once_for_all_who_look(self, admin_client, django_assert_num_queries):
        admin_client.get(reverse("desk"))

        with django_assert_num_queries(2):  # the session and its user
            assert admin_client.get(reverse("desk")).status_code == 200

    def test_survives_a_cache_that_is_away(self, admin_client, monkeypatch):
        def away(*args, **kwargs):
            raise RedisError("away")

        monkeypatch.setattr(cache, "get", away)

        assert "figures" in desk.shared_panels(timezone.now())


class TestFigures:
    def test_name_the_sample_of_the_hit_rate(self):
        raised = timezone.now() - timedelta(days=4)
        for success in (True, True, False):
            performance = make_performance(
                status=PerformanceStatus.SETTLED, settled_at=timezone.now(), is_success=success
            )
            performance.alert.timestamp = raised
            performance.alert.save()

        shown = figure(figures.hit_rate)

        assert (shown.value, shown.under, shown.tone) == ("66.7 %", "of 3 decided", "b-quiet")
        assert "Wilson" in shown.title

    def test_leave_the_hit_rate_empty_while_nothing_is_decided(self):
        assert figure(figures.hit_rate).value == "—"

    def test_guess_no_candles_where_there_are_none(self):
        assert figure(figures.candles).value == "0"

    def test_say_that_candles_are_estimated(self):
        make_candle()

        assert figure(figures.candles).value.startswith("about")

    def test_count_instruments_once_however_many_of_their_series_are_stale(self):
        make_instrument(symbol="BTC/USD")
        recent_candle(timedelta(hours=9), source="one")
        recent_candle(timedelta(hours=9), source="two")

        assert figure(figures.stale).value == "1"

    def test_leave_late_jobs_empty_while_none_has_run(self):
        shown = figure(figures.jobs)

        assert (shown.value, shown.under) == ("—", "none has run yet")
        assert "do worker and beat run?" in shown.title

    def test_lead_to_the_rows_behind_them(self, admin_client):
        for _, read in figures.FIGURES:
            assert admin_client.get(figure(read).url).status_code == 200


class TestErrorsOfTheLastHour:
    def test_leave_out_what_is_muted_and_what_is_older(self):
        muted = make_error_group(state=ErrorState.MUTED)
        make_error_log(fingerprint=muted.fingerprint)
        make_error_log(timestamp=timezone.now() - timedelta(minutes=61))
        make_error_log(), make_error_log()

        assert figure(figures.errors).value == "2"

    def test_are_told_beside_the_usual_hour(self):
        for hours in range(1, 25):
            for _ in range(3):
                make_error_log(timestamp=timezone.now() - timedelta(hours=hours, minutes=30))

        shown = figure(figures.errors)

        assert (shown.value, shown.under) == ("0", "usually 3 an hour")

    def test_are_counted_no_further_than_a_flood_may_cost(self, monkeypatch):
        monkeypatch.setattr("config.readings.MOST_IN_HOUR", 2)
        monkeypatch.setattr("config.figures.MOST_IN_HOUR", 2)
        for _ in range(3):
            make_error_log()

        assert figure(figures.errors).value == "2+"


class TestUnseenNotifications:
    def test_are_counted_and_how_many_of_them_warn(self):
        make_notification(level="info"), make_notification(level="critical")
        make_notification(seen_by="ada", seen_at=timezone.now())

        shown = figure(figures.unseen)

        assert (shown.value, shown.under, shown.tone) == ("2", "1 of them warn", "b-warn")

    def test_leave_nothing_to_see(self):
        assert figure(figures.unseen).under == "all seen"


class TestRuns:
    def test_that_go_on_are_counted_and_how_many_of_them_are_stuck(self):
        make_execution(), make_execution(health=Health.STUCK)
        make_execution(status=ExecutionStatus.COMPLETED), waiting_run()

        shown = figure(figures.running)

        assert (shown.value, shown.under, shown.tone) == ("2", "1 of them stuck", "b-warn")

    def test_that_go_well_warn_of_nothing(self):
        make_execution()

        shown = figure(figures.running)

        assert (shown.value, shown.under, shown.tone) == ("1", "none stuck", "")

    def test_that_failed_are_counted_since_midnight_and_lead_to_just_those(self, admin_client):
        midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        before = midnight - timedelta(hours=1)
        failed = make_execution(status=ExecutionStatus.FAILED)
        earlier = make_execution(
            status=ExecutionStatus.FAILED,
            timestamp_start=before - timedelta(hours=1),
            timestamp_end=before,
        )
        make_execution(status=ExecutionStatus.PARTIAL_SUCCESS)
        make_execution(status=ExecutionStatus.COMPLETED)

        shown = figure(figures.failed)
        listed = admin_client.get(shown.url).content.decode()

        assert (shown.value, shown.under) == ("1", "of 3 ended, 1 more in part")
        assert run_url(failed.pk) in listed
        assert run_url(earlier.pk) not in listed

    def test_are_counted_no_further_than_they_may_cost(self, monkeypatch):
        monkeypatch.setattr("config.readings.MOST_RUNS", 2)
        monkeypatch.setattr("config.figures.MOST_RUNS", 2)
        for _ in range(3):
            make_execution()

        assert figure(figures.running).value == "2+"

    def test_that_are_stuck_or_lost_are_named_with_what_they_said(self):
        hour = timedelta(hours=1)
        make_execution(
            health=Health.STUCK,
            progressed_at=timezone.now() - 2 * hour,
            current_operation="<b>epoch</b>",
        )
        lost = make_execution(
            status=ExecutionStatus.FAILED,
            health=Health.LOST,
            heartbeat_at=timezone.now() - hour,
            symbol="",
        )

        found = [need for _, need in desk.needs(Readings(timezone.now())) if "NIGHTLY" in need.what]

        assert [need.what for need in found] == ["NIGHTLY is lost", "NIGHTLY BTC/USD is stuck"]
        assert found[0].url == run_url(lost.pk)
        assert found[1].why == ("No progress for 2 h, yet it is heard of. It says: <b>epoch</b>")

    def test_that_failed_are_named_until_they_are_retried_or_a_day_has_gone(self):
        day = timedelta(hours=25)
        make_execution(
            execution_type="OLD",
            status=ExecutionStatus.FAILED,
            timestamp_start=timezone.now() - day,
            timestamp_end=timezone.now() - day,
        )
        again = make_execution(execution_type="AGAIN", status=ExecutionStatus.FAILED)
        make_execution(execution_type="NEW", status=ExecutionStatus.COMPLETED, retry_of=again)
        make_execution(
            execution_type="BAD",
            status=ExecutionStatus.FAILED,
            errors=[{"error_message": "It was refused: 429"}],
        )
        make_execution(execution_type="ODD", status=ExecutionStatus.FAILED, errors={"a": 1})

        found = {need.what: need.why for need in attention.failed_runs(Readings(timezone.now()))}

        assert set(found) == {"BAD BTC/USD failed", "ODD BTC/USD failed"}
        assert "It was refused: 429" in found["BAD BTC/USD failed"]
        assert "It did not say why." in found["ODD BTC/USD failed"]

    def test_of_our_own_that_nobody_takes_up_are_named_after_two_minutes(self):
        waiting_run(minutes=1)
        waiting_run(runner="")
        assert not [need for need in needs() if "wait" in need]

        waiting = waiting_run(minutes=7)
        (need,) = attention.untaken_runs(Readings(timezone.now()))

        assert need.what == "NIGHTLY BTC/USD waits for a worker"
        assert "for 7 min" in need.why
        assert need.url == run_url(waiting.pk)

    def test_that_wait_in_numbers_are_one_need(self):
        for _ in range(3):
            waiting_run()

        assert [need for need in needs() if "wait for a worker" in need] == [
            "3 runs wait for a worker"
        ]

    def test_that_fail_in_numbers_are_a_few_needs_and_a_count(self):
        for _ in range(attention.MOST_OF_A_KIND + 2):
            make_execution(status=ExecutionStatus.FAILED)

        found = [need for need in needs() if "failed" in need]

        assert len(found) == attention.MOST_OF_A_KIND + 1
        assert found[-1] == "2 more runs failed"

    def test_lead_to_pages_that_open(self, admin_client):
        make_execution(execution_id="odd/one?", health=Health.STUCK), waiting_run(), waiting_run()
        for _ in range(attention.MOST_OF_A_KIND + 2):
            make_execution(status=ExecutionStatus.FAILED)
            make_execution(status=ExecutionStatus.FAILED, health=Health.LOST)
            make_execution(health=Health.STUCK)

        found = desk.needs(Readings(timezone.now()))
        about_runs = [need for permission, need in found if permission.startswith("executions.")]

        assert len(about_runs) == 3 * (attention.MOST_OF_A_KIND + 1) + 1
        assert {admin_client.get(need.url).status_code for need in about_runs} == {200}

    def test_are_told_once_though_a_notification_told_of_them_too(self):
        make_notification(subject="A run is lost", what="execution_lost", level="warning")

        assert "A run is lost" not in needs()


class TestNeeds:
    def test_are_silent_when_all_is_well(self, monkeypatch):
        monkeypatch.setattr(Readings, "jobs_ran", True)
        make_instrument(symbol="BTC/USD")
        recent_candle(timedelta(minutes=5))

        assert needs() == []

    def test_name_a_series_that_stopped(self):
        make_instrument(symbol="BTC/USD")
        recent_candle(timedelta(hours=9))

        assert "BTC/USD 5m from test is stale" in needs()

    def test_leave_a_history_and_an_inactive_instrument_in_peace(self):
        make_instrument(symbol="OLD/USD")
        make_instrument(symbol="OFF/USD", active=False)
        recent_candle(timedelta(days=90), symbol="OLD/USD")
        recent_candle(timedelta(hours=9), symbol="OFF/USD")

        assert not [need for need in needs() if "stale" in need]

    def test_never_take_a_fetched_series_for_history(self):
        make_instrument(symbol="OLD/USD")
        recent_candle(timedelta(days=90), symbol="OLD/USD")
        make_feed(symbol="OLD/USD", source="test", granularity=Granularity.M5)

        assert "OLD/USD 5m from test is stale" in needs()

    def test_name_a_feed_that_fails_with_what_it_said(self):
        make_feed(symbol="ETH/BTC", source="x", state=FeedState.UNHEALTHY, last_error="<b>418</b>")

        (need,) = attention.unhealthy_feeds(Readings(timezone.now()))
        assert need.what == "Feed of ETH/BTC 5m from x fails"
        assert "<b>418</b>" in need.why

    def test_name_checkpoints_that_wait_and_that_are_missing(self):
        alert = make_alert(timestamp=timezone.now() - timedelta(hours=2))
        make_tracked_price(
            alert=alert,
            status=CheckpointStatus.MISSING,
            price=None,
            percentage_change=None,
            candle_timestamp=None,
        )

        found = needs()
        assert "1 alert waits for candles" in found
        assert "1 checkpoint price is missing" in found

    def test_name_errors_that_came_back_before_those_that_are_new(self):
        make_error_group(error_type="NewError", count=900)
        make_error_group(error_type="OldError", state=ErrorState.REGRESSED, culprit="")
        make_error_group(error_type="MutedError", state=ErrorState.MUTED)

        found = [need for need in needs() if "Error" in need]

        assert found == [
            "OldError came back after it was resolved",
            "NewError in apps/bots/grid.py in close is new",
        ]

    def test_name_a_few_errors_and_count_the_rest(self):
        for number in range(attention.MOST_OF_A_KIND + 3):
            make_error_group(error_type=f"E{number}", count=number)

        found = [need for need in needs() if "is new" in need or "error groups" in need]

        assert len(found) == attention.MOST_OF_A_KIND + 1
        assert found[0].startswith("E6 ")
        assert found[-1] == "3 more error groups are new"

    def test_name_a_burst_of_errors(self):
        for _ in range(10):
            make_error_log()

        assert "10 errors in the last hour" in needs()

    def test_take_a_usual_hour_and_a_few_errors_for_no_burst(self):
        for _ in range(9):
            make_error_log()
        assert not [need for need in needs() if "last hour" in need]

        make_error_log()
        for hours in range(1, 25):
            for _ in range(3):
                make_error_log(timestamp=timezone.now() - timedelta(hours=hours, minutes=30))
        assert not [need for need in needs() if "last hour" in need]

    def test_name_notifications_that_warn_and_nobody_has_seen(self):
        make_notification(subject="Bot is silent", level="critical")
        make_notification(subject="Back again", level="info")
        make_notification(subject="Was seen", seen_by="ada", seen_at=timezone.now())
        make_notification(subject="New error: X", what="error_new")

        found = needs()

        assert "Bot is silent" in found
        assert not {"Back again", "Was seen", "New error: X"} & set(found)

    def test_name_log_lines_that_were_dropped_in_the_last_day(self):
        for hours, dropped in ((1, 40), (20, 2), (25, 1_000)):
            make_system_log(
                logger_name="apps.logs.writer",
                metadata={"dropped": dropped},
                timestamp=timezone.now() - timedelta(hours=hours),
            )
        make_system_log(logger_name="apps.logs.writer", metadata={})
        make_system_log(metadata={"dropped": 7})

        assert "42 log lines were dropped" in needs()

    def test_name_a_next_month_that_has_no_partition(self):
        in_ten_years = timezone.now() + timedelta(days=3_650)

        assert not [need for need in needs() if "Next month" in need]
        assert "Next month has no place of its own in the logs" in needs(in_ten_years)

    def test_say_that_nobody_works(self):
        assert needs()[0] == "Worker and beat have not been seen"

    def test_give_the_first_ticks_their_time(self):
        every = IntervalSchedule.objects.create(every=60, period="seconds")
        for name, entry in SCHEDULE.items():
            PeriodicTask.objects.create(name=name, task=entry["task"], interval=every)

        assert "Worker and beat have not been seen" not in needs()

    def test_come_worst_first_and_only_so_many(self):
        for number in range(desk.MOST_NEEDS + 3):
            make_instrument(symbol=f"S{number}")
            recent_candle(timedelta(hours=9), symbol=f"S{number}")
        make_feed(source="x", state=FeedState.UNHEALTHY)
        found = [need for _, need in desk.needs(Readings(timezone.now()))]

        shown = desk.shortened(found)

        assert [need.weight for need in found] == sorted([n.weight for n in found], reverse=True)
        assert (len(shown["worst"]), shown["more"]) == (desk.MOST_NEEDS, len(found) - 12)


class TestPage:
    def test_says_what_would_fill_it_when_it_is_empty(self, admin_client):
        shown = admin_client.get(reverse("admin:index")).content.decode()

        assert "No alert has been raised yet." in shown
        assert "No alert of the last 30 days is settled yet." in shown
        assert "Nothing happened in the last 24 hours." in shown
        assert "Nothing has happened within a day." in shown

    def test_shows_foreign_text_as_text(self, admin_client):
        hostile = "<script>x</script>"
        make_alert(strategy=hostile, timestamp=timezone.now())
        make_system_log(message=hostile, logger_name=hostile, correlation_id=hostile)
        make_error_group(error_type=hostile, message=f"\x1b{hostile}")
        make_notification(subject=hostile)

        shown = admin_client.get(reverse("admin:index")).content.decode()

        assert "<script>x" not in shown
        assert shown.count("&lt;script&gt;x") >= 6
        assert "\x1b" not in shown

    def test_says_where_the_chart_of_activity_stopped_counting(self, monkeypatch):
        monkeypatch.setattr("config.readings.MOST_IN_HOUR", 2)
        monkeypatch.setattr("config.desk.MOST_IN_HOUR", 2)
        make_error_log(), make_user_action_log(), make_user_action_log(), make_user_action_log()

        shown = desk.activity(Readings(timezone.now()))

        labels = [each["label"] for each in shown["chart"]["datasets"]]
        assert labels[2:] == ["Errors", "Requests (2+)"]

    def test_draws_outcomes_and_activity(self, admin_client):
        performance = make_performance(
            status=PerformanceStatus.SETTLED, settled_at=timezone.now(), is_success=True
        )
        performance.alert.timestamp = timezone.now() - timedelta(hours=3)
        performance.alert.confidence = Decimal("0.5")
        performance.alert.save()

        shown = admin_client.get(reverse("desk")).content.decode()

        assert shown.count("<bar-chart") == 2
        assert "breakout: 1 of 1" in shown

    def test_shows_the_newest_lines_of_the_sources_one_may_open(self):
        make_system_log(message="seen by all"), make_user_action_log(request_path="/secret/")
        user = User.objects.create_user("reader", is_staff=True)
        for name in ("view_recentactivity", "view_systemlog"):
            user.user_permissions.add(Permission.objects.get(codename=name))
        client = Client()
        client.force_login(user)

        shown = client.get(reverse("desk")).content.decode()

        assert "seen by all" in shown
        assert "/secret/" not in shown

    def test_leaves_ticks_that_went_well_out_of_the_newest_lines(self):
        now = timezone.now()
        make_performance_log(operation_name="well", component="celery")
        make_performance_log(operation_name="badly", component="celery", status="error")
        make_performance_log(operation_name="elsewhere", component="features")
        make_system_log(message="of yesterday", timestamp=now - timedelta(hours=25))

        lines = desk.latest(Readings(timezone.now()))

        told = " ".join(str(line["description"]) for line in lines)
        assert len(lines) == 2
        assert "badly" in told
        assert "elsewhere" in told

    def test_shows_only_what_the_viewer_may_see(self):
        make_alert(symbol="SECRET/USD", timestamp=timezone.now())
        user = User.objects.create_user("market", is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_instrument"))
        client = Client()
        client.force_login(user)

        shown = client.get(reverse("desk")).content.decode()

        assert "Instruments stale" in shown
        assert "SECRET/USD" not in shown
        assert "Hit rate" not in shown

    def test_is_for_staff_alone(self):
        assert Client().get(reverse("desk")).status_code == 302


class TestSearch:
    def test_finds_instruments_and_alerts_by_their_names(self, admin_client):
        alert = make_performance().alert

        found = admin_client.get(SEARCH, {"s": alert.alert_id, "extended": "1"})

        assert alert.alert_id in found.content.decode()

    def test_finds_runs_by_the_beginning_of_their_id_as_it_is_written(self, admin_client):
        run = make_execution(execution_id="Nightly_2026/a")
        make_execution(execution_id="Nightlyx2026")

        found = admin_client.get(SEARCH, {"s": "Nightly_2", "extended": "1"}).content.decode()

        assert run_url(run.pk) in found
        assert "Nightlyx2026" not in found

    def test_finds_no_runs_for_those_who_may_not_see_them(self):
        run = make_execution()
        client = Client()
        client.force_login(User.objects.create_user("nobody", is_staff=True))

        found = client.get(SEARCH, {"s": run.pk, "extended": "1"}).content.decode()

        assert run_url(run.pk) not in found

    def test_finds_a_trace_by_an_id_that_is_known(self, admin_client):
        make_system_log(correlation_id="Order/17")

        found = admin_client.get(SEARCH, {"s": "Order/17", "extended": "1"}).content.decode()

        assert "Trace Order/17" in found
        assert "/admin/logs/trace/?id=Order%2F17" in found

    @pytest.mark.parametrize(
        "term", ["4BF92F3577B34DA6A3CE929D0E0E4736", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"]
    )
    def test_offers_the_trace_of_what_looks_like_an_id(self, admin_client, term):
        found = admin_client.get(SEARCH, {"s": term, "extended": "1"}).content.decode()

        assert f"/admin/logs/trace/{term}/" in found

    def test_offers_no_trace_of_other_words(self, admin_client):
        found = admin_client.get(SEARCH, {"s": "breakout", "extended": "1"}).content.decode()

        assert "Trace breakout" not in found

    def test_says_so_while_the_cache_is_away(self, admin_client, monkeypatch):
        def away(*args, **kwargs):
            raise RedisError("away")

        monkeypatch.setattr(cache, "get", away)

        answer = admin_client.get(SEARCH, {"s": "eth"})

        assert answer.status_code == 200
        assert "the cache is away" in answer.content.decode()

    @pytest.mark.parametrize("page", ["x", "0", "99"])
    def test_takes_a_page_that_is_none_for_what_it_is(self, admin_client, page):
        answer = admin_client.get(SEARCH, {"s": "alert", "page": page})

        assert "no such page" in answer.content.decode()
