"""What one request brought about stands on one page, and no secret stands anywhere."""

import http.client
import json
import secrets
import subprocess
import sys
import urllib.parse

import pytest

from config import embedded, places
from tests.e2e.product import wait_for

LOGS = "/api/v1/logs"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def product(shared_product):
    scopes = ["alerts:read", "alerts:write", "logs:read", "logs:write"]
    return shared_product.with_key("a bot", *scopes)


def call(product, method, path, body=b"", **headers):
    """Send one request with headers of one's own; return its status."""
    connection = http.client.HTTPConnection(product.address.removeprefix("http://"), timeout=60)
    usual = {"Authorization": f"Bearer {product.key}", "Content-Type": "application/json"}
    connection.request(method, path, body, usual | headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


class TestTrace:
    def test_shows_request_event_and_task_of_an_alert(self, product):
        cause = "alert-at-14-32"
        alert = {"alert_id": "a1", "symbol": "BTC/USD", "timestamp": "2026-03-02T12:00:00Z"}
        body = json.dumps(alert | {"entry_price": "100"}).encode()
        status = call(product, "POST", "/api/v1/alerts/alerts/", body, **{"X-Request-ID": cause})
        assert status == 201

        def entries():
            status, trace = product.get(f"{LOGS}/trace/{cause}/")
            return trace["entries"] if status == 200 else []

        wait_for(lambda: len(entries()) >= 3, 30, lambda: str(entries()))
        told = {entry["source"]: entry["description"] for entry in entries()}
        assert told["user_action"] == "POST /api/v1/alerts/alerts/ 201"
        assert told["trading_event"] == "alert_raised - BTC/USD"
        assert told["performance"].startswith("apps.alerts.tasks.track_prices (")


def planted():
    """Return (secret, text that holds it) of every kind, new ones each time."""

    def digits(size):
        return secrets.token_hex(size)

    word, key, token = f"Hunter{digits(6)}", digits(20), digits(24)
    pem = "\n".join(["-----BEGIN PRIVATE KEY-----", key, "-----END PRIVATE KEY-----"])
    own = f"blt_abcdefgh_{digits(32)}"
    aws, open_ai, github = f"AKIA{digits(8).upper()}", f"sk-proj-{digits(20)}", f"ghp_{digits(18)}"
    jwt = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI{digits(8)}.{digits(20)}"
    return [
        (word, f"login failed with password={word}"),
        (key, f"could not sign with\n{pem}\nat all"),
        (token, f"sent Authorization: Bearer {token} to the venue"),
        (own, f"called with {own}"),
        (aws, f"credentials {aws} refused"),
        (open_ai, f"model called with {open_ai}"),
        (github, f"cloned with {github}"),
        (jwt, f"session {jwt} expired"),
        *(
            (secret, text.format(secret))
            for secret, text in [
                (digits(10), "cannot reach postgres://bot:{}@db.example:5432/trades"),
                (digits(11), "cannot reach redis://:{}@cache.example/0"),
                (digits(12), "GET https://venue.example/order?symbol=BTC&signature={} failed"),
                (digits(13), "headers were {{'X-MBX-APIKEY': '{}'}}"),
                (digits(14), 'answered {{"api_secret": "{}", "ok": false}}'),
                (digits(32), "wallet private_key=0x{}"),
            ]
        ),
    ]


class TestSecrets:
    def test_none_of_any_input_is_in_a_dump_of_the_database(self, product):
        sent = []

        def texts(kinds=None):
            found = planted()[:kinds]
            sent.extend(secret for secret, _ in found)
            return [text for _, text in found]

        self.send_through_the_api(product, texts)
        self.send_as_a_logging_program(product, texts)
        self.send_in_requests(product, texts)
        self.log_in_our_own_process(product, texts)
        marker = "the last line of all"
        product.manage("shell", "-c", f"import logging; logging.getLogger('x').error({marker!r})")

        dump = self.dump(product)
        assert marker in dump
        assert len(sent) > 100
        kept = [
            dump[max(0, dump.find(secret) - 200) :][:300]
            for secret in sent
            if secret in dump or secret.encode().hex() in dump
        ]
        assert kept == []

    def send_through_the_api(self, product, texts):
        for resource, fields in {
            "system-logs": {"level": "ERROR", "logger_name": "bot", "message": None},
            "trading-events": {"event_type": "order_placed"},
            "performance-logs": {"operation_name": "sign", "duration_ms": "1.5"},
            "error-logs": {"error_type": "E", "error_message": None, "stack_trace": None},
            "user-action-logs": {"action_type": "x", "user_agent": None, "request_path": None},
        }.items():
            free = [name for name, value in fields.items() if value is None]
            rows = [
                fields | dict.fromkeys(free, text) | {"metadata": {"a": [{"b": text}], text: 1}}
                for text in texts()
            ]
            rows += [fields | dict.fromkeys(free, "x") | {"metadata": {"password": texts(1)[0]}}]
            path = f"{LOGS}/{resource}/"
            status, answer = product.post(path, rows)
            assert (status, answer.get("failed")) == (201, 0), answer
            assert product.post(path, rows[0])[0] == 201
            lines = "\n".join(json.dumps(row) for row in rows).encode()
            headers = {"Content-Type": "application/x-ndjson"}
            assert call(product, "POST", path, lines, **headers) == 201

    def send_as_a_logging_program(self, product, texts):
        """Run a program of the standard library alone; it closes no connection in good order."""
        address = product.address.removeprefix("http://")
        program = f"""
import logging, logging.handlers
handler = logging.handlers.HTTPHandler(
    {address!r}, "{LOGS}/records/", method="POST", credentials=("bot", {product.key!r})
)
screen = logging.StreamHandler(open("/dev/null", "w"))
logging.basicConfig(handlers=[screen, handler])
for text in {texts()!r}:
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("bot").exception("it said %s", text, extra={{"sent": text}})
"""
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

    def send_in_requests(self, product, texts):
        for text in texts():
            quoted = urllib.parse.quote(text.replace("\n", " "))
            path = f"/api/v1/alerts/alerts/?note={quoted}"
            line = text.replace("\n", " ")
            assert call(product, "GET", path, **{"User-Agent": line, "Referer": line}) == 400
            call(product, "GET", f"/nowhere/{quoted}/", **{"X-Request-ID": text.split()[-1]})

    def log_in_our_own_process(self, product, texts):
        code = "import logging, sys\nlog = logging.getLogger('bot')\n"
        for text in texts():
            code += f"log.warning('%s', {text!r}, extra={{'note': {text!r}}})\n"
            code += f"try:\n    raise ValueError({text!r})\nexcept ValueError:\n"
            code += f"    log.exception({text!r})\n"
        product.manage("shell", "-c", code)

    def dump(self, product):
        settings = embedded.database_settings(embedded.database_url(product.home))
        binaries = places.prepare(product.home).postgres
        command = [str(binaries / "pg_dump"), "--host", settings["HOST"]]
        command += ["--username", settings["USER"], settings["NAME"]]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode(errors="replace")
