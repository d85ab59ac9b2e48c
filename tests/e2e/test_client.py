"""Programs with the copied client report their runs to the running product."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from clients import blotter_client
from clients.blotter_client import Blotter, BlotterError
from tests.e2e.product import wait_for

RUNS = "executions/executions/"
STEPS = "executions/steps/"
# Python, unless another one shall run the programs: CLIENT_PYTHON=python3.8
PYTHON = os.environ.get("CLIENT_PYTHON", sys.executable)

pytestmark = pytest.mark.timeout(300)

# What they are told: address, key, id of the run.
ENDLESS = """
import sys, time
from blotter_client import Blotter

address, key, run_id = sys.argv[1:]
with Blotter(address, key).execution("endless", execution_id=run_id, lease_seconds=5) as run:
    with run.step("wait"):
        print("running", flush=True)
        while True:
            run.progress("waiting")
            time.sleep(0.1)
"""
FAILING = """
import sys
from blotter_client import Blotter

address, key, run_id = sys.argv[1:]
with Blotter(address, key).execution("failing", execution_id=run_id) as run:
    with run.step("load"):
        raise OSError("The disk is gone: \\udcff")
"""


@pytest.fixture(scope="module")
def product(shared_product):
    return shared_product.with_key("a pipeline", "executions:read", "executions:write")


@pytest.fixture
def blotter(product) -> Blotter:
    return Blotter(product.address, product.key, timeout=5, retries=1)


@pytest.fixture
def program(product, tmp_path) -> Iterator:
    """Return what starts a program beside a copy of the client, in an empty folder."""
    shutil.copy(blotter_client.__file__, tmp_path)
    started: list[subprocess.Popen[str]] = []

    def start(source: str, run_id: str) -> subprocess.Popen[str]:
        (tmp_path / "program.py").write_text(source)
        command = [PYTHON, "-W", "error", "program.py", product.address, product.key, run_id]
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


class Gate:
    """Stands before an address; closed, it lets nobody through and lets go of who is inside."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self._behind = (host, int(port))
        self._open: list[socket.socket] = []
        self.closed = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._stand, daemon=True).start()

    def _stand(self) -> None:
        while True:
            try:
                came, _ = self._socket.accept()
            except OSError:
                return
            if self.closed.is_set():
                came.close()
                continue
            inside = socket.create_connection(self._behind)
            self._open += [came, inside]
            for here, there in ((came, inside), (inside, came)):
                threading.Thread(target=self._carry, args=(here, there), daemon=True).start()

    @staticmethod
    def _carry(here: socket.socket, there: socket.socket) -> None:
        try:
            while data := here.recv(65_536):
                there.sendall(data)
            there.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self.closed.set()
        for each in self._open:
            each.close()
        self._open.clear()

    def go(self) -> None:
        self.close()
        # Who waits in accept() is woken by this alone.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def gate(product) -> Iterator[Gate]:
    gate = Gate(product.address)
    yield gate
    gate.go()


def steps_of(blotter: Blotter, run_id: str) -> list[tuple[str, str]]:
    rows = blotter.rows(STEPS, execution_id=run_id, ordering="created_at", limit=2)
    return [(row["step_name"], row["status"]) for row in rows]


class TestRun:
    def test_is_stored_whole(self, blotter):
        with blotter.execution("nightly", symbol="BTC/USDT", total_tasks=3, version="1") as run:
            with run.step("load") as step:
                step.result = {"candles": 3, "sharpe": float("nan")}
            run.progress("testing", completed=["trend", "range"])
            with pytest.raises(ValueError, match="x"), run.step("save"):
                raise ValueError("x")

        row = blotter.get(f"{RUNS}{run.execution_id}/")
        # Four tasks were seen where three were announced, and one of them failed.
        assert (row["status"], row["reported_status"]) == ("PARTIAL_SUCCESS", "COMPLETED")
        assert (row["execution_type"], row["symbol"]) == ("NIGHTLY", "BTC/USDT")
        assert row["completed_tasks"] == ["trend", "range"]
        assert float(row["memory_peak_mb"]) > 1
        assert [error["step"] for error in row["errors"]] == ["save"]
        assert steps_of(blotter, run.execution_id) == [("load", "SUCCESS"), ("save", "FAILED")]
        (load,) = blotter.rows(STEPS, execution_id=run.execution_id, step_name="load")
        assert load["result_data"] == {"candles": 3, "sharpe": None}

    def test_that_is_complete_is_completed(self, blotter):
        with blotter.execution("nightly", total_tasks=1) as run, run.step("load"):
            pass

        row = blotter.get(f"{RUNS}{run.execution_id}/")
        assert (row["status"], row["progress_percentage"]) == ("COMPLETED", "100")

    def test_of_a_program_that_fails_keeps_its_traceback(self, blotter, program):
        process = program(FAILING, "failing-1")
        _, told = process.communicate(timeout=30)

        assert process.returncode == 1
        assert "OSError" in told
        row = blotter.get(f"{RUNS}failing-1/")
        assert (row["status"], row["error_count"]) == ("FAILED", 1)
        (error,) = row["errors"]
        assert error["error_message"] == "The disk is gone: \ufffd"
        assert 'raise OSError("The disk is gone' in error["traceback"]

    def test_ends_when_somebody_wishes_it(self, blotter, program):
        process = program(ENDLESS, "endless-1")
        assert process.stdout.readline() == "running\n"

        blotter.post(f"{RUNS}endless-1/cancel/", {})

        _, told = process.communicate(timeout=30)
        assert (process.returncode, told) == (0, "")
        row = blotter.get(f"{RUNS}endless-1/")
        assert (row["status"], row["cancel_requested_by"]) == ("CANCELLED", "a pipeline")
        assert steps_of(blotter, "endless-1") == [("wait", "CANCELLED")]

    def test_of_a_killed_program_is_lost_when_its_lease_is_over(self, blotter, program, product):
        process = program(ENDLESS, "endless-2")
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()

        def over():
            # The message that beat would send within 15 seconds.
            product.wake("apps.executions.tasks.watch_executions")
            return blotter.get(f"{RUNS}endless-2/")["status"] != "RUNNING"

        wait_for(over, 5 + 60)

        sys.stdout.write(f"lost {time.monotonic() - killed:.1f} s after it was killed\n")
        row = blotter.get(f"{RUNS}endless-2/")
        assert (row["status"], row["health"]) == ("FAILED", "lost")
        with pytest.raises(BlotterError, match="illegal_transition"):
            blotter.post(f"{RUNS}endless-2/finish/", {"status": "COMPLETED"})
        retried = blotter.post(f"{RUNS}endless-2/retry/", {"execution_id": "endless-3"})
        assert (retried["status"], retried["retry_of_id"]) == ("PENDING", "endless-2")

    def test_goes_on_while_blotter_is_away_and_is_told_afterwards(self, blotter, gate, product):
        through = Blotter(gate.address, product.key, timeout=5, retries=1)

        with through.execution("nightly", total_tasks=3, lease_seconds=30) as run:
            with run.step("load"):
                pass
            gate.close()
            with run.step("train"):
                pass
            run.progress(completed=["report"])
            assert steps_of(blotter, run.execution_id) == [("load", "SUCCESS")]
            gate.closed.clear()

        row = blotter.get(f"{RUNS}{run.execution_id}/")
        assert (row["status"], row["completed_tasks"]) == ("COMPLETED", ["report"])
        assert steps_of(blotter, run.execution_id) == [("load", "SUCCESS"), ("train", "SUCCESS")]

    def test_started_twice_is_one(self, blotter):
        for _ in range(2):
            with blotter.execution("nightly", execution_id="one and only", triggered_by="cron"):
                pass

        row = blotter.get(f"{RUNS}one%20and%20only/")
        assert row["status"] == "COMPLETED"
