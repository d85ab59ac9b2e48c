"""What the page of one decision tells: what was decided, on what, and what came of it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.db.models import Q
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.agents.admin import shown
from apps.agents.admin.decision_after import Aftermath
from apps.agents.admin.decision_charts import DecisionPicture
from apps.agents.admin.decision_rows import (
    NOT_AN_OPENING,
    NOT_TOLD,
    OPENINGS,
    decision_row,
    sentences,
)
from apps.agents.admin.texts import TEXTS, Reading, text_url
from apps.agents.admin.trade_rows import trade_row
from apps.agents.models import AgentDecision, AgentTrade, DecisionOutcome, LLMCall
from apps.shared import display
from apps.shared.admin.figures import WIDE, money, size

MOST_SIBLINGS, MOST_TRADES = 60, 20
# Among so many of the agent's decisions before and after is looked for the nearest of its coin.
NEAR_BY = 60
HUNDRED = Decimal(100)
NO_CALL = "The decision was told alone: no call of a model came with it."


class DecisionStory:
    """Everything the template of a decision's page asks for, each read once."""

    def __init__(self, decision: AgentDecision, *, may_read: bool, now: datetime) -> None:
        self.decision = decision
        self.may_read = may_read
        self.now = now
        self.currency = decision.agent.quote_currency
        self.outcome: DecisionOutcome | None = getattr(decision, "outcome", None)
        self.opens = decision.action in OPENINGS

    @property
    def after(self) -> Aftermath:
        return Aftermath(self.outcome, moment=self.decision.timestamp, now=self.now)

    @cached_property
    def picture(self) -> DecisionPicture:
        return DecisionPicture(self.decision, self.outcome, now=self.now)

    # --- what was decided -----------------------------------------------------------------

    @property
    def rules(self) -> list[str]:
        """Return every rule that it broke, as a sentence."""
        return sentences(self.decision.violations)

    @property
    def error(self) -> str:
        """Return what went wrong, where the rules do not say it already."""
        told = self.decision.error_message
        rules = " ".join(self.rules)
        return "" if rules and (told in rules or rules in told) else told

    @property
    def figures(self) -> Iterator[dict[str, Any]]:
        """Yield what was asked for, with what it means beside it."""
        decision, none = self.decision, NOT_AN_OPENING if not self.opens else NOT_TOLD
        asked = (lambda value: value) if self.opens else (lambda value: value or None)
        yield {
            "label": "Size",
            "tip": "Value of the whole position, and what it ties up: size / leverage.",
            "value": money(asked(decision.size_usd), none, self.currency),
            "under": self.margin,
        }
        yield {
            "label": "Entry",
            "tip": "The price that stop and target were held against: as told, else the market's.",
            "value": size(decision.entry_price, "No price was told, and none was known then."),
            "under": "",
        }
        for label, value in (
            ("Stop", decision.stop_loss_price),
            ("Target", decision.take_profit_price),
        ):
            yield {
                "label": label,
                "tip": "In percent of the entry.",
                "value": size(asked(value), none),
                "under": self.from_entry(value),
            }
        yield {
            "label": "Confidence",
            "tip": "The model's own probability.",
            "value": display.share(decision.confidence, NOT_TOLD),
            "under": "",
        }
        yield {
            "label": "Account then",
            "tip": "What size and margin were held against.",
            "value": money(decision.account_value, "It was not told, nor known.", self.currency),
            "under": self.of_account,
        }

    @property
    def margin(self) -> SafeString | str:
        decision = self.decision
        if not decision.size_usd or not decision.leverage or decision.leverage < 0:
            return ""
        tied = WIDE.divide(decision.size_usd, decision.leverage)
        return format_html("ties up {} at {}", money(tied, "", self.currency),
                           display.times(decision.leverage))  # fmt: skip

    def from_entry(self, price: Decimal | None) -> SafeString | str:
        """Return how far a price is from the entry."""
        entry = self.decision.entry_price
        if not price or not entry:
            return ""
        moved = WIDE.multiply(WIDE.divide(WIDE.subtract(price, entry), entry), HUNDRED)
        return display.figure(f"{display.pct_words(moved)} from entry")

    @property
    def of_account(self) -> SafeString:
        decision = self.decision
        free = display.empty("It was not told, nor known.")
        if decision.withdrawable is not None:
            free = money(decision.withdrawable, "", self.currency)
        if not decision.size_usd or not decision.account_value:
            return format_html("{} free", free)
        part = WIDE.multiply(WIDE.divide(decision.size_usd, decision.account_value), HUNDRED)
        words = display.pct_words(part, signed=False, places=1)
        return format_html("{} of it asked for, {} free", display.figure(words), free)

    @cached_property
    def held(self) -> SafeString:
        """Return what the agent held as it told, coin by coin."""
        call = self.decision.call
        told = call.positions if call is not None else None
        if not isinstance(told, dict):
            return display.empty("It was not told.")
        if not told:
            return format_html("{}", "Nothing.")
        words = ", ".join(f"{coin} {side}" for coin, side in sorted(told.items()))
        return display.text(words)

    # --- what it led to -------------------------------------------------------------------

    @cached_property
    def trades(self) -> list[dict[str, Any]]:
        """Return the trades that it opened or closed."""
        pk = self.decision.pk
        asked = AgentTrade.objects.filter(Q(decision=pk) | Q(close_decision=pk))
        rows = asked.select_related("agent").defer("notes", "extra_metadata")
        return [
            trade_row(trade, now=self.now)
            | {"how": "Opened" if trade.decision_id == pk else "Closed"}
            for trade in rows.order_by("created_at", "id")[:MOST_TRADES]
        ]

    @cached_property
    def siblings(self) -> list[dict[str, Any]]:
        """Return all decisions of the same call, itself among them, in their places."""
        call = self.decision.call_id
        if call is None:
            return []
        rows = AgentDecision.objects.filter(call=call).select_related("outcome", "agent")
        rows = rows.defer("chain_of_thought", "raw").order_by("place", "id")[:MOST_SIBLINGS]
        return [decision_row(row) | {"is_this": row.pk == self.decision.pk} for row in rows]

    @property
    def call_link(self) -> SafeString:
        call = self.decision.call
        if call is None:
            return display.empty(NO_CALL)
        return display.link(shown.page_of(LLMCall, call.pk), "The call, its tokens and its cost")

    @cached_property
    def neighbors(self) -> list[dict[str, Any]]:
        """Return the decisions of the agent before and after, of the same coin where near by."""
        found = [("Decided before", "prev", self.nearest(later=False)),
                 ("Decided after", "next", self.nearest(later=True))]  # fmt: skip
        return [
            {
                "title": title,
                "words": display.visible(
                    f"{row.get_action_display() or 'Unreadable'} {row.coin}".strip()
                ),
                "rel": rel,
                "url": shown.page_of(AgentDecision, row.pk),
                "at": row.timestamp,
            }
            for title, rel, row in found
            if row is not None
        ]

    def nearest(self, *, later: bool) -> AgentDecision | None:
        """Return the next decision of the agent in time; of the same coin, where one is near."""
        decision = self.decision
        side = "gt" if later else "lt"
        rows = (
            AgentDecision.objects.filter(agent=decision.agent_id)
            .filter(**{f"timestamp__{side}": decision.timestamp})
            .only("id", "timestamp", "action", "coin")
            .order_by(*(("timestamp", "id") if later else ("-timestamp", "-id")))[:NEAR_BY]
        )
        near = list(rows)
        same = (row for row in near if row.coin == decision.coin)
        return next(same, near[0] if near else None)

    # --- prompt and answer ----------------------------------------------------------------

    @cached_property
    def texts(self) -> Sequence[Reading]:
        """Return answer and prompt for those who may read them; nobody else's page asks."""
        call = self.decision.call
        if not self.may_read or call is None:
            return []
        read = LLMCall.objects.filter(pk=call.pk).values_list(*TEXTS).first()
        coins = [str(coin) for coin in self.decision.agent.coins or []]
        piece = self.decision.raw
        return [
            Reading(
                name,
                text,
                coin=self.decision.coin,
                coins=coins,
                piece=piece if name == "answer" else "",
                whole_url=text_url(call.pk, name),
            )
            for name, text in zip(TEXTS, read or ("", ""), strict=True)
            if text
        ]

    @property
    def no_texts(self) -> str:
        if self.decision.call is None:
            return NO_CALL
        return "The call came without its prompt and its answer."

    @property
    def document(self) -> SafeString | None:
        """Return what was read of this coin, as it was told."""
        if not self.may_read or self.decision.chain_of_thought is None:
            return None
        return display.raw_json(self.decision.chain_of_thought, "It is empty.")

    @property
    def broken(self) -> SafeString | None:
        """Return the piece that was not readable."""
        if not self.may_read or not self.decision.raw:
            return None
        return display.block(self.decision.raw)
