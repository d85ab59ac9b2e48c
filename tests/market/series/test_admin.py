"""The pages of series: where each stands, and one of them as a chart."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.market.admin.series_pages import SERIES_PER_PAGE, SeriesChart, exponent_of, places_of
from apps.market.services import series as services
from apps.market.services.series import ONCHAIN
from tests.factories import make_onchain_metric, make_sentiment_score

pytestmark = pytest.mark.django_db

LIST = reverse("admin:market_onchainmetric_series")
CHART = reverse("admin:market_onchainmetric_chart")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = {"symbol": "BTC/USD", "source": "glassnode", "metric_name": "nvt"}


def make(*hours: float, now: datetime = NOW, **values):
    for each in hours:
        value = values.get("metric_value", each)
        make_onchain_metric(
            **KEY | values | {"timestamp": now - each * HOUR, "metric_value": value}
        )


class TestSeriesList:
    def test_shows_where_each_series_stands(self, admin_client):
        make(0, 1, 2, 5, 6, 7, now=timezone.now(), metric_value=12.5)
        make(100, 101, 102, 103, now=timezone.now(), metric_name="flow")
        make(5, metric_name="young")

        page = admin_client.get(LIST).content.decode()

        assert "12.5" in page
        assert page.count(">every 1 h<") == 2
        assert "2 missing in 1 gap" in page
        assert "Silent for 4 d 4 h" in page
        assert "Too few points" in page
        assert "metric_name=flow" in page

    def test_is_narrowed_and_turned_over(self, admin_client):
        for number in range(SERIES_PER_PAGE + 3):
            make_onchain_metric(symbol=f"COIN{number:02}", metric_name="x")
        make_onchain_metric(symbol="COIN00", metric_name="y")

        first = admin_client.get(LIST)
        found = first.context["found"]
        second = admin_client.get(found.next).context["found"]

        names = [row["names"][0] for row in [*found.rows, *second.rows]]
        assert names == sorted(names)
        assert len(names) == SERIES_PER_PAGE + 4
        assert second.next == ""
        narrowed = admin_client.get(LIST, {"symbol": "COIN00", "metric_name": "y"})
        assert len(narrowed.context["found"].rows) == 1
        assert "No such series" in admin_client.get(LIST, {"symbol": "?"}).content.decode()

    def test_asks_as_often_for_many_series_as_for_few(self, admin_client):
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                admin_client.get(LIST)
            return len(captured)

        make(1, 2, 3)
        queries()
        few = queries()
        for number in range(10):
            make(1, 2, 3, metric_name=f"x{number}")

        assert queries() == few

    def test_is_empty_at_first(self, admin_client):
        assert "No series yet" in admin_client.get(LIST).content.decode()

    def test_knows_sentiment_too(self, admin_client):
        make_sentiment_score(sentiment_score=-0.125)

        page = admin_client.get(reverse("admin:market_sentimentscore_series")).content.decode()

        assert "0.125" in page

    def test_shows_foreign_names_as_text(self, admin_client):
        make_onchain_metric(metric_name="<script>alert(1)</script>")

        assert "<script>alert" not in admin_client.get(LIST).content.decode()

    @pytest.mark.parametrize("address", [LIST, CHART])
    def test_is_for_those_who_may_see_points(self, client, django_user_model, address):
        user = django_user_model.objects.create_user("nobody", is_staff=True)
        client.force_login(user)

        assert client.get(address).status_code == 403

    def test_is_reached_from_the_list_of_points(self, admin_client):
        page = admin_client.get(reverse("admin:market_onchainmetric_changelist")).content.decode()

        assert f'href="{LIST}"' in page


class TestChart:
    def view(self, **asked):
        return SeriesChart(ONCHAIN, KEY | asked, now=NOW)

    def test_draws_points_and_marks_where_some_are_missing(self, admin_client):
        make(0, 1, 2, 5, 6, 7)

        (line,) = self.view().chart["series"]

        assert [value for _, value in line["points"]] == [7, 6, 5, 2, 1, 0]
        assert [marker["text"] for marker in line["markers"]] == ["2 missing"]
        page = admin_client.get(CHART, KEY).content.decode()
        assert "nvt from glassnode" in page
        assert "line-chart" in page

    def test_goes_back_in_time(self, monkeypatch):
        monkeypatch.setattr("apps.market.admin.series_pages.DRAWN", 3)
        make(*range(7))

        newest = self.view()
        earlier = self.view(until=newest.points[0][0].isoformat())

        assert [value for _, value in newest.points] == [2, 1, 0]
        assert [value for _, value in earlier.points] == [5, 4, 3]
        assert "until=2026-03-02T10" in newest.earlier
        assert not newest.newest_url
        assert earlier.newest_url

    def test_says_that_there_is_nothing(self, admin_client):
        for asked in ({}, KEY, KEY | {"until": "soon"}, KEY | {"symbol": "\0"}):
            assert "There are no points" in admin_client.get(CHART, asked).content.decode()

    def test_bears_the_largest_and_smallest_numbers(self, admin_client):
        for value in (1.7e308, 5e-324, -1.7e308, 0):
            make(0, 1, metric_name=str(value), metric_value=value)

            answer = admin_client.get(CHART, KEY | {"metric_name": str(value)})

            assert answer.status_code == 200
            (line,) = answer.context["view"].chart["series"]
            assert all(abs(point) <= 1_000 for _, point in line["points"])

    @pytest.mark.parametrize(
        ("values", "exponent"),
        [([6.2e20], 18), ([0.5, -12_000], 0), ([2e-9], -9), ([0.0], 0), ([], 0), ([5e-324], -324)],
    )
    def test_multiplies_what_is_too_large_to_be_written_out(self, values, exponent):
        assert exponent_of(values) == exponent

    @pytest.mark.parametrize(
        ("values", "places"), [([620.5], 3), ([0.0123], 7), ([9_123_456], 0), ([], 2)]
    )
    def test_tells_digits_by_size(self, values, places):
        assert places_of(values) == places


class TestReads:
    def test_cut_a_window_that_holds_too_much(self, monkeypatch):
        monkeypatch.setattr(services, "USUAL_POINTS", 3)
        make(0, 1, 2, 3, 4)

        found = services.completeness(ONCHAIN, tuple(KEY.values()), now=NOW)

        assert (found.points, found.cut, found.first) == (3, True, NOW - 2 * HOUR)
