"""Runs and steps in the admin: what the list, the page and its refreshing show, and who may act."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.executions.admin import pages, products, shown
from apps.executions.admin.pages import RunStory
from apps.executions.choices import ExecutionStatus, Health, StepStatus
from apps.executions.models import Execution
from tests.factories import make_analysis, make_execution, make_step
from tests.logs.pages import CONTROLS, CONTROLS_SEEN, MARKUP, page

pytestmark = pytest.mark.django_db

RUNS = "admin:executions_execution_changelist"
RUN = "admin:executions_execution_change"
STEPS = "admin:executions_executionstep_changelist"
STEP = "admin:executions_executionstep_change"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TRACEBACK = """Traceback (most recent call last):
  File "/srv/trader/engine/levels.py", line 88, in find_levels
    raise TooFew("312 candles")
engine.levels.TooFew: 312 candles"""
# Session and user; the run; its steps' states, its steps, its retries.
MOST_QUERIES = 8


def shown_page(client, run):
    return page(client, RUN, quote(run.pk))


def parts(client, run):
    answer = client.get(reverse("admin:executions_execution_live", args=[quote(run.pk)]))
    assert answer.status_code == 200
    return answer.content.decode()


def story(run, *, now=NOON):
    user = User.objects.create_superuser("root")
    return RunStory(run, now=now, user=user, site=admin.site)


def staff(*permissions):
    user = User.objects.create_user("someone", is_staff=True)
    for name in permissions:
        user.user_permissions.add(
            Permission.objects.get(codename=name, content_type__app_label="executions")
        )
    client = Client()
    client.force_login(user)
    return client


def press(client, run, step, **sent):
    url = reverse(f"admin:executions_execution_{step}", args=[quote(run.pk)])
    return client.post(url, sent, follow=True)


class TestList:
    def test_scans_state_health_progress_and_duration(self, admin_client):
        make_execution(health=Health.STUCK, progress_percentage=Decimal("62.5"), triggered_by="ada")
        make_execution(
            status=ExecutionStatus.COMPLETED,
            timestamp_start=NOON,
            timestamp_end=NOON + timedelta(seconds=61.5),
        )

        html = page(admin_client, RUNS)

        assert "Running</span>" in html
        assert "Stuck</span>" in html
        assert '<progress max="100" value="62.5">' in html
        assert "61.5 s" in html
        assert "ada" in html

    def test_shortens_a_long_id_in_its_middle_and_has_the_whole_on_hover(self, admin_client):
        run = make_execution(execution_id="symbol_addition_20260302_120000_1a2b3c4d")

        html = page(admin_client, RUNS)

        assert f'<span title="{run.pk}">symbol_additio…000_1a2b3c4d</span>' in html

    def test_shows_foreign_text_as_text(self, admin_client):
        make_execution(execution_type=MARKUP, triggered_by=CONTROLS)

        html = page(admin_client, RUNS)

        assert MARKUP not in html
        assert CONTROLS_SEEN in html

    @pytest.mark.parametrize("term", ["wanted_1", "XRP/USD", "xrp/usd", "TRAINING"])
    def test_finds_by_exact_id_symbol_and_type(self, admin_client, term):
        run = make_execution(execution_id="wanted_1", symbol="XRP/USD", execution_type="TRAINING")
        other = make_execution()

        html = page(admin_client, RUNS, q=term)

        assert shown.run_url(run.pk) in html
        assert shown.run_url(other.pk) not in html

    def test_filters_by_what_is_wrong(self, admin_client):
        stuck = make_execution(health=Health.STUCK)
        lost = make_execution(health=Health.LOST, status=ExecutionStatus.FAILED)

        html = page(admin_client, RUNS, health="lost")

        assert shown.run_url(lost.pk) in html
        assert shown.run_url(stuck.pk) not in html

    def test_neither_counts_nor_reads_what_may_be_long(
        self, admin_client, django_assert_max_num_queries
    ):
        make_execution()
        with django_assert_max_num_queries(12) as captured:
            page(admin_client, RUNS)

        read = [each["sql"] for each in captured if 'FROM "execution_logs"' in each["sql"]]
        assert read
        assert not [sql for sql in read if "COUNT(" in sql or '"errors"' in sql]

    def test_offers_no_form_for_what_programs_report(self, admin_client):
        run = make_execution()
        change = reverse(RUN, args=[run.pk])

        posted = admin_client.post(change, {"status": "COMPLETED"})

        assert posted.status_code == 403
        assert admin_client.get(reverse(RUNS) + "add/").status_code == 403
        assert "Edit" not in shown_page(admin_client, run)
        run.refresh_from_db()
        assert run.status == ExecutionStatus.RUNNING


class TestPage:
    def test_is_for_those_who_may_look(self):
        run = make_execution()
        nobody = staff()

        assert nobody.get(reverse(RUN, args=[run.pk])).status_code == 403
        live = reverse("admin:executions_execution_live", args=[run.pk])
        assert nobody.get(live).status_code == 403

    def test_says_what_it_is_doing_and_how_far_it_is(self, admin_client):
        run = make_execution(
            current_operation="epoch 12 of 200", progress_percentage=Decimal(35), total_tasks=20
        )
        make_step(execution=run, status=StepStatus.SUCCESS)
        make_step(execution=run, status=StepStatus.FAILED)
        make_step(execution=run)

        html = shown_page(admin_client, run)

        assert "epoch 12 of 200" in html
        assert "35 %" in html
        assert "2 of 3 steps over, 1 failed, 20 tasks announced" in html

    def test_rounds_measures_and_keeps_the_whole_on_hover(self, admin_client):
        run = make_execution(cpu_usage_avg=Decimal("83.33333333"))

        html = shown_page(admin_client, run)

        assert 'title="83.33333333 %">83.3 %' in html

    def test_opens_whatever_the_id_looks_like(self, admin_client):
        run = make_execution(execution_id='a/b?c#d "e" <f> %41_42')

        assert "NIGHTLY BTC/USD" in shown_page(admin_client, run)
        assert parts(admin_client, run)

    @pytest.mark.parametrize(
        ("told", "said"),
        [
            (
                [{"error_message": MARKUP, "traceback": TRACEBACK}],
                "engine/levels.py in find_levels",
            ),
            (["plain words"], "plain words"),
            ({"odd": 1}, "It came without a message."),
            ([{"error_message": CONTROLS, "timestamp": "yesterday"}], "yesterday"),
        ],
    )
    def test_shows_errors_of_any_shape_as_text(self, admin_client, told, said):
        run = make_execution(errors=told, error_count=1)

        html = shown_page(admin_client, run)

        assert said in html
        assert MARKUP not in html
        assert CONTROLS not in html

    def test_says_that_older_errors_are_left_out(self, admin_client):
        told = [{"error_message": f"error {number}."} for number in range(25)]
        run = make_execution(errors=told, error_count=400)

        html = shown_page(admin_client, run)

        assert "error 24." in html
        assert "error 3." not in html
        assert "the newest are shown" in html

    def test_leads_along_the_chain_of_retries_and_to_the_trace(self, admin_client):
        first = make_execution(status=ExecutionStatus.FAILED)
        second = make_execution(retry_of=first, correlation_id="the-cause")

        assert shown.run_url(second.pk) in shown_page(admin_client, first)
        html = shown_page(admin_client, second)
        assert shown.run_url(first.pk) in html
        assert 'href="/admin/logs/trace/the-cause/"' in html

    def test_asks_as_often_for_many_steps_as_for_few(
        self, admin_client, django_assert_max_num_queries
    ):
        run = make_execution()
        for _ in range(30):
            make_step(execution=run, status=StepStatus.SUCCESS, result_data={"trades": 3})
        make_execution(retry_of=run), make_execution(retry_of=run)

        with django_assert_max_num_queries(MOST_QUERIES):
            parts(admin_client, run)


class TestStanding:
    def said(self, run, **values):
        return [re.sub(r"<[^>]*>", "", words) for _, words in story(run, **values).standing]

    def test_says_who_asked_it_to_end_and_that_nobody_listened_yet(self):
        asked = {
            "cancel_requested_at": NOON - timedelta(seconds=5), "cancel_requested_by": "ada"
        }  # fmt: skip
        run = make_execution(**asked, runner="analysis.run")

        assert self.said(run) == [
            "ada asked it to end 5 s ago; the worker has not acknowledged yet."
        ]

    @pytest.mark.parametrize(
        ("status", "end"),
        [
            (ExecutionStatus.CANCELLED, "and it did."),
            (ExecutionStatus.COMPLETED, "it ended otherwise."),
        ],
    )
    def test_says_what_became_of_the_wish(self, status, end):
        run = make_execution(status=status, cancel_requested_at=NOON, cancel_requested_by="ada")

        (said,) = self.said(run)

        assert said.endswith(end)

    def test_says_why_it_is_called_stuck_or_lost(self):
        hour = timedelta(hours=1)
        stuck = make_execution(health=Health.STUCK, progressed_at=NOON - 2 * hour)
        lost = make_execution(
            status=ExecutionStatus.FAILED, health=Health.LOST, heartbeat_at=NOON - hour
        )

        assert self.said(stuck) == ["Stuck: it is heard of, but its last progress was 2 h ago."]
        User.objects.all().delete()
        assert self.said(lost) == [
            "Lost: last heard of 1 h ago, and it was to be heard of every 5 min."
        ]

    def test_says_that_its_steps_know_better(self):
        run = make_execution(
            status=ExecutionStatus.PARTIAL_SUCCESS, reported_status=ExecutionStatus.COMPLETED
        )

        assert self.said(run) == ["It said completed; its steps say partial success."]

    def test_says_nothing_of_a_run_that_goes_well(self):
        assert self.said(make_execution()) == []


class TestWaterfall:
    def test_places_each_step_in_the_time_of_the_run(self):
        begin, minute = NOON - timedelta(minutes=10), timedelta(minutes=1)
        run = make_execution(timestamp_start=begin)
        make_step(
            execution=run, status=StepStatus.SUCCESS,
            timestamp_start=begin, timestamp_end=begin + 5 * minute,
        )  # fmt: skip
        make_step(execution=run, timestamp_start=begin + 5 * minute)
        make_step(execution=run, status=StepStatus.PENDING)

        told = story(run)
        bars = [line["bar"] for line in told.lines]

        assert bars[0] == {"left": "0.00%", "width": "50.00%", "tone": "success", "open": ""}
        assert bars[1] == {"left": "50.00%", "width": "50.00%", "tone": "info", "open": " b-open"}
        assert bars[2] is None
        assert told.ticks == ["0 s", "2 min 30 s", "5 min 00 s", "7 min 30 s", "10 min"]

    def test_widens_its_time_for_the_clocks_of_others(self):
        run = make_execution(timestamp_start=NOON - timedelta(minutes=2))
        make_step(execution=run, timestamp_start=NOON - timedelta(minutes=4))

        (line,) = story(run).lines

        assert line["bar"]["left"] == "0.00%"
        assert line["bar"]["width"] == "100.00%"

    @pytest.mark.parametrize("length", [timedelta(0), timedelta(days=400)])
    def test_draws_a_bar_within_its_bounds_however_short_or_long(self, length):
        run = make_execution(
            status=ExecutionStatus.COMPLETED, timestamp_start=NOON, timestamp_end=NOON + length
        )
        make_step(
            execution=run, status=StepStatus.SUCCESS,
            timestamp_start=NOON + length, timestamp_end=NOON + length,
        )  # fmt: skip

        (line,) = story(run).lines

        left, width = (float(line["bar"][name].rstrip("%")) for name in ("left", "width"))
        assert 0 <= left <= 100
        assert width > 0
        assert left + width <= 100.01

    def test_folds_the_traceback_of_a_failed_step_behind_its_place(self, admin_client):
        run = make_execution()
        make_step(
            execution=run, status=StepStatus.FAILED_INSUFFICIENT_DATA, reason="insufficient_data",
            error_type="TooFew", error_message=MARKUP, error_traceback=TRACEBACK, attempt=2,
        )  # fmt: skip

        html = shown_page(admin_client, run)

        assert "<summary>engine/levels.py in find_levels</summary>" in html
        assert "insufficient_data" in html
        assert "attempt 2" in html
        assert MARKUP not in html

    def test_of_too_many_steps_shows_those_that_run_or_failed(self, monkeypatch):
        monkeypatch.setattr(pages, "MOST_STEPS", 2)
        run = make_execution()
        for _ in range(3):
            make_step(execution=run, status=StepStatus.SUCCESS)
        failed, running = (
            make_step(execution=run, status=StepStatus.FAILED),
            make_step(execution=run),
        )

        told = story(run)

        assert {step.pk for step in told.steps} == {failed.pk, running.pk}
        assert told.unshown_steps == 3

    def test_is_drawn_without_style_in_the_page(self, admin_client):
        run = make_execution()
        make_step(execution=run)

        assert "style=" not in parts(admin_client, run)


class TestProducts:
    def test_are_counted_and_the_first_of_them_linked(self, admin_client):
        run = make_execution()
        made = [make_analysis(execution=run) for _ in range(products.FIRST + 2)]
        make_analysis()

        html = shown_page(admin_client, run)

        assert f"{products.FIRST + 2} analyses</a>" in html
        links = [reverse("admin:analysis_analysis_change", args=[each.pk]) for each in made]
        assert sum(link in html for link in links) == products.FIRST
        whole = re.search(r'href="(/admin/analysis/analysis/\?execution[^"]*)"', html)
        assert whole
        assert admin_client.get(whole[1]).status_code == 200

    def test_are_counted_no_further_than_a_flood_may_cost(self, monkeypatch):
        monkeypatch.setattr(products, "MOST_COUNTED", 2)
        run = make_execution()
        for _ in range(4):
            make_analysis(execution=run)

        (found,) = story(run).products

        assert found["count"] == "2+"

    def test_are_hidden_from_those_who_may_not_see_them(self):
        run = make_execution()
        make_analysis(execution=run)

        html = shown_page(staff("view_execution"), run)

        assert "analyses</a>" not in html
        assert "/admin/analysis/analysis/" not in html


class TestRefreshing:
    def test_is_asked_for_by_the_page_of_a_run_that_goes_on(self, admin_client):
        going_on = make_execution()
        over = make_execution(status=ExecutionStatus.COMPLETED)

        url = reverse("admin:executions_execution_live", args=[quote(going_on.pk)])
        assert f'data-live data-url="{url}" data-every="3"' in shown_page(admin_client, going_on)
        assert "data-live" not in shown_page(admin_client, over)

    def test_answers_with_the_parts_that_the_page_has(self, admin_client):
        run = make_execution()
        named = re.compile(r'data-panel="(\w+)"')

        fresh = parts(admin_client, run)

        assert named.findall(fresh) == named.findall(shown_page(admin_client, run))
        assert named.findall(fresh) == ["badges", "steps", "page", "groups"]
        assert "<html" not in fresh

    def test_says_when_it_is_over(self, admin_client):
        run = make_execution()
        assert "data-live-over" not in parts(admin_client, run)

        Execution.objects.update(status=ExecutionStatus.FAILED, timestamp_end=timezone.now())

        assert "data-live-over" in parts(admin_client, run)

    def test_of_a_run_that_is_gone_is_not_found(self, admin_client):
        url = reverse("admin:executions_execution_live", args=["gone"])

        assert admin_client.get(url).status_code == 404

    def test_is_never_kept_by_a_browser(self, admin_client):
        url = reverse("admin:executions_execution_live", args=[quote(make_execution().pk)])

        assert "no-store" in admin_client.get(url)["Cache-Control"]


class TestSteps:
    def test_are_asked_about_first_and_then_taken(self, admin_client):
        run = make_execution()

        asked = press(admin_client, run, "cancel").content.decode()
        run.refresh_from_db()
        assert "Cancel 1 execution?" in asked
        assert run.cancel_requested_at is None

        done = press(admin_client, run, "cancel", confirmed="yes").content.decode()
        run.refresh_from_db()
        assert "1 execution asked to end." in done
        assert run.cancel_requested_by == "admin"

    def test_retry_a_run_that_is_over_as_one_of_its_own(self, admin_client):
        run = make_execution(status=ExecutionStatus.FAILED)

        press(admin_client, run, "retry", confirmed="yes")

        (made,) = run.retries.all()
        assert (made.status, made.triggered_by) == (ExecutionStatus.PENDING, "admin")

    def test_of_a_list_say_how_many_and_leave_alone_what_does_not_fit(self, admin_client):
        going_on = [make_execution(), make_execution()]
        over = make_execution(status=ExecutionStatus.COMPLETED)
        chosen = {
            "action": "cancel",
            "_selected_action": [run.pk for run in [*going_on, over]],
            "index": 0,
        }

        asked = admin_client.post(reverse(RUNS), chosen).content.decode()
        assert "Cancel 2 executions?" in asked
        assert "1 of those chosen is left alone" in asked
        assert asked.count('name="_selected_action"') == 3
        assert not Execution.objects.filter(cancel_requested_at__isnull=False).exists()

        done = admin_client.post(reverse(RUNS), chosen | {"confirmed": "yes"}, follow=True)
        assert "2 executions asked to end." in done.content.decode()

    def test_say_so_when_they_fit_none(self, admin_client):
        run = make_execution(status=ExecutionStatus.COMPLETED)

        assert "it fits none of them" in press(admin_client, run, "cancel").content.decode()

    def test_are_offered_where_they_fit(self, admin_client):
        going_on, over = make_execution(), make_execution(status=ExecutionStatus.FAILED)

        offered = [re.findall(r"/(cancel|retry)/", shown_page(admin_client, run))
                   for run in (going_on, over)]  # fmt: skip

        assert offered == [["cancel"], ["retry"]]

    def test_are_for_those_who_may_change_runs(self):
        run = make_execution()
        viewer = staff("view_execution")

        assert "/cancel/" not in shown_page(viewer, run)
        assert press(viewer, run, "cancel").status_code == 403
        assert press(viewer, run, "cancel", confirmed="yes").status_code == 403

    def test_change_nothing_when_only_looked_at(self, admin_client):
        url = reverse("admin:executions_execution_cancel", args=[make_execution().pk])

        assert admin_client.get(url).status_code == 405


class TestStepPages:
    def test_list_leads_to_the_run_and_names_what_failed(self, admin_client):
        step = make_step(status=StepStatus.FAILED, error_type="TooFew", attempt=2)

        html = page(admin_client, STEPS)

        assert shown.run_url(step.execution_id) in html
        assert "TooFew" in html

    def test_list_is_searched_by_the_id_of_the_run(self, admin_client):
        wanted, other = make_step(step_name="wanted"), make_step(step_name="other")

        html = page(admin_client, STEPS, q=wanted.execution_id)

        assert f"/{wanted.pk}/change/" in html
        assert f"/{other.pk}/change/" not in html

    def test_page_shows_result_and_error_as_text(self, admin_client):
        step = make_step(
            status=StepStatus.FAILED, error_message=MARKUP + CONTROLS, error_traceback=TRACEBACK,
            result_data={MARKUP: 1}, error_type=MARKUP, step_name=MARKUP + CONTROLS,
        )  # fmt: skip

        html = page(admin_client, STEP, step.pk)

        assert MARKUP not in html
        assert not set(CONTROLS) & set(html) & {"\x1b", "\u202e"}
        assert CONTROLS_SEEN in html
        assert "find_levels</summary>" in html


class TestWords:
    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0, "0 s"), (0.0125, "12.5 ms"), (61, "61.0 s"), (119.99, "120 s"), (120, "2 min 00 s"),
            (182, "3 min 02 s"), (600, "10 min"), (7_380, "2 h 3 min"), (200_000, "2 d 7 h"),
        ],
    )  # fmt: skip
    def test_say_how_long_something_took(self, seconds, words):
        assert shown.span(timedelta(seconds=seconds)) == words
