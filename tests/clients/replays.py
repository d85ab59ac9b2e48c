"""The example bot, loaded from its file, and a Blotter of ten lines for it."""

import runpy
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "examples" / "replay_bot.py"


def example() -> dict[str, Any]:
    """Return what the file of the example defines."""
    folder = str(ROOT / "clients")
    sys.path.insert(0, folder)
    try:
        return runpy.run_path(str(PROGRAM))
    finally:
        sys.path.remove(folder)


class PretendedBot:
    """Takes everything in; wants what ``wishes`` say, candle by candle, then the last of them."""

    def __init__(self, bot_id: str, wishes: tuple[str, ...] = ("run",)) -> None:
        self.bot_id, self.wishes = bot_id, list(wishes)
        self.told: list[str] = []
        self.trades: list[dict[str, Any]] = []
        self.reported: dict[str, Any] = {}

    def wanted(self) -> str:
        return self.wishes.pop(0) if len(self.wishes) > 1 else self.wishes[0]

    def recovery(self) -> dict[str, Any]:
        return {"open_trades": self.trades, "states": {}}

    def open_trade(
        self, trade_id: str, direction: str, size: Any, price: Any, **more: Any
    ) -> dict[str, Any]:
        self.told.append(f"open {direction}")
        trade = {"id": trade_id, "direction": direction, "entry_price": str(price)}
        self.trades = [{**trade, "remaining_position_size": str(size), "partial_exits": 0}]
        return self.trades[0]

    def exit_part(
        self, trade_id: str, part_id: str, size: Any, price: Any, **more: Any
    ) -> dict[str, Any]:
        self.told.append("part")
        half = {"remaining_position_size": str(size), "partial_exits": 1}
        self.trades = [{**self.trades[0], **half}]
        return half

    def close_trade(self, trade_id: str, price: Any, **more: Any) -> None:
        self.told.append("close")
        self.trades = []

    def put_state(self, key: str, value: Any, version: int) -> int:
        return version + 1

    def report(self, **news: Any) -> None:
        self.reported.update(news)

    def acknowledge(self) -> None:
        """Do nothing: what is wanted here is known."""
