"""What was found by using regimes wrongly."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from tests.factories import make_market_regime

pytestmark = pytest.mark.django_db

NIGHT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize("figure", [10**400, -(10**1000), 1e308, 10**307])
def test_figures_of_any_size_have_a_page(admin_client, figure):
    names = ("vol_30d", "vol_ratio", "trend_30d", "close", "ma_20")
    regime = make_market_regime(
        source="lab", timestamp=NIGHT, indicators_json=dict.fromkeys(names, figure)
    )

    page = admin_client.get(reverse("admin:market_marketregime_change", args=[regime.pk]))

    assert page.status_code == 200
    assert "inf " not in page.content.decode()


def test_names_with_signs_that_turn_a_line_around_are_seen_as_such(admin_client):
    regime = make_market_regime(symbol="B\u202eTC", source="la\u202eb", timestamp=NIGHT)

    page = admin_client.get(reverse("admin:market_marketregime_change", args=[regime.pk]))

    assert "\u202e" not in page.content.decode()
    assert "as la⟦U+202E⟧b says" in page.content.decode()
