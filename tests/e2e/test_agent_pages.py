"""The pages of agents in a browser: text from models is text, long ones are read and searched."""

import re
from urllib.parse import quote, urljoin

import pytest

from tests.e2e.product import wait_for

pytestmark = pytest.mark.timeout(240)

# Whatever of this became an element or a link of a page would carry its name, or lead away.
HOSTILE = (
    "<script id=planted>window.broken=1</script>"
    '<img id=planted src=x onerror="window.broken=1">'
    "<svg id=planted onload=window.broken=1>"
    '<a id=planted href="javascript:window.broken=1">click</a>'
    "[click](javascript:window.broken=1) ![see](http://planted.example/p.png)"
    "http://planted.example/"
    "</textarea></pre></template></style></title></script><b id=planted x-init=alert(1)>"
    "{{ 7 }}{% now %}'\"]]><!--\u2028\u202egpj.exe\u200b\x1b[31m"
)
# As much of it as a column holds.
NAME = '<img id=planted src=x onerror="window.broken=1"></script><b id=planted>\u202e'
COIN = "<b id=planted>\u202e\u2028</"
VERSION = "<svg id=planted onload=window.broken=1></script>\u202e"
PLANTED = """() => ({
  broken: window.broken ?? null,
  elements: document.querySelectorAll("[id=planted]").length,
  links: [...document.links].filter((link) => (
    link.protocol === "javascript:" || link.host === "planted.example")).length,
  text: (() => {
    document.querySelectorAll("details").forEach((each) => { each.open = true; });
    return document.body.innerText;
  })(),
})"""
MAKE = f"""
from datetime import timedelta
from decimal import Decimal
from django.utils import timezone
from apps.agents.services.standings import rank_agents
from apps.logs.services.notifications import notify
from apps.market.models import Candle
from tests.factories import (
    make_agent, make_agent_decision, make_agent_performance, make_agent_trade,
    make_decision_outcome, make_llm_call, make_llm_price)
hostile, name, coin, version = {HOSTILE!r}, {NAME!r}, {COIN!r}, {VERSION!r}
now = timezone.now().replace(second=0, microsecond=0)
now -= timedelta(minutes=now.minute % 5)
source = "<b id=planted></script>"
Candle.objects.bulk_create(
    Candle(symbol=coin, source=source, granularity="5m", timestamp=now - timedelta(minutes=5 * n),
        open=50_000, high=50_100, low=49_900, close=50_000, volume=1)
    for n in range(1, 700))
agent = make_agent(
    name=name, llm_model=name, provider=version[:50], strategy_description=hostile,
    coins={{coin: coin}}, exchange_account=version[:50], bot_id=name, daily_budget=1,
    extra_metadata={{hostile: hostile}}, benchmark_coin=coin, quote_currency="<b id=>")
then = now - timedelta(hours=30)
call = make_llm_call(
    agent=agent, timestamp=then, provider=version[:50], model=name, prompt_version=version,
    prompt=f"# {{hostile}}\\n{{coin}} {{hostile}}\\n```\\n{{hostile}}\\n```\\n" + "calm " * 200_000,
    answer=f'{{hostile}}\\nCHAIN_OF_THOUGHT\\n{{{{"{{coin}}": {{{{}}}}}}}}\\nneedle\\n{{hostile}}',
    error=hostile, altered={{version: hostile}}, positions={{coin: hostile}},
    extra_metadata={{hostile: hostile}}, decisions_count=2)
told = dict(agent=agent, call=call, coin=coin, symbol=coin, reasoning=hostile,
    error_message=hostile, prompt_version=version, raw=hostile,
    chain_of_thought={{hostile: hostile}})
decision = make_agent_decision(**told)
refused = make_agent_decision(**told | {{"place": 1, "status": "rejected",
    "violations": [{{"rule": hostile, "message": hostile}}, hostile]}})
for each in (decision, refused):
    make_decision_outcome(decision=each, settled=True, source=source, note=hostile, is_hit=False)
traded = dict(agent=agent, decision=decision, coin=coin, symbol=coin, notes=hostile,
    hyperliquid_order_id=name, extra_metadata={{hostile: hostile}}, entry_time=then)
lost = make_agent_trade(**traded, closed=True, close_decision=refused, exit_reason=name,
    exit_time=now, exit_price=Decimal(49_000), gross_pnl=-40, realized_pnl=-42)
# Near its liquidation, so that it stands on the desk.
held = make_agent_trade(**traded, liquidation_price=49_900, mark_price=50_000, marked_at=now)
for hours in range(3):
    performance = make_agent_performance(agent=agent, snapshot_time=now - timedelta(hours=hours),
        reasons={{"sharpe_ratio": hostile}}, sharpe_ratio=None)
price = make_llm_price(provider=version[:50], model=name)
notify(what="agent_spend", level="warning", subject=name, message=hostile, now=now)
# By the service: the worker's own tick makes all standings anew, whenever it comes.
rank_agents(now=now)
print("ids", agent.pk, call.pk, decision.pk, refused.pk, lost.pk, held.pk, decision.outcome.pk,
    performance.pk, price.pk)
"""
NAMES = ("agent", "call", "decision", "refused", "lost", "held", "outcome", "performance",
         "price")  # fmt: skip
# The pages, and whose text must be seen there: of a name, or of a text of any length.
PAGES = {
    "agents/tradingagent/": NAME,
    "agents/tradingagent/{agent}/change/": HOSTILE,
    "agents/tradingagent/{agent}/edit/": "",
    "agents/tradingagent/{agent}/history/": NAME,
    "agents/agentstanding/league/?mode=paper": NAME,
    "agents/agentstanding/league/?mode=paper&period=all": NAME,
    "agents/agentstanding/scorecard/": "",
    "agents/agentstanding/scorecard/?by=prompt_version": "",
    "agents/agentdecision/?q={decision}": NAME,
    "agents/agentdecision/?agent__id__exact={agent}&q={coin}&prompt_version={version}": NAME,
    "agents/agentdecision/{decision}/change/": HOSTILE,
    "agents/agentdecision/{refused}/change/": HOSTILE,
    "agents/llmcall/?q={call}": NAME,
    "agents/llmcall/{call}/change/": HOSTILE,
    "agents/llmcall/{call}/text/answer/": HOSTILE,
    "agents/agenttrade/?q={lost}": NAME,
    "agents/agenttrade/{lost}/change/": HOSTILE,
    "agents/agenttrade/{held}/change/": HOSTILE,
    "agents/decisionoutcome/?q={decision}": NAME,
    "agents/decisionoutcome/{outcome}/change/": HOSTILE,
    "agents/agentperformance/": NAME,
    "agents/agentperformance/{performance}/change/": NAME,
    "agents/agentstanding/": NAME,
    "agents/llmprice/": NAME,
    "agents/llmprice/{price}/change/": NAME,
    "agents/llmprice/{price}/edit/": "",
    "logs/notification/": NAME,
    "": NAME,
}
# A list shows so much of a long name, and nothing that is not seen.
BEGINNING = 40


@pytest.fixture(scope="module")
def rows(shared_product):
    """Return the keys of the rows of an agent whose every text is hostile."""
    printed = shared_product.manage("shell", "-c", MAKE)
    keys = re.search(r"^ids (.+)$", printed, re.MULTILINE)[1].split()
    return dict(zip(NAMES, keys, strict=True)) | {"coin": quote(COIN), "version": quote(VERSION)}


@pytest.fixture(scope="module")
def visitor(shared_product, browser):
    """Return a page of the administrator, and the list of what goes wrong in it."""
    name, password = re.search(r"Log in as (\S+) with (\S+)", shared_product.said()).groups()
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    wrong: list[tuple[str, str]] = []
    page.on("dialog", lambda dialog: (wrong.append(("dialog", dialog.message)), dialog.dismiss()))
    page.on("pageerror", lambda error: wrong.append(("error", str(error))))
    page.on(
        "console",
        lambda said: said.type in ("error", "warning") and wrong.append((said.type, said.text)),
    )
    page.on(
        "request",
        lambda asked: (
            asked.url.startswith((shared_product.address, "data:", "blob:"))
            or wrong.append(("another host", asked.url))
        ),
    )
    page.goto(urljoin(shared_product.address, "/admin/"))
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url("**/admin/")
    yield page, wrong
    context.close()


class TestTextOfModels:
    def test_is_shown_as_text_on_every_page(self, shared_product, visitor, rows):
        page, wrong = visitor
        for pattern, words in PAGES.items():
            path = pattern.format(**rows)
            answer = page.goto(urljoin(shared_product.address, f"/admin/{path}"))

            assert (answer.status, answer.request.redirected_from) == (200, None), path
            if not path:
                # The desk is read anew every few seconds.
                wait_for(lambda: page.reload() and page.get_by_text(NAME[:BEGINNING]).count(), 20)
            found = page.evaluate(PLANTED)
            assert (found["broken"], found["elements"], found["links"]) == (None, 0, 0), path
            assert words[:BEGINNING] in found["text"], path
            assert not {*"\u202e\u2028\u200b\x1b"} & {*found["text"]}, path
            assert wrong == [], path

    def test_is_read_from_a_losing_trade_in_one_click_and_searched(
        self, shared_product, visitor, rows
    ):
        page, wrong = visitor
        page.goto(
            urljoin(shared_product.address, f"/admin/agents/agenttrade/{rows['lost']}/change/")
        )
        page.get_by_role("link", name="Decision, market, prompt and answer").first.click()
        page.get_by_role("heading", name="The market as it stood").wait_for()
        assert page.get_by_role("heading", name="What happened after").is_visible()
        assert page.locator("mark.b-own").count() > 0

        box = page.get_by_label("Find in these texts")
        box.fill("needle")
        box.press("Enter")
        assert page.locator("text-search output").inner_text() == "1 of 1"
        assert page.locator("mark.b-hit.b-now-here").is_visible()
        box.fill("onerror=")
        page.locator("text-search output").filter(has_text=re.compile(r"^1 of [5-9]$")).wait_for()
        assert page.locator("mark.b-hit").count() > 4
        box.press("Escape")
        box.press("Enter")
        assert page.locator("mark.b-hit").count() == 0

        page.get_by_role("link", name="All of it as plain text").click()
        page.wait_for_url("**/text/prompt/")
        assert page.evaluate("document.contentType") == "text/plain"
        assert page.evaluate(PLANTED)["elements"] == 0
        assert wrong == []
