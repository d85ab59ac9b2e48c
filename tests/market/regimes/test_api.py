"""Regimes through the API: what others report, and what is known now."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps.market.models import MarketRegime
from tests.factories import make_market_regime

pytestmark = pytest.mark.django_db

REGIMES = "/api/v1/market/regimes/"
START = datetime(2026, 1, 1, tzinfo=UTC)


def sent(place: int = 0, **values):
    return {
        "symbol": "BTC/USD",
        "source": "regime model",
        "timestamp": (START + timedelta(days=place)).isoformat(),
        "regime_type": "Low Volatility Ranging",
        "volatility_regime": "Normal",
        "dominant_trend": "Insufficient data",
        "confidence": "0.35",
        "indicators_json": {"vol_30d": 0.41},
    } | values


class TestReporting:
    def test_stores_and_answers_a_regime(self, api):
        answer = api.post(REGIMES, sent())

        assert answer.status_code == 201
        assert answer.json() | {"id": 0, "created_at": ""} == sent() | {
            "id": 0, "created_at": "", "timestamp": "2026-01-01T00:00:00Z",
        }  # fmt: skip

    def test_needs_no_more_than_the_regime(self, api):
        row = {name: sent()[name] for name in ("symbol", "source", "timestamp", "regime_type")}

        stored = api.post(REGIMES, row).json()

        assert (stored["volatility_regime"], stored["dominant_trend"]) == ("Unknown", "Unknown")
        assert (stored["confidence"], stored["indicators_json"]) == (None, {})

    def test_again_changes_nothing_and_otherwise_is_refused(self, api):
        api.post(REGIMES, sent())

        assert api.post(REGIMES, sent()).status_code == 200
        differing = api.post(REGIMES, sent(regime_type="High Volatility Bear"))
        assert differing.status_code == 409
        assert "regime_type" in differing.json()["detail"]

    def test_takes_many_and_names_those_it_refuses(self, api):
        api.post(REGIMES, sent())
        rows = [sent(), sent(1), sent(2, source="blotter"), sent(0, dominant_trend="Bullish")]

        found = api.post(REGIMES, rows).json()

        assert (found["created"], found["unchanged"], found["failed"]) == (1, 1, 2)
        codes = {each["index"]: [e["code"] for e in each["errors"]] for each in found["results"]}
        assert codes == {0: [], 2: ["reserved"], 3: ["differs"]}

    @pytest.mark.parametrize(
        ("name", "value", "pointer"),
        [
            ("source", "blotter", "/source"),
            ("source", "Blotter", "/source"),
            ("timestamp", "2999-01-01T00:00:00Z", "/timestamp"),
            ("timestamp", "1899-12-31T00:00:00Z", "/timestamp"),
            ("timestamp", "2026-01-01T00:00:00", "/timestamp"),
            ("regime_type", "Medium Volatility Bull", "/regime_type"),
            ("regime_type", "", "/regime_type"),
            ("volatility_regime", "expanding", "/volatility_regime"),
            ("dominant_trend", None, "/dominant_trend"),
            ("confidence", "1.01", "/confidence"),
            ("confidence", "NaN", "/confidence"),
            ("confidence", -0.1, "/confidence"),
            ("indicators_json", [], "/indicators_json"),
            ("indicators_json", {"a": "\ud800"}, "/indicators_json/a"),
            ("symbol", "", "/symbol"),
            ("symbol", "A\u0000", "/symbol"),
            ("id", 5, "/id"),
        ],
    )
    def test_refuses_what_is_wrong_by_its_name(self, api, name, value, pointer):
        answer = api.post(REGIMES, sent(**{name: value}))

        assert answer.status_code == 400
        assert pointer in [each["pointer"] for each in answer.json()["errors"]]
        assert not MarketRegime.objects.exists()


class TestLists:
    def test_are_narrowed_by_what_a_regime_is(self, api):
        make_market_regime(source="blotter", regime_type="High Volatility Bull", timestamp=START)
        make_market_regime(symbol="ETH/USD", volatility_regime="Expanding")
        make_market_regime(dominant_trend="Bearish")

        def found(query: str) -> int:
            return len(api.get(f"{REGIMES}?{query}").json()["results"])

        assert found("") == 3
        assert found("symbol=ETH/USD") == found("source=blotter") == 1
        assert found("regime_type=High Volatility Bull") == found("dominant_trend=Bearish") == 1
        assert found("volatility_regime=Expanding,Contracting") == 1
        assert found("timestamp_before=2026-01-02T00:00:00Z") == 1

    def test_refuse_regimes_that_do_not_exist(self, api):
        assert api.get(f"{REGIMES}?regime_type=Sideways").status_code == 400


class TestCurrent:
    def get(self, api, query=""):
        answer = api.get(f"{REGIMES}current/{query}")
        assert answer.status_code == 200
        return answer.json()

    def test_tells_the_last_known_day_and_since_when(self, api):
        today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        for days in (0, 1, 2):
            make_market_regime(source="blotter", timestamp=today - timedelta(days=days))

        (line,) = self.get(api)["results"]

        yesterday = today - timedelta(days=1)
        assert line["timestamp"] == yesterday.isoformat().replace("+00:00", "Z")
        assert line["known_at"] == today.isoformat().replace("+00:00", "Z")
        assert 0 <= line["age_seconds"] < 86_400 + 60
        assert line["confidence"] is None
        assert "does not measure" in line["confidence_reason"]

    def test_goes_on_where_a_page_ends(self, api):
        for symbol in ("A", "B", "C"):
            make_market_regime(symbol=symbol, source="blotter", timestamp=START)

        first = self.get(api, "?limit=2")
        second = self.get(api, f"?limit=2&after={first['next']}")

        assert [each["symbol"] for each in first["results"] + second["results"]] == ["A", "B", "C"]
        assert second["next"] is None

    def test_answers_for_one_symbol_and_another_source(self, api):
        make_market_regime(symbol="A", source="lab", timestamp=START, confidence="0.7")
        make_market_regime(symbol="B", source="lab", timestamp=START)

        lines = self.get(api, "?source=lab")["results"]

        assert [each["confidence"] for each in lines] == ["0.7", None]
        assert lines[1]["confidence_reason"] == "Its source told none."
        assert self.get(api, "?symbol=A")["results"] == []

    @pytest.mark.parametrize("query", ["?limit=0", "?limit=1001", "?limit=x", "?colour=red"])
    def test_refuses_nonsense(self, api, query):
        assert api.get(f"{REGIMES}current/{query}").status_code == 400
