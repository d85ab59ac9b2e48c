"""The trace page: everything of one cause, in the order it happened."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from apps.logs.admin import trace
from apps.logs.admin.links import trace_link, trace_url
from tests.factories import (
    make_error_group,
    make_error_log,
    make_notification,
    make_performance_log,
    make_system_log,
    make_trading_event,
    make_user_action_log,
)
from tests.logs.pages import CONTROLS, CONTROLS_SEEN, MARKUP, page, staff

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


def after(milliseconds):
    return {"timestamp": NOON + timedelta(milliseconds=milliseconds), "correlation_id": "cause"}


def read(user, correlation_id="cause"):
    return trace.Trace(correlation_id, user=user)


class TestTrace:
    def test_tells_all_of_one_cause_in_order_and_nothing_else(self, admin_user):
        make_error_log(**after(40), error_type="KeyError", error_message="late")
        make_user_action_log(**after(0), request_method="POST", request_path="/api/v1/alerts/")
        make_trading_event(**after(25), event_type="signal", symbol="BTC/USD")
        make_performance_log(**after(10), operation_name="predict")
        make_system_log(**after(30), message="raised")
        make_system_log(message="of another cause")

        lines = read(admin_user).lines

        assert [line["since"] for line in lines] == ["0.0", "10.0", "25.0", "30.0", "40.0"]
        assert [line["words"] for line in lines] == [
            "POST /api/v1/alerts/ 200",
            "predict (12.5 ms)",
            "signal - BTC/USD",
            "raised",
            "KeyError: late",
        ]

    def test_draws_each_operation_where_and_as_long_as_it_ran(self, admin_user):
        make_user_action_log(**after(0), duration_ms=100)
        make_performance_log(**after(50), duration_ms=50)
        make_system_log(**after(75))

        request, operation, log = (line["bar"] for line in read(admin_user).lines)

        assert (request.left, request.width) == ("0.000", "100.000")
        assert (operation.left, operation.width) == ("50.000", "50.000")
        assert (log.left, log.width) == ("75.000", "0.400")

    def test_ends_with_the_end_of_the_last_operation(self, admin_user):
        make_system_log(**after(0))
        make_performance_log(**after(10), duration_ms=1_500)
        make_system_log(**after(20))

        found = read(admin_user)

        assert found.last == NOON + timedelta(milliseconds=1_510)
        assert found.span == "1.51 s"

    def test_takes_one_line_for_a_whole_trace(self, admin_client):
        make_system_log(**after(0))

        assert ">0.0<span" in page(admin_client, "trace-page", "cause")

    def test_counts_its_lines_by_severity(self, admin_user):
        make_system_log(**after(0), level="WARNING")
        make_system_log(**after(1), level="WARNING")
        make_error_log(**after(2))

        shown = " ".join(read(admin_user).severities)

        assert shown.index("1 Error") < shown.index("2 Warning")

    def test_names_the_errors_and_notifications_concerned(self, admin_client):
        group = make_error_group(error_type="OddError")
        make_error_log(**after(0), fingerprint=group.fingerprint)
        told = make_notification(subject="Bot is silent", correlation_id="cause")
        make_error_group(error_type="OtherError")

        shown = page(admin_client, "trace-page", "cause")

        assert reverse("admin:logs_errorgroup_change", args=[group.pk]) in shown
        assert reverse("admin:logs_notification_change", args=[told.pk]) in shown
        assert "OtherError" not in shown

    def test_says_when_there_is_more_than_it_shows(self, admin_client, monkeypatch):
        monkeypatch.setattr(trace, "MOST_LINES", 2)
        monkeypatch.setattr(trace.Trace, "most", 2)
        for step in range(3):
            make_system_log(**after(step), message=f"step {step}")

        shown = page(admin_client, "trace-page", "cause")

        assert "step 1" in shown
        assert "step 2" not in shown
        assert "There is more." in shown

    def test_says_nothing_of_more_when_that_is_all(self, admin_client, monkeypatch):
        monkeypatch.setattr(trace, "MOST_LINES", 2)
        make_system_log(**after(0)), make_system_log(**after(1))

        assert "There is more." not in page(admin_client, "trace-page", "cause")

    def test_costs_the_same_however_long_it_is(self, admin_client, django_assert_num_queries):
        def one_more():
            make_system_log(**after(0)), make_performance_log(**after(1))
            make_user_action_log(**after(2))
            make_error_log(**after(3), fingerprint=make_error_group().fingerprint)
            make_notification(correlation_id="cause")

        one_more()
        # session, user, lines, two of durations, groups, notifications
        with django_assert_num_queries(7):
            page(admin_client, "trace-page", "cause")
        for _ in range(5):
            one_more()
        with django_assert_num_queries(7):
            page(admin_client, "trace-page", "cause")

    def test_reads_of_long_texts_only_their_beginning(self, admin_client):
        make_system_log(**after(0), message="word " * 40_000, metadata={"long": "x" * 100_000})

        shown = page(admin_client, "trace-page", "cause")

        assert len(shown) < 120_000
        assert "metadata, its beginning" in shown

    def test_shows_foreign_text_as_text(self, admin_client):
        make_system_log(**after(0), message=MARKUP + CONTROLS, metadata={MARKUP: CONTROLS})

        shown = page(admin_client, "trace-page", "cause")

        assert "<img src=x" not in shown
        assert CONTROLS_SEEN in shown
        assert "\x1b" not in shown

    def test_hides_the_sources_that_one_may_not_open(self):
        make_system_log(**after(0), message="seen")
        make_user_action_log(**after(1), request_path="/secret/")

        shown = page(staff("view_recentactivity", "view_systemlog"), "trace-page", "cause")

        assert "seen" in shown
        assert "/secret/" not in shown
        assert "Of some sources nothing may be shown to you." in shown


class TestPage:
    def test_asks_for_an_id(self, admin_client):
        assert "X-Request-ID" in page(admin_client, "trace-search")

    def test_goes_to_the_trace_that_is_asked_for(self, admin_client):
        answer = admin_client.get(reverse("trace-search"), {"id": " cause-7 "})

        assert answer.url == "/admin/logs/trace/cause-7/"

    def test_says_why_nothing_is_known(self, admin_client):
        assert "Nothing is known under this id." in page(admin_client, "trace-page", "no-such-id")

    @pytest.mark.parametrize(
        "odd", ["order/17 ü?&id=x", "..", MARKUP, CONTROLS, "x" * 100, "a%2Fb", " padded"]
    )
    def test_leads_to_an_id_however_odd(self, admin_client, odd):
        make_system_log(correlation_id=odd.strip(), message="found it")

        answer = admin_client.get(trace_url(odd.strip()), follow=True)

        shown = answer.content.decode()
        assert "found it" in shown
        assert "<img src=x" not in shown

    @pytest.mark.parametrize("nonsense", ["\0", "a\0b", "x" * 5_000])
    def test_survives_what_no_id_can_be(self, admin_client, nonsense):
        answer = admin_client.get(reverse("trace-search"), {"id": nonsense}, follow=True)

        assert answer.status_code == 200

    def test_is_for_those_who_may_look(self):
        assert staff().get(reverse("trace-search")).status_code == 403
        assert Client().get(reverse("trace-search")).status_code == 302


class TestLink:
    def test_shows_the_beginning_of_a_long_id(self):
        assert ">0123456789ab…</a>" in trace_link("0123456789abcdef")
        assert ">0123456789abcdef</a>" in trace_link("0123456789abcdef", whole=True)

    def test_is_a_dash_where_nothing_came_along(self):
        assert "no correlation id came along" in trace_link("")
