"""Decisions as lines of the tables on other pages, and the rules that they broke in words."""

from typing import Any

from django.utils.safestring import SafeString

from apps.agents.admin import shown
from apps.agents.admin.outcomes import change, outcome
from apps.agents.choices import Action, DecisionStatus
from apps.agents.models import AgentDecision
from apps.shared import display
from apps.shared.admin.figures import money

OPENINGS = (Action.OPEN_LONG, Action.OPEN_SHORT)
NOT_TOLD = "It was not told."
NOT_AN_OPENING = "It opens nothing."
NOT_READ = "It could not be read."


def sentences(violations: Any) -> list[str]:
    """Return the rules that a decision broke; whatever is stored, as sentences."""
    if not isinstance(violations, list):
        return []
    return [
        str(each.get("message") or each.get("rule") or "A rule without a name.")
        if isinstance(each, dict)
        else str(each)
        for each in violations
    ]


def action(value: str) -> SafeString:
    return shown.badge(Action, value) if value else display.empty(NOT_READ)


def status(decision: AgentDecision) -> SafeString:
    """Return what became of a decision at the door; the rules it broke on hover."""
    why = "" if "violations" in decision.get_deferred_fields() else " ".join(
        display.visible(each) for each in sentences(decision.violations)
    )  # fmt: skip
    return shown.badge(DecisionStatus, decision.status, why[:1_000])


def coin(decision: AgentDecision) -> SafeString:
    return display.short_text(decision.coin, "It names none that could be read.")


def decision_row(decision: AgentDecision) -> dict[str, Any]:
    """Return one line of a table of decisions, its outcome and agent read with it."""
    found = getattr(decision, "outcome", None)
    opens = decision.action in OPENINGS
    rules = sentences(decision.violations)
    return {
        "key": decision.pk,
        "link": shown.link(AgentDecision, decision.pk, decision.coin or "no coin"),
        "action": action(decision.action),
        "status": status(decision),
        "size": money(decision.size_usd if opens else None,
                      NOT_TOLD if opens else NOT_AN_OPENING, decision.agent.quote_currency),
        "leverage": display.times(decision.leverage, NOT_TOLD),
        "confidence": display.share(decision.confidence, NOT_TOLD),
        "outcome": outcome(found),
        "change": change(getattr(found, "change_24h", None), found),
        "said": display.short_text(
            " ".join(rules) or decision.error_message or decision.reasoning, "It gives no reason."
        ),
    }  # fmt: skip
