"""The five kinds of entries in the admin: found fast, read whole, shown as text."""

from datetime import timedelta
from io import BytesIO

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from openpyxl import load_workbook

from apps.logs.models import ENTRIES
from tests.factories import (
    MAKERS,
    make_error_group,
    make_error_log,
    make_performance_log,
    make_system_log,
    make_trading_event,
    make_user_action_log,
)
from tests.logs.pages import CONTROLS, CONTROLS_SEEN, MARKUP, exported, page

pytestmark = pytest.mark.django_db

SYSTEM = "admin:logs_systemlog_changelist"
ERRORS = "admin:logs_errorlog_changelist"
REQUESTS = "admin:logs_useractionlog_changelist"

TRACEBACK = """Traceback (most recent call last):
  File "/srv/apps/bots/grid.py", line 8, in close
    price = last(<symbol>)
ValueError: no price
"""


def asked(client, name, **query):
    """Return the SQL that a list asks of the tables of logs."""
    page(client, name, **query)  # what is suggested in filters is cached now
    with CaptureQueriesContext(connection) as captured:
        page(client, name, **query)
    tables = [model._meta.db_table for model in ENTRIES]
    sql = [query["sql"] for query in captured]
    return [each for each in sql if any(table in each for table in tables)]


@pytest.mark.parametrize("model", ENTRIES, ids=lambda model: model.__name__)
class TestEveryList:
    def test_shows_the_last_day_newest_first(self, admin_client, model):
        make = MAKERS[model._meta.label]
        old = make(timestamp=timezone.now() - timedelta(days=3))
        first = make(timestamp=timezone.now() - timedelta(hours=2))
        second = make()

        shown = page(admin_client, f"admin:logs_{model._meta.model_name}_changelist")

        assert f"/{old.pk}/change/" not in shown
        assert 0 < shown.index(f"/{second.pk}/change/") < shown.index(f"/{first.pk}/change/")

    def test_neither_counts_nor_sorts_nor_looks_for_distinct_values(self, admin_client, model):
        MAKERS[model._meta.label]()

        found = asked(
            admin_client, f"admin:logs_{model._meta.model_name}_changelist", timestamp_last="all"
        )

        assert len(found) == 1
        assert "COUNT(" not in found[0]
        assert "DISTINCT" not in found[0]
        assert f'ORDER BY "{model._meta.db_table}"."timestamp" DESC' in found[0]

    def test_is_sorted_by_time_alone(self, admin_client, model):
        MAKERS[model._meta.label]()

        shown = page(admin_client, f"admin:logs_{model._meta.model_name}_changelist")

        assert shown.count("sortable column-") == 1
        assert "sortable column-timestamp" in shown

    def test_links_each_row_to_its_trace(self, admin_client, model):
        MAKERS[model._meta.label](correlation_id="cause-of-it")

        shown = page(admin_client, f"admin:logs_{model._meta.model_name}_changelist")

        assert 'href="/admin/logs/trace/cause-of-it/"' in shown

    def test_finds_a_correlation_id_however_long_ago(self, admin_client, model):
        make = MAKERS[model._meta.label]
        old = make(correlation_id="cause", timestamp=timezone.now() - timedelta(days=90))
        other = make()

        shown = page(
            admin_client, f"admin:logs_{model._meta.model_name}_changelist", correlation_id="cause"
        )

        assert f"/{old.pk}/change/" in shown
        assert f"/{other.pk}/change/" not in shown

    def test_cannot_be_written_to(self, admin_client, model):
        row = MAKERS[model._meta.label]()
        change = reverse(f"admin:logs_{model._meta.model_name}_change", args=[row.pk])

        admin_client.post(change, {"correlation_id": "forged", "message": "forged"})
        gone = admin_client.post(change.replace("change", "delete"), {"post": "yes"})

        assert gone.status_code == 403
        assert model.objects.get(pk=row.pk).correlation_id == row.correlation_id

    def test_is_for_those_who_may_look(self, model):
        client = Client()
        client.force_login(User.objects.create_user("nobody", is_staff=True))

        url = reverse(f"admin:logs_{model._meta.model_name}_changelist")
        assert client.get(url).status_code == 403


class TestSystemLogs:
    def test_read_of_a_long_message_only_its_beginning(self, admin_client):
        make_system_log(message="word " * 40_000)

        (sql,) = asked(admin_client, SYSTEM)

        assert 'LEFT("system_logs"."message", 1000)' in sql
        assert sql.count('"system_logs"."message"') == 1
        assert "metadata" not in sql
        assert len(page(admin_client, SYSTEM)) < 200_000

    @pytest.mark.parametrize("words", ["late", "BTC", "bt usd", "USD, late!", "ORD"])
    def test_are_found_by_words_and_their_beginnings(self, admin_client, words):
        wanted = make_system_log(message="Order BTC/USD is late")
        other = make_system_log(message="All is well")

        shown = page(admin_client, SYSTEM, q=words)

        assert f"/{wanted.pk}/change/" in shown
        assert f"/{other.pk}/change/" not in shown

    def test_are_searched_through_the_index_of_words(self, admin_client):
        make_system_log()

        (sql,) = asked(admin_client, SYSTEM, q="late")

        assert "log_words(" in sql
        assert "LIKE" not in sql

    def test_are_filtered_by_level(self, admin_client):
        wanted, other = make_system_log(level="ERROR"), make_system_log(level="INFO")

        shown = page(admin_client, SYSTEM, level__exact="ERROR")

        assert f"/{wanted.pk}/change/" in shown
        assert f"/{other.pk}/change/" not in shown
        assert "b-badge b-danger" in shown

    def test_show_what_they_say_as_text_in_list_and_page(self, admin_client):
        log = make_system_log(message=MARKUP + CONTROLS, metadata={MARKUP: [CONTROLS]})

        listed = page(admin_client, SYSTEM)
        shown = page(admin_client, "admin:logs_systemlog_change", log.pk)

        for html in (listed, shown):
            assert "<img src=x" not in html
            assert "&lt;img src=x" in html
            assert "\x1b" not in html
            assert "\u202e" not in html
        assert CONTROLS_SEEN in shown

    def test_show_a_long_message_whole_on_its_page(self, admin_client):
        log = make_system_log(message="0123456789 " * 18_000 + "the end")

        shown = page(admin_client, "admin:logs_systemlog_change", log.pk)

        assert "the end</pre>" in shown

    def test_name_the_line_and_process_without_counting_in_them(self, admin_client):
        log = make_system_log(line_number=1234, process_id=4711)

        shown = page(admin_client, "admin:logs_systemlog_change", log.pk)

        assert "<dd>1234</dd>" in shown
        assert "<dd>4711</dd>" in shown


class TestExports:
    def test_show_control_characters_instead_of_holding_them(self, admin_client):
        make_system_log(message=f"=1+1{CONTROLS}", metadata={"said": CONTROLS})

        csv = exported(admin_client, SYSTEM).decode()
        book = load_workbook(BytesIO(exported(admin_client, SYSTEM, "xlsx")))

        cells = [cell.value for row in book.active.iter_rows(min_row=2) for cell in row]
        for text in (csv, str(cells)):
            assert "\x1b" not in text
            assert "\u202e" not in text
        assert f"'=1+1{CONTROLS_SEEN}" in csv
        assert f"'=1+1{CONTROLS_SEEN}" in cells

    def test_hold_whole_texts_without_a_query_for_each(
        self, admin_client, django_assert_max_num_queries
    ):
        for _ in range(5):
            make_system_log(message="word " * 500 + "the end")

        with django_assert_max_num_queries(4):
            csv = exported(admin_client, SYSTEM).decode()

        assert csv.count("the end") == 5


class TestOperations:
    def test_are_filtered_by_how_they_ended(self, admin_client):
        wanted, other = make_performance_log(status="timeout"), make_performance_log()

        shown = page(
            admin_client, "admin:logs_performancelog_changelist", severity__exact="WARNING"
        )

        assert f"/{wanted.pk}/change/" in shown
        assert f"/{other.pk}/change/" not in shown
        assert "Severity: Warning" in shown or "severity: Warning" in shown

    def test_show_what_they_cost_with_its_unit(self, admin_client):
        make_performance_log(memory_usage_mb="312.5", cpu_usage_percent="73.2")

        shown = page(admin_client, "admin:logs_performancelog_changelist")

        assert "312.5 MB" in shown
        assert "73.2 %" in shown

    def test_show_their_duration_in_the_unit_that_fits(self, admin_client):
        make_performance_log(duration_ms="61250.5")

        shown = page(admin_client, "admin:logs_performancelog_changelist")

        assert ">61.3 s<" in shown
        assert 'title="61250.5 ms"' in shown


class TestTradingEvents:
    def test_are_found_by_their_symbol_as_it_stands(self, admin_client):
        wanted = make_trading_event(symbol="ETH/USD")
        other = make_trading_event(symbol="BTC/USD")

        shown = page(admin_client, "admin:logs_tradingevent_changelist", q="eth/usd")

        assert f"/{wanted.pk}/change/" in shown
        assert f"/{other.pk}/change/" not in shown


class TestRequests:
    @pytest.mark.parametrize(
        ("status", "tone"), [(204, "b-success"), (404, "b-warning"), (503, "b-danger")]
    )
    def test_show_how_they_were_answered(self, admin_client, status, tone):
        make_user_action_log(response_status=status)

        assert f'{tone}">{status}<' in page(admin_client, REQUESTS)

    def test_show_a_foreign_path_as_text(self, admin_client):
        action = make_user_action_log(request_path=f"/x?q={MARKUP}", user_agent=MARKUP)

        for html in (
            page(admin_client, REQUESTS),
            page(admin_client, "admin:logs_useractionlog_change", action.pk),
        ):
            assert "<img src=x" not in html


class TestErrors:
    def test_fold_their_trace_behind_the_innermost_own_frame(self, admin_client):
        error = make_error_log(stack_trace=TRACEBACK)

        shown = page(admin_client, "admin:logs_errorlog_change", error.pk)

        assert "<summary>apps/bots/grid.py in close</summary>" in shown
        assert "last(&lt;symbol&gt;)" in shown

    def test_lead_to_all_of_their_kind(self, admin_client):
        group = make_error_group(count=1_234)
        error = make_error_log(fingerprint=group.fingerprint)

        shown = page(admin_client, "admin:logs_errorlog_change", error.pk)

        assert reverse("admin:logs_errorgroup_change", args=[group.pk]) in shown
        assert "1,234 times" in shown

    def test_are_listed_by_their_kind_however_long_ago(self, admin_client):
        old = make_error_log(timestamp=timezone.now() - timedelta(days=60))

        shown = page(admin_client, ERRORS, fingerprint=old.fingerprint)

        assert f"/{old.pk}/change/" in shown
