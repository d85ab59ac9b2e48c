from apps.bots.models.carried import CarriedResult
from apps.bots.models.departed import DepartedTrade
from apps.bots.models.instances import BotInstance, BotState
from apps.bots.models.limits import TradingLimit
from apps.bots.models.lots import LotTrade, Position
from apps.bots.models.orders import Fill, Order
from apps.bots.models.paper import PaperPerformance, PaperPortfolio, PaperTrade
from apps.bots.models.performance import BotPerformance
from apps.bots.models.trades import Trade

__all__ = [
    "BotInstance",
    "BotPerformance",
    "BotState",
    "CarriedResult",
    "DepartedTrade",
    "Fill",
    "LotTrade",
    "Order",
    "PaperPerformance",
    "PaperPortfolio",
    "PaperTrade",
    "Position",
    "Trade",
    "TradingLimit",
]
