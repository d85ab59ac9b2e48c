"""What was found by asking the pages of features for odd things."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from apps.market.models import FeatureVersion
from apps.market.services.features.versions import ensure_versions
from tests.factories import (
    make_feature_series,
    make_feature_vector,
    make_instrument,
)
from tests.logs.pages import page
from tests.market.test_admin_features import TAB, chart_of

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class TestList:
    @pytest.mark.parametrize(
        "query",
        ["state=x", "state__gt=1", "state__isnull=True", "tail__contains=a", "timezone__regex=("],
    )
    def test_of_series_is_not_narrowed_by_what_carries_them_or_by_patterns(
        self, admin_client, query
    ):
        make_feature_series()

        answer = admin_client.get(f"{reverse('admin:market_featureseries_changelist')}?{query}")

        assert answer.status_code == 400

    def test_of_vectors_takes_no_broken_pattern(self, admin_client):
        for query in ("symbol__regex=((", "rsi_1d__iregex=["):
            path = f"{reverse('admin:market_featurevector_changelist')}?{query}"
            assert admin_client.get(path).status_code == 400


class TestChart:
    def test_leaves_out_candles_that_are_none(self, admin_client):
        """A pipeline may report any number."""
        make_feature_series(
            symbol="ODD", feature_version="9", rows=3,
            first_timestamp=NOON, last_timestamp=NOON + timedelta(hours=2),
        )  # fmt: skip
        for step, price in enumerate((1.7e308, 5e-324, 7.0)):
            make_feature_vector(
                symbol="ODD", feature_version="9", timestamp=NOON + timedelta(hours=step),
                open=price, high=price, low=price, close=price, volume=1.0, rsi_1d=1.7e308,
            )  # fmt: skip

        chart = chart_of(page(admin_client, TAB, make_instrument(symbol="ODD").pk))

        assert [float(candle[4]) for candle in chart["candles"]] == [5e-324, 7.0]


class TestVersion:
    def test_that_looks_ahead_says_what_building_it_costs(self, admin_client):
        ensure_versions()

        def form(version):
            found = FeatureVersion.objects.get(version=version)
            return page(admin_client, "admin:market_featureversion_edit", found.pk)

        assert "all rows of its series computed and written anew" in form("3.0")
        assert "written anew" not in form("3.1")
