"""A bot dies at night: marked once, seen first in the morning, restarted, and gone on.

``SCREENSHOTS`` names a folder that keeps what the operator saw.
"""

import os
import re
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.product import wait_for

pytestmark = pytest.mark.timeout(240)

SHOTS = os.environ.get("SCREENSHOTS", "")
NAME = "night-watch"
BOT = f"/api/v1/bots/instances/{NAME}/"
TRADES = "/api/v1/bots/trades/"
TOLD = "SELECT count(*) FROM notifications WHERE what = %s AND subject LIKE %s"


@pytest.fixture(scope="module")
def bot(demo_product: Any) -> Any:
    """Return the product as a bot with a key of its own sees it."""
    return demo_product.with_key(NAME, "bots:read", "bots:write", "logs:write")


def shot(page: Any, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def beat(bot: Any, **values: Any) -> dict[str, Any]:
    status, answer = bot.post(f"{BOT}heartbeat/", {"status": "running", **values})
    assert status == 200, answer
    return dict(answer)


def told(bot: Any, what: str) -> int:
    """Return how many notifications of a kind name the bot."""
    with bot.database() as database:
        return int(database.execute(TOLD, (what, f"%{NAME}%")).fetchone()[0])


def test_it_is_found_silent_once_and_goes_on_where_it_stopped(bot, opened):
    status, answer = bot.request(
        "PUT",
        BOT,
        b'{"type": "live", "symbol": "BTC/USD", "initial_balance": "10000",'
        b' "heartbeat_interval_seconds": 1}',
    )
    assert status == 201, answer
    began = datetime.now(UTC) - timedelta(hours=3)
    held = [str(uuid.uuid4()) for _ in range(2)]
    for number, trade_id in enumerate(held):
        row = {
            "id": trade_id,
            "bot_id": NAME,
            "symbol": "BTC/USD",
            "direction": "long",
            "size": "0.1",
            "entry_price": str(50_000 + number),
            "entry_time": began.isoformat(),
            "commission_rate": "0.001",
        }
        assert bot.post(TRADES, row)[0] == 201
    closed = {**row, "id": str(uuid.uuid4()), "status": "closed", "exit_price": "51000"}
    closed |= {"entry_price": "50000", "exit_time": (began + timedelta(hours=1)).isoformat()}
    assert bot.post(TRADES, closed)[0] == 201
    state = b'{"bot_id": "%b", "version": 0, "value": {"cursor": 17}}' % NAME.encode()
    assert bot.request("PUT", f"/api/v1/bots/state/{NAME}/", state)[0] == 201
    line = {
        "timestamp": datetime.now(UTC).isoformat(),
        "level": "WARNING",
        "logger_name": NAME,
        "message": "the exchange answers slowly",
    }
    assert bot.post("/api/v1/logs/system-logs/", line)[0] == 201
    beat(bot, current_balance="10089.9")
    page = opened(f"/admin/bots/botinstance/{NAME}/change/")
    page.locator("[data-panel=badges]").get_by_text("Fine").wait_for()

    # Night: it is not heard of any more. Three of its intervals are three seconds.
    time.sleep(3)
    for _ in range(3):
        bot.wake("apps.bots.tasks.check_heartbeats")
    wait_for(lambda: told(bot, "bot_silent") > 0, 60, bot.said)
    for _ in range(3):
        bot.wake("apps.bots.tasks.check_heartbeats")

    # Morning: the page that was left open knows, and the desk says it first.
    page.locator("[data-panel=badges]").get_by_text("Silent").wait_for(timeout=20_000)
    desk = opened("/admin/")
    need = desk.locator("li", has_text=f"{NAME} is silent")
    need.wait_for()
    assert "2 live trades" in need.inner_text()
    shot(desk, "1-desk-in-the-morning")
    need.get_by_role("link").first.click()
    desk.get_by_role("heading", name=NAME, exact=True).wait_for()
    for trade_id in held:
        assert desk.get_by_text(trade_id[:8]).first.is_visible()
    assert desk.get_by_text("the exchange answers slowly").first.is_visible()
    desk.wait_for_timeout(500)
    shot(desk, "2-the-bot")

    # The restart: everything it had is given back.
    status, found = bot.get(f"{BOT}recovery/")
    assert status == 200
    assert {trade["id"] for trade in found["open_trades"]} == set(held)
    assert found["balance"]["ledger"] == found["balance"]["reported"] == "10089.9"
    assert found["states"][NAME] == {"value": {"cursor": 17}, "version": 1}
    assert beat(bot, beat=found["beat"])["health"] == "ok"
    page.locator("[data-panel=badges]").get_by_text("Fine").wait_for(timeout=20_000)
    for trade_id in held:
        answer = bot.post(f"{TRADES}{trade_id}/close/", {"exit_price": "51000"})
        assert answer[0] == 200, answer
    beat(bot, status="stopped")
    shot(page, "3-back-again")
    assert (told(bot, "bot_silent"), told(bot, "bot_recovered")) == (1, 1)
    assert re.fullmatch(r"\d+", str(found["beat"]))
