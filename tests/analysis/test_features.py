"""How much models look at features, and of which kind each is."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from apps.analysis.domain.features import category_of
from apps.analysis.models import FeatureImportance
from apps.analysis.services.features import store_importance

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass(slots=True)
class Sent:
    """An importance as a program sends it."""

    feature_name: str = "rsi_14"
    importance_score: float = 0.25
    timestamp: datetime = NOON
    model_version: str = "v1.0"
    category: str = ""


class TestCategoryOf:
    @pytest.mark.parametrize(
        ("name", "category"),
        [
            ("news_sentiment", "sentiment"),
            ("Fear_Index", "sentiment"),
            ("greed", "sentiment"),
            ("fear_greed_volume", "sentiment"),
            ("volume_ratio", "on_chain"),
            ("transaction_count", "on_chain"),
            ("NVT", "on_chain"),
            ("onchain_hodl_proxy", "on_chain"),
            ("on_chain_flow", "on_chain"),
            ("macro_score", "macro"),
            ("sp500_return", "macro"),
            ("gold", "macro"),
            ("VIX_close", "macro"),
            ("rsi_14", "technical"),
            ("", "technical"),
        ],
    )
    def test_follows_from_the_name(self, name, category):
        assert category_of(name) == category


@pytest.mark.django_db
class TestStoreImportance:
    def test_fills_the_category_unless_it_is_named(self):
        rows = [
            Sent(),
            Sent(feature_name="vix"),
            Sent(feature_name="gold_bug", category="sentiment"),
        ]

        store_importance(rows, now=NOON)

        found = FeatureImportance.objects.values_list("feature_name", "category")
        assert dict(found) == {"rsi_14": "technical", "vix": "macro", "gold_bug": "sentiment"}

    def test_keeps_the_history_of_a_feature(self):
        rows = [
            Sent(timestamp=NOON - timedelta(days=day), importance_score=day / 3) for day in range(3)
        ]

        store_importance(rows, now=NOON)

        scores = FeatureImportance.objects.order_by("timestamp").values_list(
            "importance_score", flat=True
        )
        assert list(scores) == [2 / 3, 1 / 3, 0]

    def test_sent_again_changes_nothing(self):
        row = Sent(importance_score=0.1 + 0.2)
        store_importance([row], now=NOON)

        assert store_importance([row], now=NOON).unchanged == 1
        outcome = store_importance([replace(row, importance_score=0.5)], now=NOON)
        assert [each.pointer for each in outcome.results[0].errors] == ["/importance_score"]

    def test_refuses_the_future_and_takes_the_rest(self):
        outcome = store_importance([Sent(timestamp=NOON + timedelta(hours=1)), Sent()], now=NOON)

        assert (outcome.created, outcome.failed) == (1, 1)
        assert outcome.results[0].errors[0].pointer == "/timestamp"
