"""What the bases give to every model admin: lists, pages, exports, and no form for facts."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.shared.admin.changelist import MAX_PAGE
from tests.factories import make_candle, make_instrument

pytestmark = pytest.mark.django_db

CANDLES = "admin:market_candle_changelist"
INSTRUMENTS = "admin:market_instrument_changelist"


def page(client, name, *args, **query):
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


class TestFacts:
    @pytest.mark.parametrize("action", ["add", "delete", "edit"])
    def test_have_no_form(self, admin_client, action):
        pk = make_candle().pk
        tail = "add/" if action == "add" else f"{pk}/{action}/"

        answer = admin_client.get(reverse(CANDLES) + tail)

        assert answer.status_code in {302, 403, 404}
        assert b"<form" not in answer.content or answer.status_code != 200

    def test_are_not_changed_by_a_post(self, admin_client):
        candle = make_candle(price=100)

        admin_client.post(reverse("admin:market_candle_change", args=[candle.pk]), {"close": "1"})

        candle.refresh_from_db()
        assert candle.close == 100

    def test_show_their_fields_in_groups(self, admin_client):
        shown = page(admin_client, "admin:market_candle_change", make_candle(price="0.00006123").pk)

        assert "Interval" in shown
        assert "0.00006123" in shown
        assert "0.000061230" not in shown
        assert 'name="_save"' not in shown


class TestEntities:
    def test_show_their_page_first_and_the_form_in_a_tab(self, admin_client):
        pk = make_instrument().pk

        assert 'name="_save"' not in page(admin_client, "admin:market_instrument_change", pk)
        assert 'name="_save"' in page(admin_client, "admin:market_instrument_edit", pk)

    def test_go_back_to_their_page_when_saved(self, admin_client):
        instrument = make_instrument(symbol="BTC/USD")
        values = {"symbol": "BTC/USD", "asset_class": "crypto", "company_name": "Bitcoin"}

        url = reverse("admin:market_instrument_edit", args=[instrument.pk])
        answer = admin_client.post(url, values)

        assert answer.url == reverse("admin:market_instrument_change", args=[instrument.pk])
        instrument.refresh_from_db()
        assert instrument.company_name == "Bitcoin"

    def test_are_not_deleted_by_one_click(self, admin_client):
        instrument = make_instrument()
        url = reverse("admin:market_instrument_delete", args=[instrument.pk])

        assert b"Are you sure" in admin_client.get(url).content
        instrument.refresh_from_db()

    def test_are_not_edited_by_who_may_only_look(self):
        instrument = make_instrument()
        viewer = logged_in("market.view_instrument")

        shown = page(viewer, "admin:market_instrument_change", instrument.pk)
        form = viewer.get(reverse("admin:market_instrument_edit", args=[instrument.pk]))

        assert "Edit" not in shown
        assert form.status_code == 403


def logged_in(*permissions):
    user = User.objects.create_user("viewer", is_staff=True)
    for permission in permissions:
        app, name = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(codename=name, content_type__app_label=app)
        )
    client = Client()
    client.force_login(user)
    return client


class TestLists:
    def test_of_large_tables_never_count_nor_look_for_distinct_values(
        self, admin_client, django_assert_max_num_queries
    ):
        for _ in range(3):
            make_candle()
        with django_assert_max_num_queries(12) as captured:
            page(admin_client, CANDLES, timestamp_last="all", symbol="BTC/USD", granularity="5m")

        asked = [query["sql"].upper() for query in captured if "CANDLES" in query["sql"].upper()]
        assert asked
        assert not [sql for sql in asked if "COUNT(" in sql or "DISTINCT" in sql]

    def test_ask_as_often_for_a_full_page_as_for_a_short_one(
        self, admin_client, django_assert_num_queries
    ):
        make_candle()
        page(admin_client, CANDLES, timestamp_last="all")  # suggestions are cached now
        with django_assert_num_queries(3):
            page(admin_client, CANDLES, timestamp_last="all")
        for _ in range(60):
            make_candle()
        # One more than before: the estimate, since there are more rows than a page holds.
        with django_assert_num_queries(4):
            shown = page(admin_client, CANDLES, timestamp_last="all")
        assert "1–50 of about" in shown

    def test_count_exactly_what_fits_on_a_page(self, admin_client):
        make_candle(), make_candle()

        assert "1–2 of 2 candles" in page(admin_client, CANDLES, timestamp_last="all")

    def test_begin_again_past_their_end(self, admin_client):
        make_candle()

        shown = page(admin_client, CANDLES, timestamp_last="all", p=MAX_PAGE * 10)

        assert "1–1 of 1 candle" in shown

    def test_say_what_the_default_span_hides(self, admin_client):
        make_candle()

        shown = page(admin_client, CANDLES)

        assert "No candles in this span of time." in shown
        assert "timestamp_last=all" in shown

    def test_say_that_filters_may_match_older_rows(self, admin_client):
        make_candle(symbol="OLD/USD")

        shown = page(admin_client, CANDLES, symbol="OLD/USD")

        assert "No candles match these filters in this span of time." in shown
        assert "?symbol=OLD%2FUSD&amp;timestamp_last=all" in shown

    def test_say_what_would_fill_them(self, admin_client):
        shown = page(admin_client, CANDLES, timestamp_last="all")

        assert "import_candles" in shown

    def test_say_what_is_wrong_with_a_filter(self, admin_client):
        make_candle()

        shown = page(admin_client, CANDLES, timestamp_after="garbage", timestamp_last="all")

        assert "Not a time." in shown
        assert "BTC/USD" in shown

    def test_filter_by_times_in_utc_from_included_until_excluded(self, admin_client):
        noon = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
        make_candle(symbol="EARLY", timestamp=noon - timedelta(days=2))
        make_candle(symbol="EXACT", timestamp=noon - timedelta(days=1))

        at = f"{noon - timedelta(days=1):%Y-%m-%d %H:%M}"
        after = page(admin_client, CANDLES, timestamp_after=at)
        before = page(admin_client, CANDLES, timestamp_before=at)

        assert ("EXACT</a>" in after, "EARLY</a>" in after) == (True, False)
        assert ("EXACT</a>" in before, "EARLY</a>" in before) == (False, True)

    def test_search_as_the_index_can_answer(self, admin_client, django_assert_max_num_queries):
        make_candle(symbol="ETH/BTC")
        with django_assert_max_num_queries(8) as captured:
            shown = page(admin_client, CANDLES, q="eth/btc", timestamp_last="all")

        assert "ETH/BTC</a>" in shown
        assert not [query for query in captured if "UPPER(" in query["sql"]]

    @pytest.mark.parametrize(
        "query",
        [{"q": "a\0b"}, {"symbol": "\0"}, {"granularity__exact": "\0"}, {"timestamp_after": "\0"}],
    )
    def test_survive_what_no_text_column_holds(self, admin_client, query):
        assert admin_client.get(reverse(CANDLES), query).status_code == 302

    @pytest.mark.parametrize("p", ["0", "-1", "x", "99999999999999999999"])
    def test_survive_pages_that_do_not_exist(self, admin_client, p):
        assert admin_client.get(reverse(CANDLES), {"p": p}).status_code == 200

    def test_sort_large_tables_by_indexed_columns_only(self, admin_client):
        make_candle()

        shown = page(admin_client, CANDLES, timestamp_last="all")

        assert "sortable column-timestamp" in shown
        assert "sortable column-close" not in shown


class TestExport:
    def test_holds_the_filtered_rows_and_every_column(self, admin_client):
        make_instrument(symbol="AAA"), make_instrument(symbol="BBB")

        answer = admin_client.get(reverse(INSTRUMENTS) + "export/csv/", {"q": "AAA"})

        lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
        assert lines[0].startswith("id,created_at,updated_at,symbol")
        assert len(lines) == 2
        assert "AAA" in lines[1]

    def test_needs_the_right_to_look(self):
        make_instrument()

        answer = logged_in().get(reverse(INSTRUMENTS) + "export/csv/")

        assert answer.status_code == 403

    @pytest.mark.parametrize("tail", ["export/pdf/", "export/csv/?nonsense__x=1"])
    def test_refuses_what_it_does_not_know(self, admin_client, tail):
        assert admin_client.get(reverse(INSTRUMENTS) + tail).status_code == 400


class TestPagesWithoutInlineScript:
    @pytest.mark.parametrize("name", ["admin:index", CANDLES, INSTRUMENTS])
    def test_hold_scripts_from_files_and_data_only(self, admin_client, name):
        make_candle(), make_instrument()
        shown = page(admin_client, name)

        inline = [
            part
            for part in shown.split("<script")[1:]
            if " src=" not in part.split(">")[0] and "application/json" not in part.split(">")[0]
        ]
        assert inline == []
        assert " onclick=" not in shown

    def test_ask_no_other_host(self, admin_client):
        shown = page(admin_client, "admin:index")

        assert "https://" not in shown.replace("http://www.w3.org", "")
