"""What happened after a decision, in the words of its page: checkpoints, excursions, touch."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.agents.admin.outcomes import change, why_empty
from apps.agents.choices import COLORS, FirstTouch, OutcomeStatus, Side
from apps.agents.domain.outcomes import HOURS, selling
from apps.agents.models import DecisionOutcome
from apps.shared import display
from apps.shared.admin.figures import size


class Aftermath:
    """What the price did after a decision: in the direction that it took, else both ways."""

    def __init__(self, outcome: DecisionOutcome | None, *, moment: datetime, now: datetime) -> None:
        self.outcome = outcome
        self.moment = moment
        self.now = now

    @property
    def is_judged(self) -> bool:
        return self.outcome is not None and self.outcome.status != OutcomeStatus.NO_CLAIM

    @property
    def takes_side(self) -> bool:
        return bool(self.outcome and self.outcome.direction)

    @property
    def ways(self) -> list[str]:
        """Return the heads of the columns of changes."""
        if self.outcome is not None and self.outcome.direction:
            return [f"As a {Side(self.outcome.direction).label.lower()}"]
        return ["Buying", "Selling"]

    @property
    def checkpoints(self) -> list[dict[str, Any]]:
        found = self.outcome
        lines = []
        for hours in HOURS:
            moment = self.moment + timedelta(hours=hours)
            price = getattr(found, f"price_{hours}h", None)
            moved = getattr(found, f"change_{hours}h", None)
            lines.append({
                "name": f"After {hours} h",
                "at": display.moment(moment),
                "state": self.state_of(price, moment),
                "price": size(price, why_empty(found)),
                "changes": self.both(moved),
            })  # fmt: skip
        return lines

    def state_of(self, price: Decimal | None, moment: datetime) -> SafeString:
        if price is not None:
            return display.badge("Known", "success")
        if self.outcome is not None and self.outcome.status == OutcomeStatus.SETTLED:
            return display.badge("Missing", "warning", display.visible(self.outcome.note))
        if moment > self.now:
            return display.badge("To come", "default")
        return display.badge("Waiting", "warning", "It has passed, and no candle of it came yet.")

    def both(self, moved: Decimal | None) -> list[SafeString]:
        """Return a change as bought and as sold, or in the direction that was taken."""
        if self.takes_side or moved is None:
            return [change(moved, self.outcome)] * len(self.ways)
        return [display.signed_pct(moved), display.signed_pct(selling(moved))]

    @property
    def excursions(self) -> list[dict[str, Any]]:
        found = self.outcome
        best, worst = getattr(found, "max_gain", None), getattr(found, "max_loss", None)
        if self.takes_side or best is None or worst is None:
            return [
                {"name": "Best in 24 h", "changes": [change(best, found)] * len(self.ways)},
                {"name": "Worst in 24 h", "changes": [change(worst, found)] * len(self.ways)},
            ]
        signed = display.signed_pct
        return [
            {"name": "Best in 24 h", "changes": [signed(best), signed(selling(worst))]},
            {"name": "Worst in 24 h", "changes": [signed(worst), signed(selling(best))]},
        ]

    @property
    def touch(self) -> SafeString:
        """Return which of target and stop was reached first, and when."""
        found = self.outcome
        if found is None or not found.first_touch:
            return display.empty("Neither was named, or the day is not over.")
        kind = FirstTouch(found.first_touch)
        badge = display.badge(str(kind.label), COLORS.get(kind, "default"))
        if found.first_touch_at is None:
            return badge
        return format_html("{} {}", badge, display.moment(found.first_touch_at))

    @property
    def note(self) -> str:
        return self.outcome.note if self.outcome else ""
