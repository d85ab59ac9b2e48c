"""Regimes in the admin: ninety days as a strip, and the present one in words."""

from datetime import UTC, datetime, timedelta

import pytest
from django.template.loader import render_to_string
from django.urls import reverse

from apps.market.admin.regime_strip import DAYS, regime_strip
from apps.market.choices import COLORS, DominantTrend, RegimeType, VolatilityRegime
from tests.factories import make_market_regime

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TODAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def make(days_ago: int, regime: str = "Low Volatility Bull", **values):
    defaults = {"source": "blotter", "timestamp": TODAY - days_ago * DAY, "regime_type": regime}
    return make_market_regime(**defaults | values)


def rendered(strip) -> str:
    return render_to_string("admin/market/regime_strip.html", {"strip": strip})


class TestStrip:
    def test_has_a_cell_for_each_day_up_to_yesterday(self):
        make(1)
        make(3, "High Volatility Bear")
        make(DAYS)
        make(DAYS + 1)
        make(0)

        strip = regime_strip("BTC/USD", NOW)

        looks = [cell["look"] for cell in strip["cells"]]
        assert len(looks) == DAYS
        assert [looks[0], *looks[-3:]] == ["bull", "bear", "none", "bull"]
        assert looks.count("none") == DAYS - 3
        assert "2026-02-27: High Volatility Bear" in strip["cells"][-3]["words"]

    def test_tells_high_from_low_by_its_height_too(self):
        make(1, "Low Volatility Bear")
        make(2, "High Volatility Bear")

        high, low = regime_strip("BTC/USD", NOW)["cells"][-2:]

        assert high["look"] == low["look"]
        assert high["height"] > low["height"]

    def test_says_the_present_regime_and_since_when(self):
        indicators = {
            "close": 110, "vol_30d": 0.512, "vol_ratio": 0.9, "trend_30d": 0.125,
            "ma_20": 100, "ma_50": 105, "ma_100": 120, "ma_200": 90,
        }  # fmt: skip
        make(4, "Low Volatility Bear")
        for days_ago in (3, 2, 1):
            make(days_ago, indicators_json=indicators)

        page = rendered(regime_strip("BTC/USD", NOW))

        assert "BTC/USD is calm and rises" in page
        assert "2026-02-28 00:00 UTC" in page  # the day before ended then
        assert "51.2 % a year, 0.90 × that of 90 days" in page
        assert "above 3 of 4 means" in page
        assert "+12.5 %" in page
        assert "3 days" in page
        assert "as of" not in page

    def test_says_of_which_day_it_is_when_none_came_since(self):
        make(5)

        assert "as of 2026-02-25" in rendered(regime_strip("BTC/USD", NOW))

    def test_says_when_there_is_none(self):
        assert "No regime in the last 90 days" in rendered(regime_strip("BTC/USD", NOW))

    def test_of_another_source_takes_its_last_word_of_a_day(self):
        make(0, "Unknown", source="lab")
        make(0, "High Volatility Bull", source="lab", timestamp=NOW)
        make(0, "Low Volatility Bear", source="lab", timestamp=NOW + timedelta(minutes=1))

        strip = regime_strip("BTC/USD", NOW, source="lab")

        assert strip["cells"][-1]["look"] == "bull"
        assert "as lab says" in rendered(strip)

    def test_bears_whatever_others_report_as_indicators(self):
        odd = {"vol_30d": "high", "trend_30d": None, "close": True, "ma_20": [], "vol_ratio": {}}
        make(0, source="<b>", indicators_json=odd)

        page = rendered(regime_strip("BTC/USD", NOW, source="<b>"))

        assert "as &lt;b&gt; says" in page

    @pytest.mark.parametrize("regime", RegimeType.values)
    def test_has_words_for_every_regime(self, regime):
        make(1, regime)

        assert "BTC/USD " in rendered(regime_strip("BTC/USD", NOW))

    def test_reads_the_database_once(self, django_assert_num_queries):
        for days_ago in range(1, 30):
            make(days_ago)

        with django_assert_num_queries(1):
            rendered(regime_strip("BTC/USD", NOW))


class TestPages:
    def test_show_a_regime_among_its_days(self, admin_client):
        make(3, "High Volatility Bear")
        row = make(1)

        page = admin_client.get(reverse("admin:market_marketregime_change", args=[row.pk]))

        assert "High Volatility Bear" in page.content.decode()
        assert "does not measure how sure that is" in page.content.decode()

    def test_list_regimes_with_their_colors(self, admin_client):
        make_market_regime(timestamp=datetime.now(UTC), regime_type="High Volatility Bear")

        page = admin_client.get(reverse("admin:market_marketregime_changelist")).content.decode()

        assert "b-badge b-danger" in page


def test_every_word_has_a_color():
    words = [*RegimeType, *VolatilityRegime, *DominantTrend]
    assert [word for word in words if word not in COLORS and word.value != "Unknown"] == []
