"""Closed vocabularies of the bots app, each with the colors of its badges."""

from django.db.models import TextChoices


class TradeType(TextChoices):
    """Whose money it is: real, pretended, or that of a trial on past prices. Never added up."""

    LIVE = "live", "Live"
    PAPER = "paper", "Paper"
    OPTIMIZATION = "optimization", "Optimization"


class BotStatus(TextChoices):
    """What a bot says of itself. Who is at work is expected to be heard of."""

    STARTING = "starting", "Starting"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    STOPPING = "stopping", "Stopping"
    STOPPED = "stopped", "Stopped"
    COMPLETED = "completed", "Completed"
    ERROR = "error", "Error"


class BotHealth(TextChoices):
    """How a bot looks from outside, by our own clock; the worst that holds."""

    OK = "ok", "Fine"
    SILENT = "silent", "Silent"
    STALE = "stale", "Stale data"
    IDLE = "idle", "Alive but idle"


class DesiredState(TextChoices):
    """What staff want of a bot; told with its next heartbeat."""

    RUN = "run", "Run"
    PAUSE = "pause", "Pause"
    STOP = "stop", "Stop"


class Direction(TextChoices):
    LONG = "long", "Long"
    SHORT = "short", "Short"


class Side(TextChoices):
    BUY = "buy", "Buy"
    SELL = "sell", "Sell"


class TradeStatus(TextChoices):
    OPEN = "open", "Open"
    CLOSED = "closed", "Closed"
    CANCELLED = "cancelled", "Cancelled"


class OrderType(TextChoices):
    MARKET = "market", "Market"
    LIMIT = "limit", "Limit"
    STOP = "stop", "Stop"
    STOP_LIMIT = "stop_limit", "Stop limit"
    TRAILING_STOP = "trailing_stop", "Trailing stop"


class OrderStatus(TextChoices):
    """Follows from the fills and from what was reported of the order, in whatever order it came."""

    PENDING = "pending", "Pending"
    ACCEPTED = "accepted", "Accepted"
    PARTIALLY_FILLED = "partially_filled", "Partially filled"
    FILLED = "filled", "Filled"
    CANCELLED = "cancelled", "Cancelled"
    REJECTED = "rejected", "Rejected"
    EXPIRED = "expired", "Expired"


class OrderEvent(TextChoices):
    """What is reported of an order besides its fills."""

    ACCEPTED = "accepted", "Accepted"
    CANCELLED = "cancelled", "Cancelled"
    REJECTED = "rejected", "Rejected"
    EXPIRED = "expired", "Expired"


class Liquidity(TextChoices):
    MAKER = "maker", "Maker"
    TAKER = "taker", "Taker"


class LimitType(TextChoices):
    STOP_LOSS = "stop_loss", "Stop loss"
    TAKE_PROFIT = "take_profit", "Take profit"
    MAX_DAILY_LOSS = "max_daily_loss", "Maximum daily loss"
    MAX_DRAWDOWN = "max_drawdown", "Maximum drawdown"
    MAX_EXPOSURE = "max_exposure", "Maximum exposure"
    MAX_TRADES_PER_HOUR = "max_trades_per_hour", "Maximum trades per hour"


class LimitStatus(TextChoices):
    """A triggered or cancelled limit never fires again."""

    ACTIVE = "active", "Active"
    TRIGGERED = "triggered", "Triggered"
    CANCELLED = "cancelled", "Cancelled"


class LimitAction(TextChoices):
    """What becomes of the bots a limit holds when it fires; staff are told in any case."""

    NOTIFY = "notify", "Only tell"
    PAUSE = "pause", "Pause the bots"
    STOP = "stop", "Stop the bots"


class Origin(TextChoices):
    COMPUTED = "computed", "Computed here"
    REPORTED = "reported", "Reported"


COLORS: dict[str, str] = {
    BotStatus.STARTING: "info",
    BotStatus.RUNNING: "success",
    BotStatus.PAUSED: "warning",
    BotStatus.STOPPING: "info",
    BotStatus.STOPPED: "default",
    BotStatus.COMPLETED: "default",
    BotStatus.ERROR: "danger",
    BotHealth.OK: "success",
    BotHealth.SILENT: "danger",
    BotHealth.STALE: "warning",
    BotHealth.IDLE: "warning",
    DesiredState.RUN: "success",
    DesiredState.PAUSE: "warning",
    DesiredState.STOP: "danger",
    TradeType.LIVE: "info",
    TradeType.PAPER: "warning",
    TradeType.OPTIMIZATION: "default",
    TradeStatus.OPEN: "info",
    TradeStatus.CLOSED: "default",
    TradeStatus.CANCELLED: "warning",
    OrderStatus.PENDING: "default",
    OrderStatus.ACCEPTED: "info",
    OrderStatus.PARTIALLY_FILLED: "info",
    OrderStatus.FILLED: "success",
    OrderStatus.REJECTED: "danger",
    OrderStatus.EXPIRED: "warning",
    LimitStatus.ACTIVE: "success",
    LimitStatus.TRIGGERED: "danger",
    Side.BUY: "success",
    Side.SELL: "danger",
    Direction.LONG: "success",
    Direction.SHORT: "danger",
}
