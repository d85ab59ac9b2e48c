"""Admin pages of the analysis app: strategies, analyses, backtests, models and what they said."""

from apps.analysis.admin import analyses, backtests, claims, ml, strategies

__all__ = ["analyses", "backtests", "claims", "ml", "strategies"]
