"""One parent for several programs, with real processes."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from config.processes import until
from config.supervisor import Child, Supervisor

CHECKOUT = Path(__file__).resolve().parent.parent.parent
WAITS = "import time; print('here', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"
WITH_A_CHILD = (
    "import subprocess, sys, time;"
    "command = [sys.executable, '-c', 'import time; time.sleep(60)'];"
    "print(subprocess.Popen(command).pid, flush=True);"
    "time.sleep(60)"
)
PARENT = """
import sys
from config.supervisor import Child, Supervisor
supervisor = Supervisor([Child("only", [sys.executable, "-c", "import time; time.sleep(60)"])])
supervisor.start()
print(supervisor.children[0].process.pid, flush=True)
supervisor.watch()
"""


@pytest.fixture
def supervise():
    """Return a maker of running supervisors; whatever they started ends with the test."""
    made = []

    def make(code: str, grace: float = 10) -> Supervisor:
        child = Child("job", [sys.executable, "-c", code])
        supervisor = Supervisor([child], output=io.StringIO(), grace=grace)
        made.append(supervisor)
        supervisor.start()
        assert within(lambda: said(supervisor))
        return supervisor

    yield make
    for supervisor in made:
        supervisor.grace = 0
        supervisor.stop()


def within(condition, seconds: float = 10) -> bool:
    return until(condition, time.monotonic() + seconds)


def said(supervisor: Supervisor) -> str:
    return supervisor.output.getvalue()


def number(supervisor: Supervisor) -> int:
    return supervisor.children[0].process.pid


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


class TestSupervisor:
    def test_shows_what_a_child_prints_under_its_name(self, supervise):
        assert said(supervise(WAITS)) == "job | here\n"

    def test_asks_a_child_to_end(self, supervise):
        supervisor = supervise(WAITS)

        supervisor.stop()

        assert supervisor.children[0].process.returncode == -signal.SIGTERM

    def test_ends_a_stubborn_child_by_force(self, supervise):
        supervisor = supervise(STUBBORN, grace=0.3)

        supervisor.stop()

        assert supervisor.children[0].process.returncode == -signal.SIGKILL
        assert "by force" in said(supervisor)

    def test_starts_a_child_again_that_died(self, supervise):
        supervisor = supervise(WAITS)
        first = number(supervisor)
        os.kill(first, signal.SIGKILL)

        assert within(lambda: supervisor.look_after() or said(supervisor).count("here") == 2)
        assert number(supervisor) != first
        assert "ended by SIGKILL; started again in 1 s" in said(supervisor)

    def test_waits_longer_each_time_for_a_child_that_cannot_run(self, supervise):
        supervisor = supervise("print('no'); raise SystemExit(3)")

        assert within(lambda: supervisor.look_after() or "again in 2 s" in said(supervisor))
        assert "ended with code 3; started again in 1 s" in said(supervisor)

    def test_leaves_no_grandchild_of_a_child_that_died(self, supervise):
        supervisor = supervise(WITH_A_CHILD)
        grandchild = int(said(supervisor).removeprefix("job | "))
        os.kill(number(supervisor), signal.SIGKILL)

        assert within(lambda: supervisor.look_after() or has_ended(grandchild))

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children")
    def test_takes_its_children_along_when_it_is_killed(self):
        command = [sys.executable, "-c", PARENT]
        with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as parent:
            child = int(parent.stdout.readline())
            parent.kill()

        assert within(lambda: has_ended(child))
