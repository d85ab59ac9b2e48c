"""How agents and what is said of them look: states, shares, intervals, links."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Model, TextChoices
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.agents.choices import COLORS, AgentMode, AgentStatus, Verdict
from apps.agents.domain.costs import BudgetState, budget_state, share_of_budget
from apps.shared import display
from apps.shared.admin.figures import (
    MINUS,
    filled_bar,
    money,
)
from apps.shared.fields import plain_text

# Percents from there on are told in few digits.
LARGEST = Decimal(1_000_000)
# Versions of prompts are often hashes: their beginning tells them apart.
LONGEST_VERSION, START_OF_VERSION = 24, 16
# The first part of a UUID tells apart those that stand on one page.
BEGINNING = 8
NOT_RANKED = "The league has not been computed since it was added: it is, every 15 minutes."
NO_BUDGET = "No budget is set."
MODES = {
    AgentMode.LIVE: "Real money.",
    AgentMode.PAPER: "Pretended money.",
}
STATUSES = {
    AgentStatus.ACTIVE: "What it decides is accepted where it breaks no rule.",
    AgentStatus.PAUSED: "Its decisions are kept, but none of them opens a position.",
    AgentStatus.STOPPED: "Its decisions are kept, but none of them opens a position.",
}


def badge(kind: type[TextChoices], value: str, why: str = "") -> SafeString:
    """Return a state in its color."""
    found = kind(value)
    return display.badge(str(found.label), COLORS.get(found, "default"), why)


def mode(value: str) -> SafeString:
    return badge(AgentMode, value, MODES[AgentMode(value)])


def status(value: str) -> SafeString:
    return badge(AgentStatus, value, STATUSES[AgentStatus(value)])


def verdict(standing: Any) -> SafeString:
    """Return what the league says of an agent, its reason on hover."""
    if standing is None:
        return display.empty(NOT_RANKED)
    return badge(Verdict, standing.verdict, display.visible(standing.verdict_reason))


def reason_of(row: Any, name: str, missing: str = "It is not defined.") -> str:
    """Return why a figure of a derived row is empty, as the service noted it."""
    reasons = row.reasons if isinstance(getattr(row, "reasons", None), Mapping) else {}
    return str(reasons.get(name) or missing)


# --- Links --------------------------------------------------------------------------------


def page_of(model: type[Model], key: Any) -> str:
    """Return the address of the page of a thing; "" where it has none."""
    if model not in admin.site._registry:
        return ""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    return reverse(name, args=[quote(key)])


def list_of(model: type[Model]) -> str:
    """Return the address of the list of a model; "" where it has none."""
    if model not in admin.site._registry:
        return ""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def link(model: type[Model], key: Any, words: Any) -> SafeString:
    """Return a link to a thing, its words alone where it has no page."""
    url, text = page_of(model, key), display.short_text(words)
    return display.link(url, text) if url else text


def id_link(model: type[Model], key: Any, reason: str) -> SafeString:
    """Return a link to a thing by the beginning of its UUID, all of it on hover."""
    if key is None:
        return display.empty(reason)
    words = format_html('<span title="{}">{}</span>', key, str(key)[:BEGINNING])
    url = page_of(model, key)
    return display.link(url, words) if url else words


def bot_url(request: HttpRequest, bot_id: str) -> str:
    """Return the page of the bot that an agent is, "" where it has none or may not be seen.

    Which app it is of is no business of agents: they know the name of the page alone.
    """
    if not bot_id or not request.user.has_perm("bots.view_botinstance"):
        return ""
    try:
        return reverse("admin:bots_botinstance_change", args=[quote(bot_id)])
    except NoReverseMatch:
        return ""


# --- Shares and intervals -----------------------------------------------------------------


def percent_words(share: Decimal, places: int = 0) -> str:
    """Return a share between 0 and 1 as percent."""
    return display.pct_words(share * 100, signed=False, places=places)


def share(
    value: Decimal | None,
    low: Decimal | None = None,
    high: Decimal | None = None,
    reason: str = "",
) -> SafeString:
    """Return a share between 0 and 1 as percent, with its 95 % interval beside it."""
    if value is None:
        return display.empty(reason, figure=True)
    words = percent_words(value)
    if low is None or high is None:
        return display.figure(words, f"{plain_text(value)} as a share")
    interval = f"{percent_words(low)[:-2]}–{percent_words(high)}"
    return format_html(
        '<span class="b-num b-tip" title="95 % interval: {}">{} <span class="b-quiet">'
        "({})</span></span>",
        interval,
        words,
        interval[:-2],
    )


def points(value: Decimal | None, reason: str = "", title: str = "") -> SafeString:
    """Return a difference between two returns, in points of percent."""
    if value is None:
        return display.empty(reason, figure=True)
    large = value.copy_abs() >= LARGEST
    words = few_digits(value) if large else display.pct_words(value, places=1)[:-2]
    tone = {"+": "b-gain", MINUS: "b-loss"}.get(words[0], "")
    return format_html('<span class="b-num {}" title="{}">{}</span>', tone, title, words)


SPENDS = {
    BudgetState.OK: ("", "info"),
    BudgetState.WARNING: ("near", "warning"),
    BudgetState.OVER: ("over budget", "danger"),
}


def spend(spent: Decimal, budget: Decimal | None) -> SafeString:
    """Return what was spent of a budget as a bar, red where it is more than that."""
    if budget is None:
        return display.empty(NO_BUDGET)
    state = budget_state(spent, budget)
    used = share_of_budget(spent, budget)
    if used is None or used >= LARGEST:
        # So many times its budget that the figure says nothing.
        return filled_bar(Decimal(1), SPENDS[state][0], SPENDS[state][1], words="")
    return filled_bar(used, *SPENDS[state])


def cost(value: Decimal | None, reason: str = "") -> SafeString:
    """Return what models cost; it is told in US dollars whatever the agent trades in."""
    return money(value, reason, "USD")


def coins(value: Any) -> SafeString:
    """Return the coins of an agent, on hover the symbols; whatever is stored is text."""
    if not isinstance(value, Mapping) or not value:
        return display.empty("It trades no coin.")
    return format_html_join(
        ", ",
        '<span title="priced by {}">{}</span>',
        (
            (display.visible(str(symbol)), display.visible(str(coin)))
            for coin, symbol in value.items()
        ),
    )


# --- Returns and versions -----------------------------------------------------------------


def percent_return(value: Decimal | None, reason: str = "") -> SafeString:
    """Return a return in percent, gain and loss told apart; a wall of digits in few."""
    if value is None or value.copy_abs() < LARGEST:
        return display.signed_pct(value, reason)
    words = f"{few_digits(value)} %"
    tone = "b-loss" if value < 0 else "b-gain"
    return format_html(
        '<span class="b-num {}" title="{} %">{}</span>', tone, plain_text(value), words
    )


def few_digits(value: Decimal) -> str:
    """Return a number that is too large to be read as digits.

    >>> few_digits(Decimal("-999999999999.99"))
    '−1.0e+12'
    """
    return f"{value:+.1e}".replace("-", MINUS)


def interval_words(low: Decimal, high: Decimal) -> str:
    """Return an interval of returns: "−1.2 … +4.0 %"."""
    ends = [
        few_digits(end) if end.copy_abs() >= LARGEST else display.pct_words(end, places=1)[:-2]
        for end in (low, high)
    ]
    return f"{ends[0]} … {ends[1]} %"


def benchmark(agent: Any) -> tuple[str, str]:
    """Return the coin that holding is measured by, and the symbol that prices it."""
    held = agent.coins if isinstance(agent.coins, Mapping) else {}
    coin = agent.benchmark_coin or next(iter(held), "")
    return str(coin), str(held.get(coin, ""))


def version(name: str, reason: str = "It is of all versions together.") -> SafeString:
    """Return the version of a prompt; of a long one the beginning, all of it on hover."""
    if len(name) <= LONGEST_VERSION:
        return display.text(name, reason)
    whole, start = display.visible(name), display.visible(name[:START_OF_VERSION])
    return format_html('<span title="{}">{}…</span>', whole, start)
