"""The pages as people see them: in a browser, on the running product with its demo."""

import html
import re
from datetime import UTC, datetime
from urllib.parse import urljoin

import pytest

from tests.e2e.product import wait_for

# Each page in both themes and both widths, of which not every pair tells something new.
LOOKS = (("light", 1440), ("dark", 390))
# What stands on each page, and how many charts it draws.
PAGES = {
    "login": ("Log in", 0),
    "desk": ("What needs me now?", 4),
    "instrument": ("Last candle ended", 1),
    "features": ("Newest values", 1),
    "coverage": ("Refresh now", 0),
    "health": ("Candles by day", 0),
    "series": ("Newest of those shown", 1),
    "cache": ("Next to expire", 1),
    "alert": ("Where this strategy stands", 1),
    "scorecard": ("Outcomes by strategy", 0),
    "alerts": ("breakout", 0),
    "candles": ("EUR/USD", 0),
    "activity": ("bots.pages", 0),
    "logs": ("bots.pages", 0),
    "log": ("Sent along", 0),
    "trace": ("In the order it happened", 0),
    "errors": ("PageError", 0),
    "error": ("Newest of them", 0),
    "notifications": ("Not seen", 0),
    "runs": ("TRAINING", 0),
    "run": ("Where it comes from", 0),
    "steps": ("PageError", 0),
    "step": ("Stack trace", 0),
    "analyses": ("Balanced - 1h", 0),
    "analysis": ("Risk / reward", 1),
    "comparison": ("Two analyses side by side", 1),
    "add symbol": ("Strategies to try out", 0),
    "model": ("Do its claims come true as often as they say?", 1),
    "prediction": ("Price path", 1),
    "bots": ("ibm-trend", 0),
    "bot": ("How it has done", 1),
    "trade": ("What came of it", 1),
    "order": ("Its life", 0),
    "limits": ("demo-goog-1", 0),
    "limit": ("Price path", 1),
    "lot": ("Limits on it", 0),
    "portfolio": ("Worth over time", 1),
    "league": ("Coin Toss", 1),
    "agent": ("Trend Follower", 1),
    "decision": ("What it was asked, and what it answered", 2),
    "agent trade": ("What came of it", 1),
    "policies": ("Preview all", 0),
    "policy": ("What stays, however old it is", 0),
    "preview": ("What stays, and why", 0),
    "preview of all": ("By dataset", 0),
    "docs": ("/api/v1/agents/agents/", 0),
}
DECISIONS = "/admin/agents/agentdecision/"
HASH_RATE = "symbol=BTC%2FUSD&source=demo&metric_name=hash_rate"
CAUSE = "4bf92f3577b34da6a3ce929d0e0e4736"
MARKUP = '<img src=x onerror="window.broken=1">'
SCRIPT = "<script>window.broken=1</script>"
# What a terminal acts on, and what turns the order of text; how both are shown.
CONTROLS, CONTROLS_SEEN = "\x1b[31mred \u202egpj.exe", "␛[31mred ⟦U+202E⟧gpj.exe"
# One cause with everything that may come of it, and a message longer than any screen.
MAKE_LOGS = f"""
from datetime import timedelta
from django.utils import timezone
from apps.logs import models
from apps.logs.services.entries import store_entries
from apps.logs.services.notifications import notify
now = timezone.now()
words = {MARKUP!r} + {SCRIPT!r} + {CONTROLS!r}
def store(model, **values):
    row = {{"timestamp": now - timedelta(seconds=2), "correlation_id": {CAUSE!r}}}
    return store_entries(model=model, rows=[row | values], now=now)[0]
where = {{"component": "bots.pages"}}
store(models.SystemLog, level="ERROR", logger_name="bots.pages", message=words * 2_000)
store(models.SystemLog, level="INFO", logger_name="bots.pages", message="W" * 3_000)
store(models.SystemLog, level="WARNING", logger_name="bots.pages", message=words,
    metadata={{words: [words]}}, timestamp=now - timedelta(seconds=1))
store(models.TradingEvent, event_type="signal", symbol="EUR/USD")
store(models.PerformanceLog, operation_name=words, duration_ms="812.5", **where)
store(models.UserActionLog, action_type="api_call", request_path="/" + words, response_status=500)
trace = 'File "/srv/apps/bots/pages.py", line 8, in close' + chr(10) + words
store(models.ErrorLog, error_type="PageError", error_message=words, stack_trace=trace, **where)
notify(what="bot_silent", level="critical", subject=words[:150], message=words, now=now)
"""
# A run that goes on, one of its steps failed with everything that may come of that.
MAKE_RUN = f"""
from datetime import timedelta
from django.utils import timezone
from apps.executions.models import Execution
now = timezone.now()
words = {MARKUP!r} + {SCRIPT!r} + {CONTROLS!r}
began, failed = now - timedelta(seconds=90), now - timedelta(seconds=40)
trace = 'File "/srv/apps/bots/pages.py", line 8, in close' + chr(10) + words
run = Execution.objects.create(
    execution_id="page run/1", execution_type="TRAINING", symbol="EUR/USD", status="RUNNING",
    timestamp_start=began, heartbeat_at=now, progressed_at=now, lease_seconds=86_400,
    current_operation=words, triggered_by=words[:150], metadata={{words: [words]}},
    errors=[{{"error_message": words, "traceback": trace}}], error_count=1)
run.steps.create(step_name="train " + "W" * 100, status="RUNNING", timestamp_start=failed)
run.steps.create(
    step_name=words, status="FAILED", timestamp_start=began, timestamp_end=failed,
    error_type="PageError", error_message=words, error_traceback=trace)
"""
POLICIES = "/admin/retention/retentionpolicy/"
# Another one, for whoever calls it off.
MAKE_OTHER_RUN = MAKE_RUN.replace("page run/1", "page run/2").replace("TRAINING", "CALLED_OFF")
END_RUN = """
WITH steps AS (
    UPDATE execution_steps SET status = 'CANCELLED', timestamp_end = now()
    WHERE execution_id = 'page run/1' AND status = 'RUNNING'
)
UPDATE execution_logs SET status = 'CANCELLED', timestamp_end = now()
WHERE execution_id = 'page run/1'
"""

# Whichever comes first: the demo alone holds nothing of the cause that they look at.
pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("product")]

# How many charts show something in color; text and grids are grey.
COLORED_CHARTS = """() => {
  const charts = [...document.querySelectorAll("candle-chart, line-chart, bar-chart")];
  const isColored = (canvas) => {
    if (!canvas.width || !canvas.height) return false;
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) {
      const rgb = [data[at], data[at + 1], data[at + 2]];
      if (data[at + 3] > 60 && Math.max(...rgb) - Math.min(...rgb) > 60) return true;
    }
    return false;
  };
  return charts.filter((chart) => [...chart.querySelectorAll("canvas")].some(isColored)).length;
}"""


@pytest.fixture(scope="module")
def product(demo_product):
    """Return the demo with alerts that are judged, a cause with all its lines, and two runs."""
    product = demo_product.with_key("scanner", "alerts:read", "alerts:write")
    for task in ("track_prices", "settle_alerts"):
        product.wake(f"apps.alerts.tasks.{task}")
    settled = "/api/v1/alerts/performance/?limit=1&status=settled"
    wait_for(lambda: product.get(settled)[1]["results"], 60, product.said)
    product.manage("shell", "-c", MAKE_LOGS + MAKE_RUN + MAKE_OTHER_RUN)
    return product


@pytest.fixture(scope="module")
def addresses(product, browser, login):
    """Return the address of each page."""
    context = browser.new_context(storage_state=login)

    def first(path):
        found = context.request.get(urljoin(product.address, path)).text()
        link = re.search(r'id="result_list".*?<tbody.*?<a[^>]* href="([^"]+)"', found, re.DOTALL)
        return urljoin(urljoin(product.address, path), html.unescape(link[1]))

    found = {
        "login": "/admin/login/",
        "desk": "/admin/",
        "instrument": first("/admin/market/instrument/?q=EUR"),
        "coverage": "/admin/market/featurecoverage/",
        "health": "/admin/market/candleseries/health/",
        "series": f"/admin/market/onchainmetric/series/chart/?{HASH_RATE}",
        "cache": "/admin/market/apicacheentry/cache/",
        "alert": first("/admin/alerts/alert/?performance__status__exact=settled"),
        "scorecard": "/admin/alerts/alert/scorecard/",
        "alerts": "/admin/alerts/alert/",
        "candles": "/admin/market/candle/?timestamp_last=all",
        "activity": f"/admin/logs/recentactivity/?correlation_id={CAUSE}",
        "logs": f"/admin/logs/systemlog/?correlation_id={CAUSE}",
        "log": first(f"/admin/logs/systemlog/?correlation_id={CAUSE}&level__exact=WARNING"),
        "trace": f"/admin/logs/trace/{CAUSE}/",
        "errors": "/admin/logs/errorgroup/",
        "error": first("/admin/logs/errorgroup/?error_type=PageError"),
        "notifications": "/admin/logs/notification/",
        "runs": "/admin/executions/execution/?q=TRAINING",
        "run": first("/admin/executions/execution/?q=TRAINING"),
        "steps": "/admin/executions/executionstep/?q=page+run/1",
        "step": first("/admin/executions/executionstep/?q=page+run/1&status__exact=FAILED"),
        "analyses": "/admin/analysis/analysis/",
        "analysis": first("/admin/analysis/analysis/?q=Balanced+-+1h"),
        "add symbol": "/admin/analysis/analysis/add-symbol/",
        "model": first("/admin/analysis/mlmodel/"),
        "prediction": first("/admin/analysis/prediction/"),
        "bots": "/admin/bots/botinstance/",
        "bot": "/admin/bots/botinstance/eurusd-trend/change/",
        "trade": first("/admin/bots/trade/?status__exact=closed&symbol__exact=EUR/USD"),
        "order": first("/admin/bots/order/"),
        "limits": "/admin/bots/tradinglimit/",
        "limit": "/admin/bots/tradinglimit/demo-goog-target/change/",
        "lot": "/admin/bots/position/demo-goog-1/change/",
        "portfolio": first("/admin/bots/paperportfolio/"),
        "league": "/admin/agents/agentstanding/league/",
        "agent": first("/admin/agents/tradingagent/?q=Trend"),
        "decision": first(f"{DECISIONS}?outcome__is_hit__exact=1&timestamp_last=all"),
        "agent trade": first("/admin/agents/agenttrade/?status__exact=closed"),
        "policies": POLICIES,
        "policy": first(f"{POLICIES}?q=trades"),
        "preview of all": f"{POLICIES}preview/",
        "docs": "/api/v1/docs/",
    }
    found["preview"] = found["policy"].replace("/change/", "/preview/")
    found["features"] = found["instrument"].replace("/change/", "/features/")
    pair = (found["analysis"], first("/admin/analysis/analysis/?q=Balanced+-+1d"))
    one, other = (re.findall(r"/analysis/(\d+)/", address)[0] for address in pair)
    found["comparison"] = f"/admin/analysis/analysis/compare/?a={one}&b={other}"
    context.close()
    return {name: urljoin(product.address, path) for name, path in found.items()}


class TestPages:
    @pytest.mark.parametrize("name", PAGES)
    def test_a_page_is_whole_in_both_themes_and_widths(self, opened, addresses, name):
        # Both are on their way at once: one is drawn while the other one waits.
        pages = [
            opened(
                addresses[name],
                theme=theme,
                width=width,
                anonymous=name == "login",
                until="commit",
            )
            for theme, width in LOOKS
        ]
        for page, (theme, width) in zip(pages, LOOKS, strict=True):
            print(f"In the {theme} theme, {width} pixels wide:")  # noqa: T201  # if it fails
            self.assert_whole(page, name, theme)

    def assert_whole(self, page, name, theme):
        words, charts = PAGES[name]
        page.wait_for_load_state()
        page.get_by_text(words).filter(visible=True).first.wait_for()
        # Not at every frame: to look costs more than to draw.
        page.wait_for_function(f"({COLORED_CHARTS})() === {charts}", polling=250)
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (
            theme == "dark"
        )
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(map(int, re.findall(r"\d+", background)[:3])) > 3 * 128
        assert name == "docs" or light == (theme == "light"), background
        root = "document.documentElement"
        assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0


class TestDesk:
    def test_shows_what_happens_without_being_loaded_again(self, opened, product):
        sooner = """document.addEventListener("DOMContentLoaded", () => {
            document.querySelector("[data-live]").dataset.every = "2"; });"""
        page = opened("/admin/", before=sooner)
        page.evaluate("window.loadedOnce = true")

        raised(product, strategy="seen on the desk")

        page.get_by_text("seen on the desk").wait_for(timeout=20_000)
        assert page.evaluate("window.loadedOnce") is True
        assert "Right as of" in page.locator("[data-live-status]").inner_text()


class TestRetention:
    def test_rows_leave_after_a_preview_and_come_back_after_another(self, opened, addresses):
        page = opened(addresses["preview"])
        leave = page.get_by_role("button", name="Archive and delete")
        (rows,) = re.findall(r"\d+", leave.inner_text())
        leave.click()
        # The worker does it, the page of the run says so by itself.
        page.get_by_text("Completed", exact=True).first.wait_for(timeout=60_000)

        page = opened("/admin/retention/archive/")
        page.locator("#result_list tbody a").first.click()
        page.get_by_role("heading", name="Its files").wait_for()
        page.get_by_role("button", name="Verify").click()
        page.get_by_text("every file is what was written").wait_for()
        page.get_by_role("link", name="Restore").click()
        page.get_by_role("button", name=f"Restore {rows} rows").click()

        page.get_by_text(f"{rows} rows restored").wait_for()
        opened(addresses["policy"]).get_by_text(re.compile("^Held 6 d")).first.wait_for()


class TestTextFromOutside:
    @pytest.mark.parametrize("text", [MARKUP, SCRIPT])
    def test_is_shown_as_text_on_desk_list_and_page(self, opened, product, text):
        named = f"{text} {datetime.now(UTC).timestamp()}"
        raised(product, alert_id=named, strategy=text, extra_data={text: [text]})

        page = opened("/admin/alerts/alert/")
        assert page.locator("#result_list").get_by_text(text).first.is_visible()
        assert page.evaluate("window.broken") is None
        page.locator("#result_list tbody a").first.click()
        page.get_by_role("heading", name="Sender").wait_for()
        assert page.get_by_text(named, exact=True).first.is_visible()
        assert text.replace('"', '\\"') in page.locator("pre.b-raw").inner_text()
        assert page.evaluate("window.broken") is None
        # The desk is read anew every few seconds.
        page = opened("/admin/")
        wait_for(lambda: page.reload() and page.get_by_text(text).count(), 20)
        assert page.evaluate("window.broken") is None

    @pytest.mark.parametrize(
        "name",
        ["activity", "logs", "log", "trace", "errors", "error", "notifications",
         "run", "steps", "step"],
    )  # fmt: skip
    def test_is_shown_as_text_on_the_pages_of_logs_and_runs(self, opened, addresses, name):
        page = opened(addresses[name])

        page.get_by_text(PAGES[name][0]).filter(visible=True).first.wait_for()
        page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
        whole = page.locator("body").inner_text()
        assert MARKUP in whole
        assert page.evaluate("window.broken") is None
        assert page.locator("img[src=x]").count() == 0
        assert "\x1b" not in whole
        assert "\u202e" not in whole
        if name in ("log", "error", "run", "step"):
            assert CONTROLS_SEEN in whole


class TestLogs:
    def test_lead_from_a_line_to_its_trace_and_back_to_the_line(self, opened, addresses):
        page = opened(addresses["log"])

        page.locator("a.b-trace").first.click()
        page.get_by_text("In the order it happened").wait_for()
        assert page.locator(".b-line li").count() == 7
        page.locator(".b-line li").filter(has_text="signal - EUR/USD").locator("a").click()
        page.get_by_role("heading", name="signal EUR/USD").wait_for()

    def test_tell_times_in_the_zone_of_who_looks_with_utc_on_hover(self, opened, addresses):
        moment = opened(addresses["log"]).locator("time[data-local=exact]").first

        here, there = moment.inner_text(), moment.get_attribute("title")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", here)
        assert there.splitlines()[1].endswith(" UTC")
        ahead = datetime.fromisoformat(here) - datetime.fromisoformat(there.splitlines()[1][:19])
        assert round(ahead.total_seconds() / 3600) in (1, 2)  # Berlin

    def test_are_decided_about_and_acknowledged_by_hand(self, opened, addresses):
        page = opened(addresses["error"])
        page.get_by_role("button", name="Resolve").click()
        page.get_by_text("1 error group resolved").wait_for()
        page.get_by_role("button", name="Reopen").click()
        page.get_by_role("button", name="Resolve").wait_for()

        page = opened("/admin/logs/notification/?what=bot_silent")
        page.locator("input.action-select").first.check()
        page.locator("select[name=action]").first.select_option("acknowledge")
        page.get_by_role("button", name="Run").click()
        page.get_by_text("1 notification acknowledged").wait_for()

    def test_are_found_by_their_id_in_the_command_search(self, opened):
        page = opened("/admin/")
        page.keyboard.press("Control+k")
        page.locator("#search-input-command").press_sequentially(CAUSE)
        page.get_by_text(f"Trace {CAUSE}").wait_for()

        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")

        page.get_by_text("In the order it happened").wait_for()


class TestRuns:
    def test_are_followed_without_being_loaded_again_until_they_are_over(
        self, opened, addresses, product
    ):
        page = opened(addresses["run"])
        page.evaluate("window.loadedOnce = true")
        fold = page.locator(".b-waterfall summary").first
        fold.focus()
        page.keyboard.press("Enter")
        page.get_by_text("Right as of").wait_for()

        with product.database() as database:
            database.execute(END_RUN)

        page.get_by_text("It is over").wait_for(timeout=20_000)
        assert page.locator("[data-panel=badges]").get_by_text("Cancelled").is_visible()
        assert page.get_by_role("button", name="Retry").is_visible()
        assert page.get_by_role("button", name="Cancel").count() == 0
        # What was opened stays open, and whoever goes by the keyboard stays where he was.
        assert fold.evaluate("fold => fold.parentElement.open && fold === document.activeElement")
        assert page.evaluate("window.loadedOnce") is True

    def test_are_asked_to_end_by_hand_and_only_when_that_was_meant(self, opened):
        page = opened("/admin/executions/execution/?q=CALLED_OFF")
        page.locator("input.action-select").first.check()
        page.locator("select[name=action]").first.select_option("cancel")
        page.get_by_role("button", name="Run").click()

        page.get_by_role("button", name="Cancel 1 execution").click()

        page.get_by_text("1 execution asked to end.").wait_for()
        page.locator("#result_list tbody a").first.click()
        page.get_by_text("has not acknowledged yet").wait_for()


def raised(product, **given):
    """Raise an alert of this moment."""
    now = datetime.now(UTC)
    alert = {
        "alert_id": f"page-{now.timestamp()}",
        "symbol": "EUR/USD",
        "direction": "long",
        "timestamp": now.isoformat(),
    }
    status, body = product.post("/api/v1/alerts/alerts/", alert | given)
    assert status == 201, body
