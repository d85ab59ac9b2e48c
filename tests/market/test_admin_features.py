"""Features in the admin: vectors, versions, series, coverage, and the tab of an instrument."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.executions.admin.shown import run_url
from apps.executions.models import Execution
from apps.market.admin.feature_charts import places_of, toggled, within_panes
from apps.market.admin.feature_groups import GROUPED, PLOTS
from apps.market.domain.features.columns import COLUMNS
from apps.market.models import FeatureSeries, FeatureVersion
from tests.factories import (
    make_candle,
    make_candle_series,
    make_feature_coverage,
    make_feature_series,
    make_feature_vector,
    make_feature_version,
    make_instrument,
)
from tests.logs.pages import MARKUP, exported, page

TAB = "admin:market_instrument_features"
COVERAGE = "admin:market_featurecoverage_changelist"
REFRESH = "admin:market_featurecoverage_refresh"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PRICES = {"open": 100.0, "high": 101.5, "low": 99.0, "close": 100.25, "volume": 7.0}


def staff(*permissions):
    """Return the client of somebody on the staff who may do just that in the market."""
    user = User.objects.create_user("someone", is_staff=True)
    for name in permissions:
        user.user_permissions.add(
            Permission.objects.get(codename=name, content_type__app_label="market")
        )
    client = Client()
    client.force_login(user)
    return client


def chart_of(html):
    found = re.search(r'<candle-chart.*?json">(.*?)</script>', html, re.DOTALL)
    return json.loads(found[1])


class TestGroups:
    def test_hold_every_column_once_but_the_symbol(self):
        assert sorted([*GROUPED, "symbol"]) == sorted(COLUMNS)

    def test_give_the_charts_columns_that_exist(self):
        assert {name.lstrip("|") for plot in PLOTS.values() for name in plot.columns} <= set(
            GROUPED
        )


class TestChoice:
    def test_takes_away_what_is_shown_and_adds_what_is_not(self):
        assert toggled(["averages", "rsi"], "rsi") == ["averages"]
        assert toggled(["rsi"], "averages") == ["averages", "rsi"]

    def test_leaves_out_the_first_of_too_many_panes(self):
        chosen = within_panes(["rsi", "macd", "volatility", "volume", "flow"])

        assert chosen == ["macd", "volatility", "volume", "flow"]

    @pytest.mark.parametrize(
        ("largest", "places"), [(0.00012, 7), (0.5, 4), (55.0, 2), (123_456.0, 0)]
    )
    def test_shows_as_many_digits_as_tell_apart(self, largest, places):
        assert places_of([[0, largest], [1, None]]) == places


@pytest.mark.django_db
class TestInstrumentTab:
    @pytest.fixture
    def instrument(self):
        last = NOON + timedelta(hours=4)
        make_feature_series(
            symbol="BTC/USD", feature_version="3.9", rows=5, rsi_rows=2, ma_rows=5,
            first_timestamp=NOON, last_timestamp=last,
        )  # fmt: skip
        for step in range(5):
            make_feature_vector(
                feature_version="3.9", timestamp=NOON + step * timedelta(hours=1),
                rsi_1d=50.0 + step if step > 2 else None, **PRICES | {"close": 100.0 + step / 4},
            )  # fmt: skip
        return make_instrument(symbol="BTC/USD")

    def test_draws_the_price_with_lines_and_panes(self, admin_client, instrument):
        chart = chart_of(page(admin_client, TAB, instrument.pk))

        assert len(chart["candles"]) == 5
        assert [line["name"] for line in chart["overlays"]][:2] == [
            "price_ma_short", "price_ma_med",
        ]  # fmt: skip
        assert [pane["title"] for pane in chart["panes"]] == ["RSI", "MACD"]
        points = chart["panes"][0]["lines"][0]["points"]
        assert [value for _, value in points] == [None, None, None, 53.0, 54.0]

    def test_draws_what_is_chosen(self, admin_client, instrument):
        chart = chart_of(page(admin_client, TAB, instrument.pk, show=["flow", "<b>"]))

        assert chart["overlays"] == []
        assert [pane["title"] for pane in chart["panes"]] == ["Money flow"]

    def test_tells_the_newest_values_and_how_often_each_is_known(self, admin_client, instrument):
        html = page(admin_client, TAB, instrument.pk)

        assert "<code>rsi_1d</code>" in html
        assert '<span class="b-num b-warn" title="2 of 5">40 %</span>' in html
        assert ">54</span>" in html
        assert "history before it is too short" in html

    def test_looks_back_from_a_moment(self, admin_client, instrument):
        until = (NOON + timedelta(hours=2)).isoformat().replace("+00:00", "Z")

        html = page(admin_client, TAB, instrument.pk, until=until)

        assert len(chart_of(html)["candles"]) == 2
        assert "Later" in html

    def test_costs_the_same_for_many_rows_as_for_few(self, admin_client, instrument):
        def queries():
            with CaptureQueriesContext(connection) as captured:
                page(admin_client, TAB, instrument.pk)
            return len(captured)

        queries()
        few = queries()
        for step in range(20):
            make_feature_vector(
                feature_version="3.9", timestamp=NOON - (step + 1) * timedelta(hours=1), **PRICES
            )

        # Session, user, instrument, series; the chart, the shares, the newest row.
        assert queries() == few <= 8

    @pytest.mark.parametrize(
        "query", [{"until": "garbage"}, {"version": "<b>"}, {"source": "x"}, {"show": ""}]
    )
    def test_survives_nonsense_in_its_address(self, admin_client, instrument, query):
        assert "<candle-chart" in page(admin_client, TAB, instrument.pk, **query)

    def test_says_what_would_fill_it(self, admin_client):
        assert "No features of" in page(admin_client, TAB, make_instrument().pk)

    def test_is_closed_to_those_who_may_not_see_features(self, instrument):
        client = staff("view_instrument")

        assert client.get(reverse(TAB, args=[instrument.pk])).status_code == 403
        assert "Features" not in page(client, "admin:market_instrument_change", instrument.pk)


@pytest.mark.django_db
class TestVectors:
    def test_show_all_columns_by_their_names(self, admin_client):
        row = make_feature_vector(rsi_1d=40.1730531484, mfi=None)

        html = page(admin_client, "admin:market_featurevector_change", row.pk)

        assert 'title="40.1730531484">40.1731</span>' in html
        # Symbol and time, close, RSI and average.
        assert "5 of its 100 columns are known" in html
        assert all(name in html for name in ("volume_ratio_lag_24", "returns_kurt_12h"))
        assert "history before it is too short" in html

    def test_are_listed_for_the_last_week(self, admin_client):
        make_feature_vector(symbol="OLD/USD", timestamp=datetime(2026, 3, 2, tzinfo=UTC))

        html = page(admin_client, "admin:market_featurevector_changelist")

        assert ">OLD/USD<" not in html
        assert "Older ones may exist" in html


@pytest.mark.django_db
class TestVersions:
    def edit(self, client, version, **values):
        url = reverse("admin:market_featureversion_edit", args=[version.pk])
        return client.post(url, {"description": "", **values}, follow=True).content.decode()

    def test_are_built_from_granularities_that_are_chosen(self, admin_client):
        version = make_feature_version(version="7.1", origin="computed")

        self.edit(admin_client, version, built="on", granularities=["1h", "1d"])

        version.refresh_from_db()
        assert (version.built, version.granularities) == (True, ["1h", "1d"])

    def test_are_not_built_from_nothing(self, admin_client):
        version = make_feature_version(version="7.1", origin="computed")

        assert "Name at least one" in self.edit(admin_client, version, built="on")
        assert not FeatureVersion.objects.get(pk=version.pk).built

    def test_that_are_reported_are_not_built_here(self, admin_client):
        version = make_feature_version(version="7.2")

        self.edit(admin_client, version, built="on", granularities=["1h"])

        assert not FeatureVersion.objects.get(pk=version.pk).built

    def test_say_how_many_series_and_rows_they_have(self, admin_client):
        make_feature_series(feature_version="7.3", rows=1234, rsi_rows=0, ma_rows=0)

        html = page(admin_client, "admin:market_featureversion_changelist")

        assert ">1,234</span>" in html

    def test_show_what_a_pipeline_says_as_text(self, admin_client):
        version = make_feature_version(description=MARKUP, columns=[MARKUP])

        assert MARKUP not in page(admin_client, "admin:market_featureversion_change", version.pk)


@pytest.mark.django_db
class TestSeries:
    @pytest.fixture
    def series(self):
        start = NOON - timedelta(hours=30)
        make_candle_series(
            symbol="BTC/USD", granularity="1h", first_timestamp=start, last_timestamp=NOON
        )
        make_candle(symbol="BTC/USD", granularity="1h", timestamp=NOON)
        make_feature_version(version="7.1", origin="computed", definition_hash="a" * 64)
        return make_feature_series(
            symbol="BTC/USD", feature_version="7.1", rows=1900, definition_hash="b" * 64,
            error=MARKUP,
        )  # fmt: skip

    def rebuild(self, client, series, **values):
        url = reverse("admin:market_featureseries_rebuild", args=[series.pk])
        return client.post(url, values, follow=True)

    def test_say_that_their_definition_has_changed(self, admin_client, series):
        html = page(admin_client, "admin:market_featureseries_change", series.pk)

        assert ">Outdated</span>" in html
        assert "rebuild them" in html
        assert MARKUP not in html

    def test_are_rebuilt_by_a_run_once_that_is_confirmed(self, admin_client, series):
        asked = self.rebuild(admin_client, series).content.decode()

        assert "1,900 rows are written over" in asked
        assert not Execution.objects.exists()

        html = self.rebuild(admin_client, series, confirmed="yes").content.decode()

        assert run_url(Execution.objects.get().pk) in html
        assert "Follow its run" in html

    def test_are_not_rebuilt_by_those_who_may_only_look(self, series):
        client = staff("view_featureseries")

        assert self.rebuild(client, series, confirmed="yes").status_code == 403

    def test_read_and_export_nothing_of_what_carries_them(self, admin_client, series):
        FeatureSeries.objects.update(tail=b"the tail")

        with CaptureQueriesContext(connection) as captured:
            page(admin_client, "admin:market_featureseries_changelist")
            content = exported(admin_client, "admin:market_featureseries_changelist")

        assert b"the tail" not in content
        assert not any('"tail",' in query["sql"] for query in captured)


@pytest.mark.django_db
class TestCoverage:
    def test_reads_the_view_alone(self, admin_client):
        make_feature_coverage(symbol="BTC/USD")

        with CaptureQueriesContext(connection) as captured:
            html = page(admin_client, COVERAGE)

        assert "BTC/USD" in html
        assert "100 %" in html
        read = [each["sql"] for each in captured if "feature" in each["sql"]]
        assert read
        assert all("mv_features_dashboard_summary" in sql for sql in read)

    def test_is_refreshed_by_a_run(self, admin_client):
        html = admin_client.post(reverse(REFRESH), follow=True).content.decode()

        assert "The coverage is refreshed by a worker" in html
        assert run_url(Execution.objects.get().pk) in html

    def test_is_refreshed_by_post_of_those_who_may(self, admin_client):
        assert admin_client.get(reverse(REFRESH)).status_code == 405
        assert staff("view_featurecoverage").post(reverse(REFRESH)).status_code == 403
        assert not Execution.objects.exists()

    def test_offers_no_refresh_to_those_who_may_only_look(self):
        assert reverse(REFRESH) not in page(staff("view_featurecoverage"), COVERAGE)
