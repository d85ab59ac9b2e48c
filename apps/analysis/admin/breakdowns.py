"""How the leverage of a trade came about, as bars and as a sum that can be followed."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from apps.analysis.admin import shown
from apps.analysis.domain.leverage import CONSTRAINTS
from apps.analysis.models import LeverageCalculation
from apps.shared import display

TITLES: Final = {
    "support": "Support",
    "risk_reward": "Risk / reward",
    "confidence": "Confidence",
    "btc": "Bitcoin",
    "volatility": "Volatility",
}
MEANINGS: Final = {
    "support": "How far the protecting level lies away, and how strong it is.",
    "risk_reward": "How much there is to win for what is risked.",
    "confidence": "How sure the strategy is.",
    "btc": "How closely it follows Bitcoin: a fall of Bitcoin must be survived.",
    "volatility": "How many typical bars fit before liquidation.",
}
# What each constraint looked at, and how that reads.
INPUTS: Final = {
    "support": ("support_distance_pct", "{} % away"),
    "risk_reward": ("risk_reward_ratio", "{} to 1"),
    "confidence": ("confidence_pct", "{} %"),
    "btc": ("btc_correlation", "correlation {}"),
    "volatility": ("volatility_pct", "{} % per bar"),
}
NOT_TOLD: Final = "Nobody told."
# A bar shorter than this part of the whole could not be seen.
LEAST_WIDTH: Final = 0.6


def breakdown(sum_: LeverageCalculation) -> dict[str, Any]:
    """Return the bars and the sum of one trade."""
    known = [value for _, value in constraints(sum_) if value is not None]
    longest = max([*known, sum_.final_leverage])
    return {
        "sum": sum_,
        "bars": [bar(sum_, name, value, longest) for name, value in constraints(sum_)],
        "final_at": place(sum_.final_leverage, longest),
        "steps": list(steps(sum_)),
    }


def constraints(sum_: LeverageCalculation) -> Iterator[tuple[str, Decimal | None]]:
    for name in CONSTRAINTS:
        yield name, getattr(sum_, f"{name}_constraint_leverage")


def place(value: Decimal, longest: Decimal) -> str:
    """Return how far along the axis a leverage lies, in percent."""
    return f"{float(value / longest) * 100:.2f}" if longest > 0 else "0"


def bar(
    sum_: LeverageCalculation, name: str, value: Decimal | None, longest: Decimal
) -> dict[str, Any]:
    """Return one constraint: what it looked at, what it allows, and whether it ruled."""
    reason = str(sum_.reasons.get(name, "")) if isinstance(sum_.reasons, dict) else ""
    column, template = INPUTS[name]
    looked_at = getattr(sum_, column)
    binding = sum_.binding_constraint == name
    return {
        "name": name,
        "title": TITLES[name],
        "meaning": MEANINGS[name],
        "looked_at": template.format(rounded(looked_at)) if looked_at is not None else "",
        "value": shown.times(value, reason or NOT_TOLD),
        "reason": display.visible(reason) if value is None else "",
        "known": value is not None,
        "width": max(float(place(value, longest)), LEAST_WIDTH) if value is not None else 0,
        "binding": binding,
    }


def rounded(value: Decimal) -> str:
    """Return a figure to two places, without padding zeros."""
    shortened = (
        value.quantize(Decimal("0.01")) if abs(value) >= 1 else value.quantize(Decimal("0.0001"))
    )
    return display.grouped(shortened).replace("-", shown.MINUS)


def steps(sum_: LeverageCalculation) -> Iterator[dict[str, Any]]:
    """Yield the sum from the tightest constraint to the leverage that was taken."""
    binding = TITLES.get(sum_.binding_constraint, "")
    under = f"{binding} rules" if binding else "none is tight"
    yield step("", "Tightest constraint", sum_.min_constraint_leverage, under)
    trend = sum_.trend_strength.replace("_", " ")
    reasons = sum_.reasons if isinstance(sum_.reasons, dict) else {}
    yield step("×", "Trend", sum_.trend_multiplier, trend or str(reasons.get("trend", "not known")))
    yield step("×", "Strategy", sum_.risk_multiplier, "its risk multiplier")
    margin = sum_.safety_margin_pct
    yield {
        "sign": shown.MINUS,
        "title": "Safety margin",
        "value": display.empty(NOT_TOLD)
        if margin is None
        else display.figure(f"{rounded(margin)} %"),
        "under": str(reasons.get("safety_margin", "taken off")),
    }
    yield step("=", "Scaled", sum_.scaled_leverage, "before floor and ceiling")
    held = {
        "floor": "lifted to the floor",
        "ceiling": "held by the ceiling",
    }.get(sum_.bounded_by, "inside both")
    low, high = (
        "?" if each is None else f"{rounded(each)}×" for each in (sum_.floor, sum_.ceiling)
    )
    yield {
        "sign": "→",
        "title": "Floor to ceiling",
        "value": display.figure(f"{low} – {high}"),
        "under": held,
    }
    yield step("=", "Final leverage", sum_.final_leverage, "") | {"final": True}


def step(sign: str, title: str, value: Decimal | None, under: str) -> dict[str, Any]:
    # A multiplier and a leverage read alike; only the sign before tells them apart.
    figure = display.empty(NOT_TOLD)
    if value is not None:
        times = "×" if sign in ("", "=") else ""
        figure = display.figure(f"{rounded(value)}{times}", display.grouped(value))
    return {"sign": sign, "title": title, "value": figure, "under": display.visible(under)}


def overview(counts: Mapping[str, int]) -> dict[str, Any]:
    """Return how often each constraint ruled, and how often floor or ceiling had the last word.

    ``counts`` by constraint, by "floor" and "ceiling", and of "all" trades.
    """
    whole = counts["all"]
    most = max([counts[name] for name in CONSTRAINTS] + [1])
    named = sum(counts[name] for name in CONSTRAINTS)
    return {
        "all": whole,
        "lines": [
            {
                "title": TITLES[name],
                "meaning": MEANINGS[name],
                "count": counts[name],
                "share": f"{counts[name] / whole * 100:.0f} %" if whole else "",
                "width": max(counts[name] / most * 100, LEAST_WIDTH) if counts[name] else 0,
            }
            for name in CONSTRAINTS
        ],
        "none": whole - named,
        "floor": counts["floor"],
        "ceiling": counts["ceiling"],
    }
