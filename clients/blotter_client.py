"""Tells Blotter of runs, bots and agents. Copy this one file; Python 3.8 or newer, nothing else.

    blotter = Blotter("https://blotter.example", os.environ["BLOTTER_KEY"])
    with blotter.execution("nightly backtest", symbol="BTC/USDT", total_tasks=3) as run:
        with run.step("load") as step:
            step.result = {"candles": len(load())}
        for name in ("trend", "range"):
            run.progress("testing " + name)
            test(name)
            run.progress(completed=[name])

A thread keeps the run alive while the block lasts. An exception ends it as FAILED, with its
traceback, and goes on its way. When staff wish the run to end, the next ``step`` or ``progress``
raises ``Cancelled``; it ends the block, and the run as CANCELLED. While Blotter is away the work
goes on; what was to be told is told when it is back. With ``strict=True`` it raises instead.

    with blotter.bot("grid-1", "live", symbol="BTC/USDT", interval=30) as bot:
        trades = bot.recovery()["open_trades"]
        while bot.wanted() != "stop":
            trade = bot.open_trade(uuid.uuid4(), "long", Decimal("0.1"), price, entry_time=now)
            bot.close_trade(trade["id"], price, exit_time=now)

A thread gives the heartbeats. What is told of trades is certain: each call comes back when it is
stored, and goes on asking, with the same id, while Blotter is away.

    agent = blotter.agent(AGENT_ID, "Trend", "deepseek-chat", Decimal(10_000))
    agent.register()
    told = agent.report_cycle(cycle=7, timestamp=now, prompt=prompt, answer=ask(prompt))
    for verdict in told["decisions"]:
        if verdict["status"] == "success" and verdict["action"].startswith("OPEN"):
            agent.open_trade(uuid.uuid4(), decision_id=verdict["id"], entry_price=price)
"""

from __future__ import annotations

import http.client
import json
import logging
import math
import random
import re
import socket
import sys
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections import deque
from decimal import Decimal

try:
    import resource
except ImportError:  # Windows
    resource = None

__all__ = ["Agent", "Blotter", "BlotterError", "Bot", "Cancelled", "Run", "Step"]

log = logging.getLogger("blotter")

LONGEST_WAIT = 60.0  # seconds between two tries, whatever Retry-After says
ROWS_AT_ONCE = 5_000
RUNS = "executions/executions/"
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class BlotterError(Exception):
    """Blotter refused, or was not there: ``status`` (0: no answer), ``code``, ``errors``."""

    def __init__(self, status, code, detail, errors=(), document=None, wait=None):
        places = "; ".join(f"{e.get('pointer')}: {e.get('message')}" for e in errors[:5])
        super().__init__(f"{status or 'no answer'} {code}: {detail}{places and f' ({places})'}")
        self.status, self.code, self.errors = status, code, list(errors)
        self.document, self.wait = document or {}, wait

    @property
    def passing(self):
        """Whether the same request may well go through later."""
        return self.status in (0, 408, 425, 429) or self.status >= 500 or self.wait is not None


class Cancelled(Exception):
    """Somebody wishes the run to end."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None  # the key goes nowhere else


class Blotter:
    """One Blotter, and the key that opens it.

    ``timeout`` is in seconds, for each try to connect and to read. What may pass (no connection,
    429, 5xx) is tried ``retries`` times more, after longer and longer pauses.
    """

    def __init__(self, url, key, timeout=10.0, retries=4, strict=False):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("The address must look like https://host, without a password.")
        if not re.fullmatch(r"[!-~]+", key or ""):
            raise ValueError("The key is empty or holds characters that no key has.")
        self.url = url.rstrip("/")
        self.timeout, self.retries, self.strict = timeout, retries, strict
        self._key = key
        self._opener, self._sleep = urllib.request.build_opener(_NoRedirects), time.sleep

    def __repr__(self):
        return f"Blotter({self.url!r})"

    def execution(self, name, execution_type=None, execution_id=None, lease_seconds=300, **fields):
        """Return a run for a ``with`` statement.

        Fields: symbol, symbols, total_tasks, triggered_by, server_id, version, metadata. The same
        ``execution_id`` again is the same run; without one each call is a run of its own.
        """
        word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "run"
        stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime())
        metadata = {"name": name, **(fields.pop("metadata", None) or {})}
        row = {
            "execution_id": execution_id or f"{word[:200]}_{stamp}_{uuid.uuid4().hex[:8]}",
            "execution_type": execution_type or word.upper()[:50].strip("_"),
            "lease_seconds": lease_seconds,
            "server_id": socket.gethostname(),
            "metadata": metadata,
            **fields,
        }
        return Run(self, row)

    def bot(self, bot_id, trade_type, interval=60, **described):
        """Return a bot for a ``with`` statement, under its own name (without slashes).

        ``trade_type`` says whose money it is: live, paper or optimization. ``interval`` is the
        seconds between heartbeats; not heard of for three of them, it counts as silent.
        ``described``: symbol, quote_currency, initial_balance, strategy_name, config, version,
        candle_interval_seconds, …
        """
        return Bot(self, bot_id, trade_type, interval, described)

    def agent(self, agent_id, name, llm_model, initial_balance, **described):
        """Return an agent: somebody who asks a model and trades by what it answers.

        ``agent_id`` is a UUID of yours. ``described``: provider, mode (paper or live),
        quote_currency, coins ({"BTC": "BTC/USD"}), max_leverage, max_position_size (percent),
        min_confidence, daily_budget, strategy_description, bot_id, …
        """
        row = {"name": name, "llm_model": llm_model, "initial_balance": initial_balance}
        return Agent(self, str(agent_id), {**row, **described})

    def post(self, path, rows):
        """Send one row (a dict) or many (a list, of any length) and return what became of them.

        A row sent twice because an answer was lost is stored once. Raises BlotterError; of a
        list, only when none of it could be stored: look at ``failed`` and ``results``.
        """
        if not isinstance(rows, (list, tuple)):
            return self.send("POST", path, rows, once=True)
        total = {"created": 0, "unchanged": 0, "replaced": 0, "failed": 0, "results": []}
        refusal = None
        for start in range(0, len(rows), ROWS_AT_ONCE):
            try:
                part = self.send("POST", path, rows[start : start + ROWS_AT_ONCE], once=True)
            except BlotterError as error:
                if error.code != "batch_refused":
                    raise
                refusal, part = error, error.document
            for name in ("created", "unchanged", "replaced", "failed"):
                total[name] += part.get(name, 0)
            for one in part.get("results", ()):
                total["results"].append({**one, "index": one["index"] + start})
        if refusal and total["failed"] == len(rows):
            raise refusal
        return total

    def get(self, path, **query):
        """Return one answer: a row, or one page of a list."""
        words = {
            name: ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            for name, value in query.items()
        }
        return self.send("GET", f"{path}?{urllib.parse.urlencode(words)}" if words else path)

    def rows(self, path, **query):
        """Yield all rows of a list, page by page."""
        while True:
            page = self.get(path, **query)
            yield from page["results"]
            if not page.get("next"):
                return
            # Of its address only the question counts: the key is shown to this Blotter alone.
            asked = urllib.parse.urlsplit(page["next"]).query
            query = dict(urllib.parse.parse_qsl(asked, keep_blank_values=True))

    def send(self, method, path, value=None, retries=None, once=False):
        """Make one request below /api/v1/, as often as it takes, and return the answer."""
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        body = None
        if value is not None:
            body = json.dumps(value, default=_other, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        if once:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        left = self.retries if retries is None else retries
        pause = 0.5
        while True:
            try:
                return self._exchange(method, path, body, headers)
            except BlotterError as error:
                if not error.passing or left <= 0:
                    raise
                wait = pause * random.uniform(0.5, 1.5) if error.wait is None else error.wait
                # Who asks without end is worth a look.
                level = logging.INFO if left < math.inf else logging.WARNING
                log.log(level, "Blotter: %s; trying again in %.1f s", error, wait)
            self._sleep(min(wait, LONGEST_WAIT))
            left, pause = left - 1, min(pause * 2, LONGEST_WAIT)

    def surely(self, method, path, value=None):
        """Send until it is answered: for what may come twice. What is refused is raised."""
        return self.send(method, path, value, retries=math.inf)

    def _exchange(self, method, path, body, headers):
        address = f"{self.url}/api/v1/{path.lstrip('/')}"
        request = urllib.request.Request(address, body, headers, method=method)
        until = time.monotonic() + 3 * self.timeout
        try:
            try:
                answer = self._opener.open(request, timeout=self.timeout)
            except urllib.error.HTTPError as refusal:
                answer = refusal
            with answer:
                status, content = answer.getcode(), _read(answer, until)
                after = answer.headers.get("Retry-After", "")
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise BlotterError(0, "unreachable", f"{type(reason).__name__}: {reason}") from None
        try:
            found = json.loads(content.decode()) if content else None
        except ValueError:
            found = None
            if status < 300:
                detail = f"What answers at {self.url} is no Blotter."
                raise BlotterError(0, "not_json", detail) from None
        if status < 300:
            return found
        told = found if isinstance(found, dict) else {}
        wait = min(float(after), LONGEST_WAIT) if re.fullmatch(r"[0-9]{1,6}", after) else None
        code, detail = told.get("code", "refused"), told.get("detail", "")
        raise BlotterError(status, code, detail, told.get("errors") or (), told, wait)


# --- The life and the trades of a bot -------------------------------------------------------


class Bot:
    """A bot that is registered when its ``with`` block begins, and alive while it lasts.

    A thread sends a heartbeat every ``interval`` seconds with what was last reported, and brings
    back what staff want. What is told of trades, orders and states is certain: these methods come
    back when it is stored, however long Blotter is away. Use it from the process that made it.
    """

    def __init__(self, blotter, bot_id, trade_type, interval, described):
        self.bot_id, self.symbol = bot_id, described.get("symbol", "")
        self.answer = {}  # to the last heartbeat: desired_state, instruction, reason, health, …
        self._blotter, self._interval = blotter, interval
        self._row = {"type": trade_type, "heartbeat_interval_seconds": interval, **described}
        self._address = f"bots/instances/{_quoted(bot_id)}/"
        self._report, self._beats, self._away = {}, None, False
        self._looked_at = self._acknowledged = None
        self._state, self._beating = threading.Lock(), threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="blotter-bot", daemon=True)

    def __repr__(self):
        return f"Bot({self.bot_id!r})"

    def __enter__(self):
        self.register()
        self._beat_or_log({"status": "starting"})
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self._stop.set()
        self._thread.join(3 * self._blotter.timeout)
        meant = kind is None or issubclass(kind, KeyboardInterrupt)
        if not meant and not (issubclass(kind, SystemExit) and not error.code):
            news = {"status": "error", "last_error": _told(error)["traceback"]}
        else:
            news = {} if self._report.get("status") == "completed" else {"status": "stopped"}
        self._beat_or_log(news, retries=None)

    def register(self):
        """Tell who this bot is, or describe it anew; its life goes on. Return how it is stored."""
        return self._blotter.surely("PUT", self._address, self._row)

    # --- Signs of life, and what staff want ---

    def report(self, **news):
        """Say what the next heartbeats tell.

        status (running, paused, stopping, completed, …), current_balance, total_pnl,
        open_positions, last_candle_at, last_decision_at, error_count, last_error, loop_time_ms.
        """
        with self._state:
            self._report.update(news)

    def heartbeat(self, **news):
        """Report and give a sign of life now; return the answer. Raises BlotterError at once."""
        return self._beat(news, retries=0)

    def _beat(self, news, retries):
        with self._beating:
            self.report(**news)
            with self._state:
                body = {**self._report, "sent_at": _moment(time.time())}
                # With the count that we know, Blotter can tell an old heartbeat from a new one.
                counts = {"beat": self._beats, "acknowledged": self._acknowledged}
            body.update((name, count) for name, count in counts.items() if count is not None)
            path = f"{self._address}heartbeat/"
            answer = self._blotter.send("POST", path, _plain(body), retries)
            with self._state:
                self.answer, self._beats = answer, answer["beat"]
                if self._acknowledged != answer["instruction"]:
                    self._acknowledged = None
            return answer

    def wanted(self):
        """Return what staff want, as the last heartbeat was answered: run, pause or stop."""
        with self._state:
            self._looked_at = self.answer.get("instruction")
            return self.answer.get("desired_state", "run")

    def acknowledge(self):
        """Let the next heartbeat say that what ``wanted`` returned last is carried out."""
        with self._state:
            self._acknowledged = self._looked_at

    def _keep(self):
        while not self._stop.wait(self._interval):
            self._beat_or_log({})

    def _beat_or_log(self, news, retries=0):
        try:
            self._beat(news, retries)
            self._away = False
        except BlotterError as error:
            level = logging.DEBUG if self._away and error.passing else logging.WARNING
            log.log(level, "No heartbeat of %r: %s", self, error)
            self._away = True
        except Exception:
            log.exception("No heartbeat of %r", self)

    # --- Trades, orders and fills: prices, sizes and fees as Decimal or text ---

    def open_trade(self, trade_id, direction, size, entry_price, **more):
        """Tell of a trade that is entered and return it; the same again is harmless.

        ``trade_id`` is a UUID of yours, long or short the direction. More: entry_time, symbol,
        commission_rate or entry_commission, strategy_name, extra_metadata, … Raises BlotterError
        when it is refused (4xx), such as another trade of this id.
        """
        row = {"id": str(trade_id), "bot_id": self.bot_id, "symbol": self.symbol}
        row.update(direction=direction, size=size, entry_price=entry_price, **more)
        return self._blotter.surely("POST", "bots/trades/", row)

    def exit_part(self, trade_id, part_id, size, exit_price, **more):
        """Tell that a part of a trade is closed and return the part; the same again is harmless.

        ``part_id`` is a UUID of yours. A part as large as what is left closes the trade. More:
        exit_time, exit_reason, exit_commission or commission_rate, exit_metadata, …
        """
        row = {"id": str(part_id), "size": size, "exit_price": exit_price, **more}
        return self._blotter.surely("POST", f"bots/trades/{_quoted(trade_id)}/exits/", row)

    def close_trade(self, trade_id, exit_price, **more):
        """Tell that a trade, or what is left of it, is closed and return it.

        The same again is harmless, another close is a BlotterError (409). More: as of exit_part.
        Without exit_time it is when Blotter hears of it.
        """
        row = {"exit_price": exit_price, **more}
        return self._blotter.surely("POST", f"bots/trades/{_quoted(trade_id)}/close/", row)

    def order(self, order_id, side, quantity, **more):
        """Tell of an order (buy or sell). More: trade_id, order_type, price, submitted_at, …"""
        row = {"order_id": order_id, "bot_id": self.bot_id, "symbol": self.symbol}
        return self._blotter.surely(
            "POST", "bots/orders/", {**row, "side": side, "quantity": quantity, **more}
        )

    def fill(self, order_id, fill_id, quantity, price, timestamp, **more):
        """Tell of an execution of an order. More: commission, commission_currency, liquidity."""
        row = {"order_id": order_id, "fill_id": fill_id, "quantity": quantity, "price": price}
        return self._blotter.surely("POST", "bots/fills/", {**row, "timestamp": timestamp, **more})

    # --- What a restart needs ---

    def recovery(self):
        """Return everything to go on with, as of one moment.

        bot, open_trades, open_orders, lots, limits, balance (the ledger's and the reported one),
        and states: {key: {value, version}}.
        """
        found = self._blotter.surely("GET", f"{self._address}recovery/")
        with self._state:
            self._beats = max(self._beats or 0, found["beat"])
        return found

    def get_state(self, key):
        """Return (value, version) of a document that was put; (None, 0) where there is none."""
        try:
            found = self._blotter.surely("GET", f"bots/state/{_quoted(key)}/")
        except BlotterError as error:
            if error.status != 404:
                raise
            return None, 0
        return found["value"], found["version"]

    def put_state(self, key, value, version=None):
        """Replace this version of a document (0: there is none yet) and return the new one.

        When somebody else replaced it, it is a BlotterError with the code ``version_conflict``.
        Without a version whatever is stored is replaced.
        Keys are one space for all bots: begin them with the bot's name.
        """
        row = {"value": value, "bot_id": self.bot_id}
        if version is not None:
            row["version"] = version
        return self._blotter.surely("PUT", f"bots/state/{_quoted(key)}/", row)["version"]


# --- What an agent decides, and its trades --------------------------------------------------


class Agent:
    """An agent under an id of its own. What it is told of is certain, as with a bot.

    Its signs of life are those of a bot: ``with agent.bot(interval=30) as bot: …``.
    """

    def __init__(self, blotter, agent_id, row):
        self.agent_id, self._blotter, self._row = agent_id, blotter, row
        self._row.setdefault("bot_id", row["name"].replace("/", "-"))
        self._address = f"agents/agents/{_quoted(agent_id)}/"

    def __repr__(self):
        return f"Agent({self.agent_id!r})"

    def register(self):
        """Tell who this agent is, or describe it anew. Return how it is stored."""
        return self._blotter.surely("PUT", self._address, self._row)

    def bot(self, interval=60, **described):
        """Return the bot that tells of this agent's life, for a ``with`` statement."""
        row = {"initial_balance": self._row["initial_balance"]}
        row["quote_currency"] = self._row.get("quote_currency", "USD")
        mode = self._row.get("mode", "paper")
        return self._blotter.bot(self._row["bot_id"], mode, interval, **{**row, **described})

    def report_cycle(self, answer=None, decisions=None, cycle=None, call_id=None, **told):
        """Tell of one question to the model, and return what became of it.

        Its decisions are read from the ``answer``, unless ``decisions`` tells them: coin, action
        (OPEN_LONG, OPEN_SHORT, CLOSE_POSITION, HOLD), size_usd, leverage, stop_loss_price,
        take_profit_price, confidence (0 to 1), reasoning, … What was never answered has an
        ``error``. Told are also: prompt, prompt_version, timestamp, tokens_in, tokens_out, cost
        (US dollars), latency_ms, provider, model, and what the agent saw: account_value,
        withdrawable, positions ({"BTC": "long"}).

        Returned are id, status, cost, and ``decisions``, each with id, coin, action, status and
        violations. Carry out none whose status is not success. The same again is harmless, and
        answered as it was: under the same ``call_id``, a UUID, or the same number of the
        ``cycle``, from which it follows.
        """
        if call_id is None:
            own = None if cycle is None else f"{self.agent_id} {cycle}"
            call_id = uuid.uuid4() if own is None else uuid.uuid5(uuid.NAMESPACE_URL, own)
        row = {"id": str(call_id), "agent_id": self.agent_id, **told}
        news = {"cycle": cycle, "answer": answer, "decisions": decisions}
        row.update((name, value) for name, value in news.items() if value is not None)
        # What a model says may hold anything, and is to be kept all the same.
        return self._blotter.surely("POST", "agents/calls/", _plain(row))

    def open_trade(self, trade_id, decision_id=None, **more):
        """Tell of a trade that is entered and return it; the same again is harmless.

        ``trade_id`` is a UUID of yours. From the accepted decision that opened it follow coin,
        side, leverage, and its size by the entry price; else tell them. More: entry_price,
        entry_time, entry_fees, size, coin, side, leverage, notes, … Raises BlotterError when it is
        refused (4xx), such as another trade of this id.
        """
        row = {"id": str(trade_id), "agent_id": self.agent_id, **more}
        if decision_id is not None:
            row["decision_id"] = str(decision_id)
        return self._blotter.surely("POST", "agents/trades/", row)

    def close_trade(self, trade_id, exit_price=None, **more):
        """Tell that a trade is closed and return it; the same again is harmless.

        Without an ``exit_price`` its P&L is unknown, until another call tells it. More: exit_time
        (else when Blotter hears of it), exit_fees, close_decision_id, exit_reason, liquidated.
        """
        row = dict(more) if exit_price is None else {"exit_price": exit_price, **more}
        return self._blotter.surely("POST", f"agents/trades/{_quoted(trade_id)}/close/", row)

    def account(self, decisions=5):
        """Return the account as Blotter knows it now, with the newest so many decisions.

        value, withdrawable, realized, unrealized, margin_used, held ({"BTC": "long"}),
        open_trades, decisions, status, spent_today, budget_left, …
        """
        return self._blotter.surely("GET", f"{self._address}account/?decisions={decisions:d}")


# --- The progress of a run ------------------------------------------------------------------


class Step:
    """One step of a run. Set ``result`` to what it found.

    It ends as SUCCESS; set ``status`` to another word (SKIPPED, FAILED_INSUFFICIENT_DATA, …) and
    ``reason`` to a short code where that says more.
    """

    def __init__(self, run, name):
        self.name, self.result, self.status, self.reason = name, {}, "SUCCESS", ""
        self._run, self._clock, self._began = run, time.monotonic(), time.time()

    def __enter__(self):
        self._run._tell("steps/", {"step_name": self.name, "status": "RUNNING"}, self._began)
        self._run._check()
        return self

    def __exit__(self, kind, error, trace):
        result = self.result if isinstance(self.result, dict) else {"value": self.result}
        body = {"step_name": self.name, "status": self.status, "reason": self.reason}
        body["result_data"] = result
        if kind is not None and issubclass(kind, (Cancelled, KeyboardInterrupt)):
            body["status"] = "CANCELLED"
        elif kind is not None:
            told = _told(error)
            body["status"] = self.status if self.status.startswith("FAILED") else "FAILED"
            body.update(told, error_traceback=told.pop("traceback"))
            self._run._known_error = error
        # By the clock that is never set back.
        ended = self._began + time.monotonic() - self._clock
        self._run._tell("steps/", body, self._began, ended, quiet=kind is not None)


class Run:
    """A run that is reported while its ``with`` block lasts.

    ``cancelled`` tells whether somebody wishes it to end, for work that takes neither step nor
    progress for long. Use it from the process that made it.
    """

    def __init__(self, blotter, row):
        self.execution_id, self.cancelled, self.outcome = row["execution_id"], False, "COMPLETED"
        self._blotter, self._row = blotter, row
        self._every = max(0.2, min(15.0, row["lease_seconds"] / 4))
        self._waiting = deque()  # (verb, body, times), not delivered yet, the oldest first
        self._news = {}  # progress that is not reported yet
        self._errors, self._names, self._known_error = [], {}, None
        self._away = self._over = False
        self._told_at = -math.inf
        self._state, self._sending = threading.Lock(), threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="blotter", daemon=True)

    def __repr__(self):
        return f"Run({self.execution_id!r})"

    def __enter__(self):
        self._clock, self._began, self._used = time.monotonic(), time.time(), _usage()
        self._tell("", {**self._row, "status": "RUNNING"}, self._began)
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self._stop.set()
        status = self.outcome
        if kind is not None and issubclass(kind, (Cancelled, KeyboardInterrupt)):
            status = "CANCELLED"
        elif kind is not None and not (issubclass(kind, SystemExit) and not error.code):
            status = "FAILED"
            if error is not self._known_error:
                self._errors.append(_told(error))
        self._thread.join(3 * self._blotter.timeout)
        quiet = kind is not None
        while self._news:
            self._queue_news()
        body = {"status": status, "errors": self._errors[:1000], **self._resources()}
        ended = self._began + time.monotonic() - self._clock
        self._tell("finish/", body, ended=ended, last=True, quiet=quiet)
        if self._waiting and not self._over:
            log.error("Blotter was not told of %d reports of %r", len(self._waiting), self)
        return quiet and issubclass(kind, Cancelled)

    def step(self, name):
        """Return a step for a ``with`` statement; a name that comes again gets a number."""
        self._check()
        name = " ".join(UNSTORABLE.sub("\ufffd", str(name)).split())[:240] or "step"
        with self._state:
            self._names[name] = count = self._names.get(name, 0) + 1
        return Step(self, name if count == 1 else f"{name} #{count}")

    def progress(self, operation=None, completed=(), total=None):
        """Tell what is done now, which tasks are done, and how many there are in all.

        Call it as often as you like: it is sent about once a second.
        """
        self._check()
        with self._state:
            if operation is not None:
                self._news["current_operation"] = str(operation)[:500]
            if total is not None:
                self._news["total_tasks"] = total
            tasks = [str(task)[:255] for task in completed]
            self._news["completed_tasks"] = self._news.get("completed_tasks", []) + tasks
        if time.monotonic() - self._told_at >= 1.0:
            self._tell_news()
            self._check()

    def fail(self, message, error_type="Failed", step=""):
        """Let the run end as FAILED for this reason; the block goes on."""
        self.outcome = "FAILED"
        error = {"error_type": str(error_type)[:255], "error_message": str(message)[:100_000]}
        self._errors.append({**error, "step": str(step)[:255]})

    def _check(self):
        if self.cancelled:
            raise Cancelled(f"Somebody wishes {self.execution_id} to end.")

    def _keep(self):
        """Give signs of life until the block ends, and tell what could not be told before."""
        while not self._over and not self._stop.wait(self._every):
            try:
                self._tell_news(alive=True)
            except Exception:
                log.exception("Blotter: no sign of life of %r", self)

    def _tell_news(self, alive=False):
        """Report progress; ``alive``: even without any."""
        with self._sending:
            while (alive or self._news) and self._deliver():
                self._queue_news()
                alive = False
            self._deliver()

    def _queue_news(self):
        """Let progress wait to be sent: as much of it as Blotter takes at once."""
        with self._state:
            news, self._news = self._news, {}
            tasks = news.get("completed_tasks", [])
            if tasks[5_000:]:
                news["completed_tasks"] = tasks[:5_000]
                self._news["completed_tasks"] = tasks[5_000:]
        self._waiting.append(("progress/", _plain({**news, **self._resources()}), {}))

    def _tell(self, verb, body, began=None, ended=None, last=False, quiet=False):
        """Report something that must not be lost, behind what waits already."""
        times = {"timestamp_start": began, "timestamp_end": ended}
        times = {name: _moment(at) for name, at in times.items() if at}
        # Of what is told at once Blotter's own clock knows the time best.
        late = times if self._waiting or self._away else {}
        self._waiting.append((verb, {**_plain(body), **late}, times))
        with self._sending:
            self._deliver(last=last, quiet=quiet)

    def _deliver(self, last=False, quiet=False):
        """Send what waits, in its order; return whether nothing waits any more.

        While Blotter is away nobody waits for it: the thread asks, once each time.
        """
        own = threading.current_thread() is self._thread
        strict = self._blotter.strict and not own
        if self._away and not (own or last):
            return False
        while self._waiting and not self._over:
            verb, body, times = self._waiting[0]
            try:
                answer = self._blotter.send("POST", self._address(verb), body, 0 if own else None)
            except BlotterError as error:
                if error.passing and not strict:
                    log.log(logging.DEBUG if self._away else logging.WARNING, "%r: %s", self, error)
                    self._away = True
                    body.update(times)
                    return False
                self._waiting.popleft()
                self._refused(verb, body, error)
                if strict and not quiet:
                    raise
            else:
                self._waiting.popleft()
                self._told_at, self._away = time.monotonic(), False
                self._hear(verb, answer if isinstance(answer, dict) else {})
        return not self._waiting

    def _address(self, verb):
        return RUNS + (f"{_quoted(self.execution_id)}/{verb}" if verb else "")

    def _hear(self, verb, answer):
        """Take in what an answer says of the run."""
        if not verb and answer.get("status") == "PENDING":
            self._waiting.appendleft(("begin/", {}, {}))
        if verb != "finish/" and (
            answer.get("cancel_requested")
            or answer.get("cancel_requested_at")
            or answer.get("status") == "CANCELLED"
        ):
            self.cancelled = True

    def _refused(self, verb, body, error):
        """Make the best of a report that will never be taken."""
        optional = {"result_data", "timestamp_start", "timestamp_end"} & set(body)
        if not verb and error.code == "conflict":
            # It was started before, perhaps elsewhere: this goes on with it.
            self._waiting.appendleft(("begin/", {}, {}))
        elif error.status in (400, 413, 422) and optional:
            kept = {name: value for name, value in body.items() if name not in optional}
            self._waiting.appendleft((verb, kept, {}))
        elif not verb or error.code in ("execution_ended", "unknown_execution"):
            self._over = True
            self.cancelled = self.cancelled or "CANCELLED" in str(error)
        log.error("Blotter did not take %s of %r: %s", verb or "the start", self, error)

    def _resources(self):
        """Return what this process and its ended children used since the run began."""
        if self._used is None:
            return {}
        (cpu, _, disk), (now, peak, written) = self._used, _usage()
        share = 100 * (now - cpu) / max(time.monotonic() - self._clock, 0.001)
        used = {"cpu_usage_avg": share, "memory_peak_mb": peak, "disk_io_mb": written - disk}
        return {name: round(max(value, 0), 2) for name, value in used.items()}


# --- Helpers --------------------------------------------------------------------------------


def _quoted(key):
    """Return a key as it stands in an address."""
    return urllib.parse.quote(str(key), safe="")


def _usage():
    """Return CPU seconds, peak memory in MB and MB read and written, or None."""
    if resource is None:
        return None
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(each.ru_utime + each.ru_stime for each in (own, children))
    unit = 2**20 if sys.platform == "darwin" else 2**10
    blocks = sum(each.ru_inblock + each.ru_oublock for each in (own, children))
    return cpu, max(own.ru_maxrss, children.ru_maxrss) / unit, blocks * 512 / 2**20


def _told(error):
    """Return an exception as Blotter lists errors."""
    kind = type(error)
    only = "".join(traceback.format_exception_only(kind, error)).strip()
    whole = "".join(traceback.format_exception(kind, error, error.__traceback__))
    return {
        "error_type": kind.__name__[:255],
        "error_message": only.partition(": ")[2][:100_000],
        "traceback": whole[-100_000:],
    }


def _moment(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1e6):06}Z"


def _read(answer, until):
    """Return a whole body; one that comes by drops has to end in time."""
    parts = []
    while True:
        part = answer.read1(65_536)
        if not part:
            break
        parts.append(part)
        if time.monotonic() > until:
            raise TimeoutError("The answer did not end in time.")
    content = b"".join(parts)
    if len(content) < int(answer.headers.get("Content-Length") or 0):
        raise ConnectionError("The answer was cut short.")
    return content


def _plain(value, depth=0):
    """Return a value that JSON and PostgreSQL can hold: NaN becomes None, the unknown its text."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else None
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if depth < 40 and isinstance(value, dict):
        return {_plain(str(key)): _plain(inner, depth + 1) for key, inner in value.items()}
    if depth < 40 and isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner, depth + 1) for inner in value]
    try:
        return _plain(_other(value), depth + 1) if depth < 40 else str(value)[:1000]
    except Exception:  # noqa: BLE001  # a foreign __str__ may raise anything
        return f"<{type(value).__name__}>"


def _other(value):
    """Return what JSON does not know as what it does: NumPy's values, times, decimals."""
    for name in ("tolist", "isoformat"):
        if hasattr(value, name) and not isinstance(value, type):
            return getattr(value, name)()
    return str(value)
