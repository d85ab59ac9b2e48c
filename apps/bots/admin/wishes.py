"""What staff ask of bots: to pause, to go on, to stop, and to close what they hold."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from apps.bots.choices import DesiredState
from apps.bots.models import BotInstance
from apps.bots.services.reminders import remind_bots
from apps.bots.services.wishes import wish
from apps.shared.admin.steps import Step, StepsMixin

NEXT = "It is delivered with its next heartbeat."
PAUSE_ASKS = (
    "A bot that pauses opens no new trades; what it holds, it goes on managing. It is told with"
    " its next heartbeat and says itself when it has done so."
)
RESUME_ASKS = (
    "It is told with its next heartbeat that it may trade again, and says itself when it does."
)
STOP_ASKS = (
    "A bot that stops ends itself; what it holds open stays open unless it closes it. It is told"
    " with its next heartbeat, and has to be started again by whoever runs it."
)
REMIND_ASKS = (
    "Staff are told, once a day for each bot, that its open trades are to be closed. Nothing is"
    " closed by this: only the bot and who runs it can."
)
TOLD_OF = "told of now; each is once a day, while it holds something open"
REASON = "reason"
MOST_REASON = 500
STOP_NEEDS = "Say why it is to stop: whoever starts it again will ask."


def ask_state(
    rows: QuerySet[BotInstance], /, *, by: str, now: datetime, state: DesiredState, reason: str = ""
) -> int:
    return wish(rows, state=state, by=by, reason=reason, now=now)


def unlike(state: DesiredState) -> Any:
    """Return whether a bot is not asked for this already; who runs was never asked to."""
    return lambda bot: bot.desired_state != state


STATES = {"pause": DesiredState.PAUSE, "resume": DesiredState.RUN, "stop": DesiredState.STOP}
STEPS = [
    Step("pause", "Pause", f"asked to pause. {NEXT[:-1]}",
         partial(ask_state, state=DesiredState.PAUSE), unlike(DesiredState.PAUSE), PAUSE_ASKS),
    Step("resume", "Resume", f"asked to go on. {NEXT[:-1]}",
         partial(ask_state, state=DesiredState.RUN), unlike(DesiredState.RUN), RESUME_ASKS),
    Step("stop", "Stop", f"asked to stop. {NEXT[:-1]}",
         partial(ask_state, state=DesiredState.STOP), unlike(DesiredState.STOP), STOP_ASKS),
    Step("remind", "Close reminder", TOLD_OF, remind_bots,
         lambda bot: True, REMIND_ASKS),
]  # fmt: skip


class WishesMixin(StepsMixin):
    """Steps of bots; those that change what is wanted of one ask for the reason."""

    steps = STEPS

    def ask(self, step: Step, request: HttpRequest, rows: QuerySet, **how: Any) -> HttpResponse:
        answer = super().ask(step, request, rows, **how)
        if step.name in STATES and isinstance(answer, TemplateResponse):
            answer.template_name = "admin/bots/ask.html"
            assert answer.context_data is not None
            answer.context_data |= {
                "reason_name": REASON,
                "most_reason": MOST_REASON,
                "reason_needed": step.name == "stop",
            }
        return answer

    def take(self, step: Step, request: HttpRequest, rows: QuerySet) -> None:
        if step.name not in STATES:
            super().take(step, request, rows)
            return
        reason = request.POST.get(REASON, "").replace("\0", "").strip()[:MOST_REASON]
        if step.name == "stop" and not reason and self.may_step(request):
            messages.error(request, f"Nothing was asked. {STOP_NEEDS}")
            return
        told = partial(ask_state, state=STATES[step.name], reason=reason)
        super().take(replace(step, run=told), request, rows)
