"""The embedded servers, with real processes: started, joined, stopped, found again after a kill."""

import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from config import embedded, places, postgres, valkey
from config.processes import as_user, until

CHECKOUT = Path(__file__).resolve().parent.parent.parent
OWNER = """
import sys, time
from pathlib import Path
from config import embedded
with embedded.servers(Path(sys.argv[1]), throwaway=sys.argv[2] == "throwaway"):
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def home(passable_folder: Path) -> Path:
    """One state folder for all: making a database takes the longest."""
    return passable_folder / "home"


@contextmanager
def owner(home: Path, kind: str = "kept") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the servers."""
    command = [sys.executable, "-c", OWNER, str(home), kind]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "up\n"
        try:
            yield child
        finally:
            child.kill()


def connect(home: Path) -> psycopg.Connection:
    settings = embedded.database_settings(embedded.database_url(home))
    return psycopg.connect(
        host=settings["HOST"], dbname=settings["NAME"], user=settings["USER"], autocommit=True
    )


def processes(home: Path) -> tuple[psutil.Process | None, psutil.Process | None]:
    place = places.prepare(home)
    return postgres.process(place), valkey.process(place)


def is_gone(process: psutil.Process) -> bool:
    return until(lambda: not process.is_running(), time.monotonic() + 15)


class TestServers:
    def test_keep_their_data_and_leave_nothing_running(self, home):
        with embedded.servers(home):
            first = processes(home)
            with connect(home) as link:
                link.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
                link.execute("INSERT INTO kept VALUES (7)")
        assert processes(home) == (None, None)
        assert not any(process.is_running() for process in first)

        with embedded.servers(home), connect(home) as link:
            assert link.execute("SELECT DISTINCT number FROM kept").fetchall() == [(7,)]

    def test_stay_until_the_last_one_leaves(self, home):
        first, second = ExitStack(), ExitStack()
        first.enter_context(embedded.servers(home))
        started = processes(home)
        second.enter_context(embedded.servers(home))

        first.close()
        assert processes(home) == started

        second.close()
        assert processes(home) == (None, None)

    def test_are_found_again_when_their_owner_was_killed(self, home):
        with owner(home) as child:
            started = processes(home)
            child.send_signal(signal.SIGKILL)
            child.wait()

        with embedded.servers(home):
            assert processes(home) == started
        assert processes(home) == (None, None)

    def test_leave_with_an_owner_that_is_asked_to_end(self, home):
        with owner(home) as child:
            started = processes(home)
            child.terminate()
            child.wait()

        assert all(is_gone(process) for process in started)

    def test_recover_from_a_killed_postmaster(self, home):
        with embedded.servers(home):
            with connect(home) as link:
                link.execute("CREATE TABLE IF NOT EXISTS survived ()")
            processes(home)[0].kill()

        with embedded.servers(home), connect(home) as link:
            link.execute("TABLE survived")

    def test_are_not_held_up_by_a_pid_that_is_a_strangers_now(self, home):
        with embedded.servers(home):
            pass
        stale = places.data_folder(home) / "postgres" / "postmaster.pid"
        stale.write_text(f"{os.getpid()}\n{stale.parent}\n")

        with embedded.servers(home), connect(home) as link:
            link.execute("SELECT 1")

    def test_that_are_throwaway_die_with_their_owner(self, passable_folder):
        thrown = passable_folder / "thrown"
        with owner(thrown, "throwaway") as child:
            started = processes(thrown)
            child.kill()
            child.wait()

            assert all(is_gone(process) for process in started)

    def test_are_not_started_where_others_are_given(self, passable_folder, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgres://elsewhere/blotter")
        monkeypatch.setenv("REDIS_URL", "redis://elsewhere")

        with embedded.missing_servers(passable_folder / "unused"):
            assert not (passable_folder / "unused").exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
    def test_let_nobody_else_in(self, home):
        with embedded.servers(home):
            place = places.prepare(home)
            known = (0, place.user.pw_uid)
            strangers = (user for user in pwd.getpwall() if user.pw_uid not in known)
            tried = subprocess.run(
                ["/bin/sh", "-c", f"ls {place.sockets}"],
                check=False,
                capture_output=True,
                **as_user(next(strangers)),
            )

        assert tried.returncode != 0
        assert b"Permission denied" in tried.stderr


class TestKeptSecret:
    def test_is_made_once_and_for_its_owner_alone(self, tmp_path):
        first = embedded.kept_secret(tmp_path / "home", "SECRET_KEY")

        assert embedded.kept_secret(tmp_path / "home", "SECRET_KEY") == first
        assert len(first) >= 50
        file = tmp_path / "home" / "secrets" / "secret_key"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    def test_differs_by_name(self, tmp_path):
        assert embedded.kept_secret(tmp_path, "A") != embedded.kept_secret(tmp_path, "B")


class TestDatabaseSettings:
    def test_reads_an_address(self):
        settings = embedded.database_settings(
            "postgres://me:p%40ss@db.example:5433/blotter?sslmode=require"
        )

        assert settings == {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "blotter",
            "USER": "me",
            "PASSWORD": "p@ss",
            "HOST": "db.example",
            "PORT": "5433",
            "OPTIONS": {"sslmode": "require"},
        }

    def test_finds_the_folder_of_a_socket(self):
        settings = embedded.database_settings(embedded.database_url(Path("/srv/a b")))

        assert settings["HOST"] == "/srv/a b/servers/run"
        assert settings["OPTIONS"] == {}


class TestServersFor:
    @pytest.mark.parametrize(
        "command", ["help", "migrate --help", "--version", "", "check", "collectstatic --noinput"]
    )
    def test_are_none_where_no_database_is_asked(self, tmp_path, command):
        with embedded.servers_for(["manage.py", *command.split()], tmp_path / "unused"):
            assert not (tmp_path / "unused").exists()
