"""Programs with nothing but Python's standard library report to the product; no line is lost.

``LOG_INTAKE_LINES=100000`` makes it the whole measure.
"""

import os
import subprocess
import sys
import time

import pytest

LINES = int(os.environ.get("LOG_INTAKE_LINES", "1200"))
LOGS = "/api/v1/logs/system-logs/"

pytestmark = pytest.mark.timeout(300 + LINES // 20)

# What they are told: address, key, how many lines.
WITH_HANDLER = """
import logging, logging.handlers, sys

address, key, lines = sys.argv[1:]
log = logging.getLogger("standard.bot")
log.setLevel("INFO")
log.addHandler(
    logging.handlers.HTTPHandler(
        address, "/api/v1/logs/records/", method="POST", credentials=("any", key)
    )
)
for number in range(int(lines)):
    log.info("Order %05d of %s filled at %.2f", number, "BTC/USDT", number / 7)
"""
WITH_HTTP = """
import http.client, json, sys

address, key, lines = sys.argv[1:]
connection = http.client.HTTPConnection(address)
headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
for start in range(0, int(lines), 1_000):
    body = [
        {"logger_name": "plain.bot", "level": "info", "message": f"Order {number:05} filled"}
        for number in range(start, min(start + 1_000, int(lines)))
    ]
    connection.request("POST", "/api/v1/logs/system-logs/", json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.read() and answer.status == 201, answer.status
"""


@pytest.fixture(scope="module")
def product(shared_product):
    return shared_product.with_key("a bot", "logs:read", "logs:write")


def run(product, script):
    """Run a program to its end; return how long it took, in seconds."""
    start = time.monotonic()
    address = product.address.removeprefix("http://")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, address, product.key, str(LINES)],
        capture_output=True,
        text=True,
        timeout=120 + LINES // 20,
        check=False,
    )
    took = time.monotonic() - start
    sys.stdout.write(f"{LINES:,} lines in {took:.1f} s\n")
    # The handler tells of lines it could not send there, and goes on.
    assert (done.returncode, done.stderr) == (0, "")
    return took


def stored(product, logger):
    query = f"{LOGS}?logger_name={logger}&ordering=timestamp&limit=1000&fields=message,level"
    return [(row["level"], row["message"]) for row in product.every(query)]


class TestIntake:
    def test_of_the_standard_handler_is_whole_and_formatted(self, product):
        run(product, WITH_HANDLER)

        assert stored(product, "standard.bot") == [
            ("INFO", f"Order {number:05} of BTC/USDT filled at {number / 7:.2f}")
            for number in range(LINES)
        ]

    def test_of_plain_http_is_whole(self, product):
        run(product, WITH_HTTP)

        assert sorted(stored(product, "plain.bot")) == [
            ("INFO", f"Order {number:05} filled") for number in range(LINES)
        ]
