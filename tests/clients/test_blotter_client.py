"""The client that others copy, against a small server that behaves as badly as it is told to."""

import ast
import logging
import socket
import sys
import threading
from pathlib import Path

import pytest

from clients import blotter_client
from clients.blotter_client import Blotter, BlotterError, Cancelled
from tests.clients.server import (
    CUT,
    DRIP,
    DROP,
    FINE,
    KEY,
    RUNS,
    WORDS,
    FakeBlotter,
    impatient,
    refusal,
    until,
)


class TestTheFile:
    source = Path(blotter_client.__file__).read_text()

    def test_is_python_of_2019(self):
        ast.parse(self.source, feature_version=(3, 8))

    def test_needs_nothing_but_python(self):
        found = [
            name.name if isinstance(node, ast.Import) else str(node.module)
            for node in ast.walk(ast.parse(self.source))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in node.names
        ]
        assert {name.partition(".")[0] for name in found} <= sys.stdlib_module_names


class TestAsking:
    @pytest.mark.parametrize(
        "trouble",
        [
            DROP,
            (200, {}, DRIP),
            (200, {}, CUT),
            (200, {}, WORDS),
            refusal(500, "server_error"),
            refusal(502, "bad_gateway"),
            (503, {"Retry-After": "2"}, WORDS),
            (429, {"Retry-After": "7"}, {"code": "throttled"}),
            (409, {"Retry-After": "1"}, {"code": "idempotency_key_in_use"}),
        ],
    )
    def test_goes_on_until_it_is_well(self, server, blotter, waits, trouble):
        server.script = [trouble, trouble]

        assert blotter.get("alerts/alerts/1/") == FINE
        assert len(server.seen) == 3
        asked_for = trouble[1].get("Retry-After") if isinstance(trouble, tuple) else None
        if asked_for:
            assert waits == [float(asked_for)] * 2
        else:
            assert 0.25 <= waits[0] <= 0.75
            assert 0.5 <= waits[1] <= 1.5

    def test_ends_when_it_never_is(self, server, blotter):
        server.usual = lambda path, body: refusal(500, "server_error")

        with pytest.raises(BlotterError) as caught:
            blotter.get("alerts/alerts/1/")

        assert (caught.value.status, caught.value.code) == (500, "server_error")
        assert len(server.seen) == 4

    def test_nobody_says_so(self, waits):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
            blotter = impatient(Blotter(nobody, KEY, timeout=0.3, retries=2), waits)
            with pytest.raises(BlotterError) as caught:
                blotter.get("alerts/alerts/")

        assert (caught.value.status, caught.value.code, len(waits)) == (0, "unreachable", 2)

    def test_is_not_repeated_when_it_is_wrong(self, server, blotter):
        wrong = {"pointer": "/symbol", "code": "empty", "message": "Must not be empty."}
        server.usual = lambda path, body: refusal(400, "invalid", errors=[wrong])

        with pytest.raises(
            BlotterError, match=r"400 invalid: .*/symbol: Must not be empty"
        ) as caught:
            blotter.post("alerts/alerts/", {"symbol": ""})

        assert caught.value.errors == [wrong]
        assert len(server.seen) == 1

    def test_under_one_name_is_done_once(self, server, blotter):
        server.script = [DROP]

        blotter.post("logs/system-logs/", {"message": "filled"})
        blotter.post("logs/system-logs/", {"message": "filled"})

        first, again, other = (each["Idempotency-Key"] for each in server.headers)
        assert first == again != other

    def test_for_many_is_done_in_parts(self, server, blotter):
        bad = {"index": 1, "status": "failed", "errors": []}
        counts = {"created": 4999, "unchanged": 0, "failed": 1, "results": [bad]}
        all_bad = refusal(400, "batch_refused", created=0, failed=1, results=[{**bad, "index": 0}])
        server.script = [counts, all_bad]

        found = blotter.post("market/candles/", [{}] * 5001)

        assert [len(body) for _, _, body in server.seen] == [5000, 1]
        assert (found["created"], found["failed"]) == (4999, 2)
        assert [each["index"] for each in found["results"]] == [1, 5000]

    def test_of_a_list_in_vain_is_an_error(self, server, blotter):
        server.script = [refusal(400, "batch_refused", created=0, failed=1)]

        with pytest.raises(BlotterError):
            blotter.post("market/candles/", [{}])

    def test_with_no_number_is_an_error(self, blotter):
        with pytest.raises(ValueError, match="JSON"):
            blotter.post("market/candles/", {"open": float("nan")})

    def test_turns_the_pages_at_one_address(self, server, blotter):
        elsewhere = "http://elsewhere.invalid/stolen/?cursor=a%2Bb&limit=2"
        server.script = [
            {"results": [1, 2], "next": elsewhere},
            {"results": [3], "next": None},
        ]

        assert list(blotter.rows("alerts/alerts/", symbol=["A/B", "C"], limit=2)) == [1, 2, 3]
        assert [path for _, path, _ in server.seen] == [
            "/api/v1/alerts/alerts/?symbol=A%2FB%2CC&limit=2",
            "/api/v1/alerts/alerts/?cursor=a%2Bb&limit=2",
        ]


class TestTheKey:
    def test_is_not_carried_elsewhere(self, server, blotter):
        with FakeBlotter() as elsewhere:
            server.script = [(302, {"Location": f"{elsewhere.url}/api/v1/alerts/"}, {})]
            with pytest.raises(BlotterError, match="302"):
                blotter.get("alerts/")
            assert elsewhere.seen == []

    def test_is_never_shown(self, server, blotter, caplog):
        caplog.set_level(logging.DEBUG)
        server.usual = lambda path, body: DROP

        with blotter.execution("nightly") as run, run.step("load"):
            shown = f"{blotter!r} {run!r} {vars(run)}"

        assert "secret" not in shown + caplog.text
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"

    @pytest.mark.parametrize("key", ["", "blt_secret\n", "blt secret", "blt_sécret", None])
    def test_must_be_one(self, key):
        with pytest.raises(ValueError, match="key") as caught:
            Blotter("http://127.0.0.1", key)
        assert "cret" not in str(caught.value)

    @pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host", "http://", "http://u:p@h"])
    def test_needs_an_address(self, url):
        with pytest.raises(ValueError, match="address"):
            Blotter(url, KEY)


class TestARun:
    def test_is_told_from_start_to_end(self, server, blotter):
        with blotter.execution("Nightly backtest!", symbol="BTC/USDT", total_tasks=2) as run:
            with run.step("load") as step:
                step.result = {"sharpe": float("nan"), "when": Path("a"), "odd": "\ud800"}
            run.progress("testing", completed=["trend"])

        assert server.verbs() == [
            "start",
            "load RUNNING",
            "load SUCCESS",
            "progress",
            "finish COMPLETED",
        ]
        start = server.seen[0][2]
        assert start["execution_id"] == run.execution_id
        assert start["execution_id"].startswith("nightly_backtest_2")
        assert (start["execution_type"], start["status"]) == ("NIGHTLY_BACKTEST", "RUNNING")
        assert (start["symbol"], start["total_tasks"]) == ("BTC/USDT", 2)
        assert server.bodies("steps")[1]["result_data"] == {
            "sharpe": None,
            "when": "a",
            "odd": "\ufffd",
        }
        (end,) = server.bodies("finish")
        assert end["errors"] == []
        assert end["memory_peak_mb"] > 1

    def test_of_no_trouble_leaves_the_time_to_blotter(self, server, blotter):
        with blotter.execution("nightly") as run, run.step("load"):
            pass

        assert not any("timestamp" in name for _, _, body in server.seen for name in body)

    def test_under_one_id_is_one_run(self, server, blotter):
        server.script = [refusal(409, "conflict")]

        with blotter.execution("nightly", execution_id="nightly 2026/01"):
            pass

        assert [path.removeprefix(RUNS) for _, path, _ in server.seen] == [
            "",
            "nightly%202026%2F01/begin/",
            "nightly%202026%2F01/finish/",
        ]

    def test_that_waited_is_begun(self, server, blotter):
        server.script = [{"status": "PENDING"}]

        with blotter.execution("nightly", execution_id="retried"):
            pass

        assert server.verbs() == ["start", "begin", "finish COMPLETED"]

    def test_tells_of_a_failure_once_and_lets_it_go_on(self, server, blotter):
        with (
            pytest.raises(KeyError),
            blotter.execution("nightly") as run,
            run.step("load"),
        ):
            {}["missing"]

        failed = server.bodies("steps")[1]
        assert (failed["status"], failed["error_type"]) == ("FAILED", "KeyError")
        assert failed["error_message"] == "'missing'"
        assert 'test_blotter_client.py", line' in failed["error_traceback"]
        (end,) = server.bodies("finish")
        assert (end["status"], end["errors"]) == ("FAILED", [])

    def test_tells_of_a_failure_outside_of_steps(self, server, blotter):
        with pytest.raises(ZeroDivisionError), blotter.execution("nightly"):
            1 / 0  # noqa: B018

        (end,) = server.bodies("finish")
        (error,) = end["errors"]
        assert (error["error_type"], error["error_message"]) == (
            "ZeroDivisionError",
            "division by zero",
        )
        assert "1 / 0" in error["traceback"]

    def test_goes_on_after_a_step_that_failed(self, server, blotter):
        with blotter.execution("nightly") as run:
            for number in range(2):
                try:
                    with run.step("test"):
                        assert number
                except AssertionError:
                    pass

        assert server.verbs()[2:] == [
            "test FAILED",
            "test #2 RUNNING",
            "test #2 SUCCESS",
            "finish COMPLETED",
        ]

    def test_ends_as_it_is_told(self, server, blotter):
        with blotter.execution("nightly") as run:
            with run.step("load") as step:
                step.status, step.reason = "FAILED_INSUFFICIENT_DATA", "history_too_short"
            run.fail("There is not enough of it.", step="load")

        assert server.bodies("steps")[1]["reason"] == "history_too_short"
        (end,) = server.bodies("finish")
        assert (end["status"], end["errors"][0]["step"]) == ("FAILED", "load")

    @pytest.mark.parametrize(
        ("leaving", "status"),
        [
            (SystemExit(), "COMPLETED"),
            (SystemExit(0), "COMPLETED"),
            (SystemExit(2), "FAILED"),
            (KeyboardInterrupt(), "CANCELLED"),
        ],
    )
    def test_left_by_force_is_ended(self, server, blotter, leaving, status):
        with pytest.raises(type(leaving)), blotter.execution("nightly"):
            raise leaving

        assert server.verbs()[-1] == f"finish {status}"

    def test_sends_what_comes_too_often_together(self, server, blotter):
        with blotter.execution("nightly") as run:
            for number in range(12_000):
                run.progress(f"task {number}", completed=[number])

        told = [body["completed_tasks"] for body in server.bodies("progress")]
        assert [task for tasks in told for task in tasks] == list(map(str, range(12_000)))
        assert max(map(len, told)) <= 5_000
        assert len(told) < 100

    def test_gives_signs_of_life(self, server, blotter):
        with blotter.execution("nightly", lease_seconds=1):
            until(lambda: len(server.bodies("progress")) >= 2)

        assert server.verbs() == ["start", "finish COMPLETED"]
        assert not [thread for thread in threading.enumerate() if thread.name == "blotter"]


class TestAWishToEnd:
    def test_is_seen_at_the_next_step_and_acknowledged(self, server, blotter):
        done = []
        server.script = [FINE, FINE, {**FINE, "cancel_requested": True}]

        with blotter.execution("nightly") as run:
            with run.step("load"):
                done.append("load")
            with run.step("train"):
                done.append("train")

        assert done == ["load"]
        assert run.cancelled
        assert server.verbs()[2:] == ["load SUCCESS", "finish CANCELLED"]

    def test_inside_of_a_step_ends_that_too(self, server, blotter):
        server.usual = lambda path, body: {**FINE, "cancel_requested": "progress" in path}

        with blotter.execution("nightly") as run, run.step("load"):
            run._told_at = 0
            run.progress("half")

        assert server.verbs()[-2:] == ["load CANCELLED", "finish CANCELLED"]

    def test_reaches_who_is_busy(self, server, blotter):
        server.usual = lambda path, body: {**FINE, "cancel_requested": "progress" in path}

        with blotter.execution("nightly", lease_seconds=1) as run:
            until(lambda: run.cancelled)
            with pytest.raises(Cancelled):
                run.progress()

        assert server.verbs()[-1] == "finish COMPLETED"


class TestBlotterAway:
    def test_from_start_to_end_does_not_hold_up_the_work(self, server, blotter, waits, caplog):
        server.usual = lambda path, body: DROP
        done = []

        with blotter.execution("nightly") as run:
            for number in range(100):
                with run.step("test"):
                    done.append(number)

        assert len(done) == 100
        # The first and the last report alone are worth waiting for.
        assert len(waits) == 6
        assert "was not told of 202 reports" in caplog.text

    def test_for_a_while_loses_nothing(self, server, blotter):
        away = threading.Event()
        server.usual = lambda path, body: DROP if away.is_set() else FINE

        with blotter.execution("nightly", lease_seconds=1) as run:
            away.set()
            with run.step("load"):
                pass
            with run.step("train"):
                run.progress(completed=["a"])
            away.clear()
            server.seen.clear()
            until(lambda: not run._waiting)

        assert server.verbs() == [
            "load RUNNING",
            "load SUCCESS",
            "train RUNNING",
            "train SUCCESS",
            "progress",
            "finish COMPLETED",
        ]
        began, ended = server.bodies("steps")[:2]
        assert began["timestamp_start"] == ended["timestamp_start"] <= ended["timestamp_end"]
        assert "timestamp_end" not in server.bodies("finish")[0]

    def test_is_an_error_to_who_wants_it(self, server, waits):
        server.script = [FINE]
        server.usual = lambda path, body: DROP
        blotter = impatient(Blotter(server.url, KEY, timeout=0.3, retries=1, strict=True), waits)

        with (
            pytest.raises(BlotterError),
            blotter.execution("nightly") as run,
            run.step("load"),
        ):
            pytest.fail("It must not begin.")

    def test_with_a_wrong_key_is_asked_once(self, server, blotter, caplog):
        server.usual = lambda path, body: refusal(401, "not_authenticated")

        with blotter.execution("nightly") as run, run.step("load"):
            pass

        assert len(server.seen) == 1
        assert "401 not_authenticated" in caplog.text

    def test_from_a_run_that_was_given_up(self, server, blotter):
        server.script = [FINE, refusal(409, "execution_ended")]
        done = []

        with blotter.execution("nightly") as run:
            for name in ("load", "train"):
                with run.step(name):
                    done.append(name)

        assert done == ["load", "train"]
        assert len(server.seen) == 2

    def test_keeps_the_outcome_of_a_step_whose_result_is_not_taken(self, server, blotter):
        server.script = [FINE, FINE, refusal(413, "body_too_large")]

        with blotter.execution("nightly") as run, run.step("load") as step:
            step.result = {"rows": ["x"] * 1000}

        assert server.verbs()[-3:] == ["load SUCCESS", "load SUCCESS", "finish COMPLETED"]
        assert "result_data" not in server.bodies("steps")[-1]

    def test_for_so_long_that_clocks_disagree_keeps_the_outcome(self, server, blotter):
        away = threading.Event()
        ahead = refusal(422, "invalid")
        server.usual = lambda path, body: (
            DROP if away.is_set() else ahead if "timestamp_end" in body else FINE
        )

        with blotter.execution("nightly", lease_seconds=1) as run:
            away.set()
            with run.step("load"):
                pass
            away.clear()
            until(lambda: not run._waiting)

        assert server.verbs()[-2:] == ["load SUCCESS", "finish COMPLETED"]
        assert "timestamp_end" not in server.bodies("steps")[-1]

    def test_until_the_end_is_told_all_at_the_end(self, server, blotter):
        away = threading.Event()
        server.usual = lambda path, body: DROP if away.is_set() else FINE

        with blotter.execution("nightly") as run:
            away.set()
            with run.step("load"):
                pass
            run.progress(completed=["a"])
            away.clear()
            server.seen.clear()

        assert server.verbs() == ["load RUNNING", "load SUCCESS", "progress", "finish COMPLETED"]
        assert "timestamp_end" in server.bodies("finish")[0]
