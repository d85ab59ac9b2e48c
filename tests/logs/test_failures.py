"""Failures of one cause are one group, wherever and whenever they happen."""

import traceback

import pytest

from apps.logs.domain.failures import Culprit, culprit_of, fingerprint

OWN = """Traceback (most recent call last):
  File "/srv/blotter/config/run.py", line 3, in <module>
    main()
  File "/srv/blotter/apps/bots/services.py", line 88, in close
    send(order)
    ^^^^^^^^^^^
  File "/venv/lib/python3.11/site-packages/httpx/_client.py", line 12, in send
    raise mapped(message) from exc
  File "<frozen importlib._bootstrap>", line 1, in _load
httpx.ConnectError: refused by 10.0.0.1 at 0x7f12
"""
CHAINED = (
    OWN
    + """
During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/blotter/apps/bots/tasks.py", line 5, in watch
    close()
RuntimeError: gave up
"""
)
FOREIGN = """Traceback (most recent call last):
  File "/usr/lib/python3.11/json/__init__.py", line 346, in loads
    return _default_decoder.decode(s)
  File "/usr/lib/python3.11/json/decoder.py", line 337, in decode
    obj, end = self.raw_decode(s)
json.decoder.JSONDecodeError: Expecting value
"""
NODE = """TypeError: Cannot read properties of undefined (reading 'price')
    at Object.parse (node:internal/json:3:1)
    at send (/srv/bot/node_modules/ccxt/js/base.js:10:5)
    at async Trader.close (/srv/bot/src/trader.js:42:13)
    at /srv/bot/src/index.js:7:1
"""
JAVA = """java.lang.IllegalStateException: closed
\tat java.util.Objects.check(Objects.java:3)
\tat com.shop.bots.Order.close(Order.java:12)
\tat com.shop.Main.main(Main.java:5)
"""
GO = """panic: runtime error: index out of range [3] with length 3

goroutine 1 [running]:
main.(*Bot).close(0xc000012, 0x3)
\t/home/bob/src/bot/orders.go:15 +0x1d
main.main()
\t/home/bob/src/bot/main.go:7 +0x20
"""


class TestCulprit:
    @pytest.mark.parametrize(
        ("trace", "expected"),
        [
            (OWN, Culprit("apps/bots/services.py", "close")),
            (CHAINED, Culprit("apps/bots/tasks.py", "watch")),
            (FOREIGN, Culprit("json/decoder.py", "decode")),
            (NODE, Culprit("src/trader.js", "Trader.close")),
            (JAVA, Culprit("com.shop.bots.Order", "close")),
            (GO, Culprit("src/bot/orders.go", "main.(*Bot).close")),
        ],
        ids=["own", "chained", "foreign", "node", "java", "go"],
    )
    def test_is_the_innermost_frame_of_our_own(self, trace, expected):
        assert culprit_of(trace) == expected
        assert culprit_of(trace.replace("\n", "\r\n")) == expected

    def test_is_the_same_on_every_machine(self):
        windows = OWN.replace(
            "/srv/blotter/apps/bots/services.py", r"C:\work\apps\bots\services.py"
        )
        assert culprit_of(windows) == culprit_of(OWN)
        bare = OWN.replace("/srv/blotter/apps/bots/services.py", "/home/bob/robot/run.py")
        assert culprit_of(bare) == Culprit("robot/run.py", "close")

    def test_of_an_exception_group_is_where_the_group_was_raised(self):
        def member():
            raise ValueError("inside")

        def gather():
            try:
                member()
            except ValueError as error:
                raise ExceptionGroup("many", [error]) from None

        try:
            gather()
        except ExceptionGroup:
            trace = traceback.format_exc()
        assert culprit_of(trace) == Culprit("logs/test_failures.py", "gather")

    @pytest.mark.parametrize("trace", ["", "no trace at all", "at noon\n at last", 'File "'])
    def test_is_none_without_a_frame(self, trace):
        assert culprit_of(trace) is None


class TestFingerprint:
    def test_is_32_hexadecimal_digits(self):
        assert len(fingerprint("ValueError", OWN, "bots")) == 32
        assert int(fingerprint("ValueError", "", ""), 16)

    def test_does_not_mind_lines_code_messages_and_components(self):
        changed = (
            OWN.replace("line 88", "line 99")
            .replace("send(order)", "post(order)")
            .replace("0x7f12", "0x9999")
        )
        assert fingerprint("E", OWN, "a") == fingerprint("E", changed, "b")
        assert fingerprint("Error 0x7f", "", "a") == fingerprint("Error 0x80", "", "a")

    def test_tells_types_and_places_apart(self):
        made = {
            fingerprint("E", OWN, "a"),
            fingerprint("F", OWN, "a"),
            fingerprint("E", CHAINED, "a"),
            fingerprint("E", "", "a"),
            fingerprint("E", "", "b"),
        }
        assert len(made) == 5

    def test_takes_a_huge_trace(self):
        frame = '  File "/srv/apps/x.py", line 1, in again\n    again()\n'
        trace = "Traceback (most recent call last):\n" + frame * 50_000 + "RecursionError: deep"
        assert culprit_of(trace) == Culprit("apps/x.py", "again")
