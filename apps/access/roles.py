"""The roles of staff, and what each may do with every table: one line per model.

A model of ours without a line stops ``ensure_roles`` and the contract tests by its name.
The tables of Django and of its companions that staff need are listed at the end.
"""

from collections.abc import Iterator
from enum import StrEnum

from django.apps import apps


class Role(StrEnum):
    """Groups of staff that the code keeps up to date."""

    VIEWER = "Viewer"
    OPERATOR = "Operator"
    RISK = "Risk"
    ADMINISTRATOR = "Administrator"


ACTIONS = {"v": "view", "a": "add", "c": "change", "d": "delete", "r": "read"}

# v view, a add, c change, d delete. Actions of admin pages (acknowledge, pause) need change.
# r read: the private texts of a row that may be viewed, a permission of its own in Meta.
TABLE: dict[str, tuple[str, str, str, str]] = {
    #                                 Viewer, Operator, Risk, Administrator
    "access.apikey": ("v", "v", "v", "vac"),
    "access.idempotencyrecord": ("", "", "", ""),
    "logs.systemlog": ("v", "v", "v", "v"),
    "logs.tradingevent": ("v", "v", "v", "v"),
    "logs.performancelog": ("v", "v", "v", "v"),
    "logs.errorlog": ("v", "v", "v", "v"),
    "logs.useractionlog": ("", "", "v", "v"),
    "logs.recentactivity": ("v", "v", "v", "v"),
    "logs.errorgroup": ("v", "vc", "v", "vc"),
    "logs.notification": ("v", "vc", "vc", "vc"),
    "executions.execution": ("v", "vc", "vc", "vcd"),
    "executions.executionstep": ("v", "v", "v", "v"),
    "executions.watch": ("", "", "", ""),
    "market.instrument": ("v", "vac", "v", "vacd"),
    "market.feed": ("v", "vac", "v", "vacd"),
    "market.candle": ("v", "vac", "v", "vacd"),
    "market.candleseries": ("v", "vc", "v", "vc"),
    "market.candleday": ("v", "v", "v", "v"),
    "market.candledefect": ("v", "vc", "v", "vc"),
    "market.featureversion": ("v", "vc", "v", "vac"),
    "market.featureseries": ("v", "vc", "v", "vc"),
    "market.featurevector": ("v", "v", "v", "v"),
    "market.featurecoverage": ("v", "vc", "v", "vc"),
    "market.onchainmetric": ("v", "v", "v", "v"),
    "market.sentimentscore": ("v", "v", "v", "v"),
    "market.marketregime": ("v", "v", "v", "v"),
    "market.apicacheentry": ("v", "vc", "v", "vc"),
    "market.cacherule": ("v", "vc", "v", "vacd"),
    "market.cacheinvalidation": ("v", "v", "v", "v"),
    "market.cachedailystats": ("v", "v", "v", "v"),
    "analysis.strategyconfiguration": ("v", "vac", "v", "vacd"),
    "analysis.analysis": ("v", "va", "v", "vad"),
    "analysis.backtestmetric": ("v", "v", "v", "v"),
    "analysis.leveragecalculation": ("v", "v", "v", "v"),
    "analysis.backtestresult": ("v", "v", "v", "vd"),
    "analysis.signalperformance": ("v", "v", "v", "v"),
    "analysis.mlmodel": ("v", "vc", "v", "vcd"),
    "analysis.modelstatuschange": ("v", "v", "v", "v"),
    "analysis.prediction": ("v", "v", "v", "v"),
    "analysis.modelsignal": ("v", "v", "v", "v"),
    "analysis.modeloutcome": ("v", "v", "v", "v"),
    "analysis.featureimportance": ("v", "v", "v", "v"),
    "alerts.alert": ("v", "vc", "v", "vcd"),
    "alerts.trackedprice": ("v", "v", "v", "v"),
    "alerts.alertperformance": ("v", "v", "v", "v"),
    "bots.botinstance": ("v", "vac", "vc", "vacd"),
    "bots.botstate": ("v", "v", "v", "vd"),
    "bots.botperformance": ("v", "v", "v", "v"),
    "bots.departedtrade": ("", "", "", ""),
    "bots.carriedresult": ("v", "v", "v", "v"),
    "bots.trade": ("v", "vc", "vc", "vcd"),
    "bots.order": ("v", "vc", "vc", "vcd"),
    "bots.fill": ("v", "v", "v", "v"),
    "bots.position": ("v", "v", "v", "v"),
    "bots.lottrade": ("v", "v", "v", "v"),
    "bots.tradinglimit": ("v", "v", "vac", "vacd"),
    "bots.paperportfolio": ("v", "vac", "vac", "vacd"),
    "bots.papertrade": ("v", "v", "v", "v"),
    "bots.paperperformance": ("v", "v", "v", "v"),
    "agents.tradingagent": ("v", "vac", "vc", "vacd"),
    "agents.llmprice": ("v", "vac", "v", "vacd"),
    "agents.llmcall": ("v", "v", "vr", "vr"),
    "agents.agentdecision": ("v", "v", "v", "v"),
    "agents.decisionoutcome": ("v", "v", "v", "v"),
    "agents.agenttrade": ("v", "vc", "vc", "vc"),
    "agents.agentperformance": ("v", "v", "v", "v"),
    "agents.agentstanding": ("v", "v", "v", "v"),
    "retention.retentionpolicy": ("v", "v", "v", "vc"),
    "retention.policychange": ("v", "v", "v", "v"),
    "retention.archive": ("v", "v", "v", "vc"),
    # Not ours
    "auth.user": ("", "", "", "vacd"),
    "auth.group": ("", "", "", "vacd"),
    "admin.logentry": ("", "", "v", "v"),
    "axes.accessattempt": ("", "", "", "vd"),
    "axes.accesslog": ("", "", "", "v"),
    "django_celery_beat.periodictask": ("v", "v", "v", "vc"),
}


def allowed(model: str, role: Role) -> set[str]:
    """Return the actions (view, add, change, delete, read) of a role on ``app.model``."""
    letters = TABLE[model][list(Role).index(role)]
    return {ACTIONS[letter] for letter in letters}


def permissions_of(role: Role) -> Iterator[tuple[str, str]]:
    """Yield (app label, codename) of everything a role may do."""
    for model in TABLE:
        app_label, name = model.split(".")
        for action in sorted(allowed(model, role)):
            yield app_label, f"{action}_{name}"


def models_without_line() -> list[str]:
    """Return our models, as ``app.model``, that the table forgot."""
    ours = (
        model._meta.label_lower
        for model in apps.get_models()
        if model.__module__.startswith("apps.") and not model._meta.proxy
    )
    return sorted(set(ours) - set(TABLE))


def lines_without_model() -> list[str]:
    """Return the lines of the table whose model does not exist."""
    return sorted(set(TABLE) - {model._meta.label_lower for model in apps.get_models()})
