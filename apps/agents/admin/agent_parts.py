"""What belongs to an agent: its decisions and what came of them, its trades, what went wrong."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from django.db import connection
from django.db.models.functions import Left
from django.utils.safestring import SafeString

from apps.agents.admin import shown
from apps.agents.admin.decision_rows import action, coin, sentences
from apps.agents.admin.outcomes import CHANGES, change, outcome
from apps.agents.admin.trade_rows import NO_MARK, NOT_ENTERED, NOT_TOLD, held, side
from apps.agents.choices import DecisionStatus
from apps.agents.models import AgentDecision, AgentTrade, LLMCall, TradingAgent
from apps.shared import display
from apps.shared.admin.figures import money, signed_money, size

MOST_DECISIONS, MOST_OPEN = 10, 50
WEEK: Final = timedelta(days=7)
# So many of the newest decisions are counted, and so many rejected ones read for their rules.
MOST_COUNTED, MOST_READ, MOST_RULES = 20_000, 500, 8
# From the index alone: it holds the status beside agent and time.
COUNTED: Final = """
SELECT status, count(*) FROM (
    SELECT status FROM agent_decisions WHERE agent_id = %(agent)s AND timestamp >= %(since)s
    ORDER BY timestamp DESC LIMIT %(most)s
) AS newest GROUP BY status
"""
LONG_TEXTS: Final = ("reasoning", "error_message", "chain_of_thought", "raw")
CUT: Final = 300
# What went wrong, and what it means.
WRONG: Final = {
    DecisionStatus.PARSING_ERROR: ("Unreadable", "The answer, or what it says of a coin, could not"
                                   " be read."),
    DecisionStatus.REJECTED: ("Rejected", "It broke a rule: a limit of the agent, or what an order"
                              " must be."),
    DecisionStatus.FAILED: ("Failed", "There was no answer, or it could not be carried out."),
}  # fmt: skip


class AgentParts:
    """The parts of an agent's page, each read once when it is asked for."""

    def __init__(self, agent: TradingAgent, *, now: datetime) -> None:
        self.agent = agent
        self.now = now
        self.currency = agent.quote_currency

    @property
    def midnight(self) -> datetime:
        return self.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def age(self, moment: datetime | None, reason: str = "Never.") -> SafeString:
        return display.age(moment, reason, now=self.now)

    # --- what it decides ------------------------------------------------------------------

    @cached_property
    def decision_rows(self) -> list[AgentDecision]:
        rows = AgentDecision.objects.filter(agent=self.agent).select_related("outcome")
        cut = {f"cut_{name}": Left(name, CUT) for name in ("reasoning", "error_message")}
        newest = rows.defer(*LONG_TEXTS).annotate(**cut)
        return list(newest.order_by("-timestamp", "-id")[:MOST_DECISIONS])

    @cached_property
    def decisions(self) -> list[dict[str, Any]]:
        return [decision_row(row, now=self.now) for row in self.decision_rows]

    @property
    def last_decided(self) -> SafeString:
        newest = self.decision_rows[0].timestamp if self.decision_rows else None
        return self.age(newest, "It has decided nothing yet.")

    # --- what went wrong ------------------------------------------------------------------

    @cached_property
    def counts(self) -> dict[str, int]:
        """Return how its newest decisions of a week came out."""
        asked: dict[str, Any] = {
            "agent": self.agent.pk,
            "since": self.now - WEEK,
            "most": MOST_COUNTED,
        }
        with connection.cursor() as cursor:
            cursor.execute(COUNTED, asked)
            return dict(cursor.fetchall())

    @property
    def counted(self) -> int:
        return sum(self.counts.values())

    @property
    def counted_words(self) -> str:
        if self.counted == MOST_COUNTED:
            return f"the newest {MOST_COUNTED:,} of 7 days"
        return f"{self.counted:,} decision{'' if self.counted == 1 else 's'} in 7 days"

    @property
    def contamination(self) -> list[dict[str, Any]]:
        """Return how much of a week was not the model's doing, each kind with its share."""
        return [
            {
                "label": label,
                "meaning": meaning,
                "n": self.counts.get(status, 0),
                "share": f"{self.counts.get(status, 0) / (self.counted or 1) * 100:.1f}",
                "words": f"{self.counts.get(status, 0) / (self.counted or 1) * 100:.1f} %",
                "status": status.value,
            }
            for status, (label, meaning) in WRONG.items()
        ]

    @cached_property
    def rules(self) -> list[dict[str, Any]]:
        """Return the rules that were broken most in the week, by its newest rejected decisions."""
        if not self.counts.get(DecisionStatus.REJECTED):
            return []
        rejected = AgentDecision.objects.filter(
            agent=self.agent, timestamp__gte=self.now - WEEK, status=DecisionStatus.REJECTED
        )
        newest = rejected.order_by("-timestamp").values_list("violations", flat=True)[:MOST_READ]
        broken = Counter(rule for violations in newest for rule in set(rules_of(violations)))
        return [{"rule": rule, "n": n} for rule, n in broken.most_common(MOST_RULES)]

    # --- what it holds --------------------------------------------------------------------

    @cached_property
    def open_rows(self) -> list[AgentTrade]:
        rows = AgentTrade.objects.open().filter(agent=self.agent).defer("notes", "extra_metadata")
        return list(rows.order_by("-created_at", "-id")[: MOST_OPEN + 1])

    @cached_property
    def open_trades(self) -> list[dict[str, Any]]:
        return [trade_row(row, now=self.now) for row in self.open_rows[:MOST_OPEN]]

    @property
    def open_count(self) -> str:
        return f"{MOST_OPEN}+" if len(self.open_rows) > MOST_OPEN else str(len(self.open_rows))

    # --- whom it asks ---------------------------------------------------------------------

    @cached_property
    def last_call(self) -> dict[str, Any] | None:
        """Return when its model was asked last, how long it took and what it cost."""
        rows = LLMCall.objects.filter(agent=self.agent).order_by("-timestamp", "-pk")
        row = rows.only("timestamp", "latency_ms", "cost", "status").first()
        if row is None:
            return None
        return {
            "when": self.age(row.timestamp),
            "took": display.empty("It was not told.")
            if row.latency_ms is None
            else display.milliseconds(Decimal(row.latency_ms)),
            "cost": shown.cost(row.cost, "Nothing tells what it cost."),
            "url": shown.page_of(LLMCall, row.pk),
        }


def rules_of(violations: Any) -> Iterator[str]:
    """Yield the names of the rules in what was stored of a rejected decision."""
    for each in violations if isinstance(violations, list) else []:
        if isinstance(each, dict) and each.get("rule"):
            yield str(each["rule"])


def decision_row(row: Any, *, now: datetime) -> dict[str, Any]:
    """Return a decision as a line: what was decided, whether it was accepted, what came next."""
    found = getattr(row, "outcome", None)
    wrong = " ".join(sentences(row.violations))[:CUT] or row.cut_error_message
    url, when = shown.page_of(AgentDecision, row.pk), display.age(row.timestamp, now=now)
    return {
        "key": row.pk,
        "link": display.link(url, when) if url else when,
        "coin": coin(row),
        "action": action(row.action),
        "status": shown.badge(DecisionStatus, row.status, display.visible(wrong)),
        "confidence": shown.share(row.confidence, reason="None was told."),
        "size": money(row.size_usd, "None was told."),
        "changes": [change(getattr(found, name, None), found) for name in CHANGES],
        "outcome": outcome(found),
        "why": display.short_text(row.cut_reasoning, "It gave no reason."),
    }


def trade_row(row: AgentTrade, *, now: datetime) -> dict[str, Any]:
    """Return an open trade as a line: what it would come to now, and where it would end."""
    return {
        "key": row.pk,
        "link": shown.id_link(AgentTrade, row.pk, ""),
        "coin": display.text(row.coin),
        "side": side(row.side),
        "size": size(row.size),
        "leverage": display.times(row.leverage, NOT_TOLD),
        "entry": size(row.entry_price, NOT_ENTERED),
        "mark": size(row.mark_price, NO_MARK),
        "marked": display.age(row.marked_at, now=now) if row.marked_at else "",
        "unrealized": signed_money(row.unrealized_pnl, NO_MARK),
        "liquidation": size(row.liquidation_price, "It takes an entry and a leverage to tell."),
        "held": held(row, now),
    }
