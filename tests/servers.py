"""The servers of a test run: a PostgreSQL and a Valkey of its own, gone when it ends.

Loaded by ``-p tests.servers`` (pyproject.toml), so that they run before Django reads its
settings. What DATABASE_URL and REDIS_URL give is used instead.
"""

import os
import signal
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import pytest

from config import embedded

running = ExitStack()


def leave(signum: int, frame: FrameType | None) -> None:
    """Turn SIGTERM into an ordinary end, so that the servers are stopped too."""
    pytest.exit("asked to end", returncode=128 + signum)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config,
) -> Generator[None, None, None]:
    options = early_config.known_args_namespace
    # With -n 2 it is the workers who run tests, each on servers of its own.
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    only_shares_out = getattr(options, "numprocesses", None) and not is_worker
    if not (options.help or options.version or only_shares_out):
        signal.signal(signal.SIGTERM, leave)
        home = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="blotter-tests-")))
        # As root the servers run as another user, who has to get at his part of it.
        home.chmod(0o711)
        os.environ["BLOTTER_HOME"] = str(home)
        # Tests of logging have writers of their own; elsewhere its connection is in the way.
        os.environ["LOG_TO_DATABASE"] = "0"
        running.enter_context(embedded.missing_servers(home, throwaway=True))
    try:
        yield
    except BaseException:
        running.close()
        raise


def pytest_unconfigure() -> None:
    running.close()
