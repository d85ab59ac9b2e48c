"""Addresses of the analysis app."""

from django.urls import path

from apps.analysis.api import analyses, backtests, ml, symbol_additions
from apps.shared.api.routers import Router

router = Router()
router.register("strategy-configurations", analyses.StrategyConfigurationViewSet)
router.register("analyses", analyses.AnalysisViewSet)
router.register("metrics", analyses.MetricViewSet)
router.register("leverage-calculations", analyses.LeverageCalculationViewSet)
router.register("backtest-results", backtests.BacktestResultViewSet)
router.register("signal-performance", backtests.SignalPerformanceViewSet)
router.register("models", ml.MLModelViewSet)
router.register("model-status-changes", ml.ModelStatusChangeViewSet)
router.register("predictions", ml.PredictionViewSet)
router.register("model-signals", ml.ModelSignalViewSet)
router.register("model-outcomes", ml.ModelOutcomeViewSet)
router.register("feature-importance", ml.FeatureImportanceViewSet)

urlpatterns = [
    *router.urls,
    path(
        "symbol-additions/", symbol_additions.SymbolAdditionsView.as_view(), name="symbol-additions"
    ),
    path("ranking/", analyses.RankingView.as_view(), name="ranking"),
    path("active-models/", ml.ActiveModelsView.as_view(), name="active-models"),
    path("model-scorecard/", ml.ModelScorecardView.as_view(), name="model-scorecard"),
]
