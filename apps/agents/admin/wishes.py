"""What staff do with agents: let them trade, pause them, stop them."""

from functools import partial
from typing import Any

from apps.agents.choices import AgentStatus
from apps.agents.services.agents import set_status
from apps.shared.admin.steps import Step

ACTIVATE_ASKS = (
    "An active agent may open positions again: from now on what it decides is accepted where it"
    " breaks none of its limits."
)
PAUSE_ASKS = (
    "Of an agent that pauses nothing that opens a position is accepted; it may still close what"
    " it holds. All that it decides is kept and judged. Its program is not touched by this: to"
    " pause that, ask the bot it runs as."
)
STOP_ASKS = (
    "A stopped agent is done: nothing that opens a position is accepted, though all that it"
    " decides is kept and judged. What it holds stays open until it is closed. It can be activated"
    " again. Its program is not touched by this: to end that, ask the bot it runs as."
)


def unlike(status: AgentStatus) -> Any:
    """Return whether an agent is something else so far."""
    return lambda agent: agent.status != status


STEPS = [
    Step("activate", "Activate", "activated", partial(set_status, status=AgentStatus.ACTIVE),
         unlike(AgentStatus.ACTIVE), ACTIVATE_ASKS),
    Step("pause", "Pause", "paused", partial(set_status, status=AgentStatus.PAUSED),
         lambda agent: agent.status == AgentStatus.ACTIVE, PAUSE_ASKS),
    Step("stop", "Stop", "stopped", partial(set_status, status=AgentStatus.STOPPED),
         unlike(AgentStatus.STOPPED), STOP_ASKS),
]  # fmt: skip
