"""Closed vocabularies of the agents app, each with the colors of its badges."""

from django.db.models import TextChoices


class AgentStatus(TextChoices):
    """Only an active agent opens positions; what the others decide is kept all the same."""

    ACTIVE = "active", "Active"
    PAUSED = "paused", "Paused"
    STOPPED = "stopped", "Stopped"


class AgentMode(TextChoices):
    """Whose money it is: real or pretended. Never added up."""

    LIVE = "live", "Live"
    PAPER = "paper", "Paper"


class CallStatus(TextChoices):
    """What became of a question to a model."""

    ANSWERED = "answered", "Answered"
    UNREADABLE = "unreadable", "Unreadable"
    FAILED = "failed", "Failed"


class CostSource(TextChoices):
    """Where the cost of a call is from."""

    GIVEN = "given", "As told"
    TABLE = "table", "By price table"


class Action(TextChoices):
    OPEN_LONG = "OPEN_LONG", "Open long"
    OPEN_SHORT = "OPEN_SHORT", "Open short"
    CLOSE_POSITION = "CLOSE_POSITION", "Close position"
    HOLD = "HOLD", "Hold"


class DecisionStatus(TextChoices):
    """Only a decision that breaks no rule is a success."""

    SUCCESS = "success", "Accepted"
    REJECTED = "rejected", "Rejected"
    FAILED = "failed", "Failed"
    PARSING_ERROR = "parsing_error", "Unreadable"


class Side(TextChoices):
    LONG = "long", "Long"
    SHORT = "short", "Short"


class TradeStatus(TextChoices):
    OPEN = "open", "Open"
    CLOSED = "closed", "Closed"
    LIQUIDATED = "liquidated", "Liquidated"
    CANCELLED = "cancelled", "Cancelled"


class OutcomeStatus(TextChoices):
    OPEN = "open", "Open"
    SETTLED = "settled", "Settled"
    NO_CLAIM = "no_claim", "No claim"


class FirstTouch(TextChoices):
    """Which of target and stop the price reached first."""

    TARGET = "target", "Target"
    STOP = "stop", "Stop"
    AMBIGUOUS = "ambiguous", "Both in one candle"
    NONE = "none", "Neither"


class Period(TextChoices):
    """How far back a league looks."""

    WEEK = "7d", "7 days"
    MONTH = "30d", "30 days"
    ALL = "all", "All time"


class Verdict(TextChoices):
    """What a league can say of an agent, by the 95 % interval of its return."""

    BETTER = "better", "Gains"
    UNCERTAIN = "uncertain", "Could be chance"
    WORSE = "worse", "Loses"
    TOO_EARLY = "too_early", "Too early"
    NOT_ITS_OWN = "not_its_own", "Mostly not the model"


COLORS: dict[str, str] = {
    AgentStatus.ACTIVE: "success",
    AgentStatus.PAUSED: "warning",
    AgentStatus.STOPPED: "default",
    AgentMode.LIVE: "info",
    AgentMode.PAPER: "warning",
    CallStatus.ANSWERED: "success",
    CallStatus.UNREADABLE: "danger",
    CallStatus.FAILED: "danger",
    Action.OPEN_LONG: "success",
    Action.OPEN_SHORT: "danger",
    Action.CLOSE_POSITION: "info",
    Action.HOLD: "default",
    DecisionStatus.SUCCESS: "success",
    DecisionStatus.REJECTED: "warning",
    DecisionStatus.PARSING_ERROR: "danger",
    Side.LONG: "success",
    Side.SHORT: "danger",
    TradeStatus.OPEN: "info",
    TradeStatus.CLOSED: "default",
    TradeStatus.LIQUIDATED: "danger",
    TradeStatus.CANCELLED: "warning",
    FirstTouch.TARGET: "success",
    FirstTouch.STOP: "danger",
    FirstTouch.AMBIGUOUS: "warning",
    Verdict.BETTER: "success",
    Verdict.UNCERTAIN: "warning",
    Verdict.WORSE: "danger",
    Verdict.TOO_EARLY: "default",
    Verdict.NOT_ITS_OWN: "danger",
}
