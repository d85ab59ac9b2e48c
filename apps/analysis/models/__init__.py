"""Tables of the analysis app, one module per subject."""

from apps.analysis.models.analyses import Analysis, BacktestMetric, LeverageCalculation
from apps.analysis.models.backtests import BacktestResult, SignalPerformance
from apps.analysis.models.ml import (
    FeatureImportance,
    MLModel,
    ModelSignal,
    ModelStatusChange,
    Prediction,
)
from apps.analysis.models.outcomes import ModelOutcome
from apps.analysis.models.strategies import StrategyConfiguration

__all__ = [
    "Analysis",
    "BacktestMetric",
    "BacktestResult",
    "FeatureImportance",
    "LeverageCalculation",
    "MLModel",
    "ModelOutcome",
    "ModelSignal",
    "ModelStatusChange",
    "Prediction",
    "SignalPerformance",
    "StrategyConfiguration",
]
