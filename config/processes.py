"""Starting other programs so that none outlives its purpose."""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

PR_SET_PDEATHSIG = 1
Command = Sequence[str | os.PathLike[str]]
PAUSE = 0.02  # seconds between two looks

# Held on to: Python complains of a child that is lost sight of while it runs.
_children: list[subprocess.Popen[bytes]] = []


def signalled_at_our_death(signum: int) -> Callable[[], None]:
    """Return what a child runs before its program: it gets ``signum`` when we die.

    Only Linux knows this; elsewhere it does nothing.
    """
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    parent = os.getpid()

    def ask() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signum)
            # We may have died between the fork and the request.
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)

    return ask


def spawn(
    command: Command,
    *,
    user: pwd.struct_passwd | None = None,
    end_with_us: int | None = None,
    output: IO[Any] | int | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that Ctrl-C in a terminal is not its affair.

    With ``user`` it runs as that user and with nothing of ours; with ``end_with_us`` it gets
    that signal when this process dies. It has no input.
    """
    child = subprocess.Popen(
        [os.fspath(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=None if end_with_us is None else signalled_at_our_death(end_with_us),
        **as_user(user),
        **options,
    )
    _children.append(child)
    return child


def forget_ended() -> None:
    """Let go of the children that have ended."""
    _children[:] = [child for child in _children if child.poll() is None]


def as_user(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return Popen's arguments for running as ``user``; none when that is who we are."""
    if user is None or user.pw_uid == os.geteuid():
        return {}
    return {
        "user": user.pw_uid,
        "group": user.pw_gid,
        "extra_groups": [],
        "env": plain_environment(),
        "cwd": "/",
    }


def plain_environment(**more: str) -> Mapping[str, str]:
    """Return an environment that holds nothing of ours, secrets least of all."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **more}


def until(condition: Callable[[], bool], deadline: float) -> bool:
    """Wait for a condition; return whether it held by the deadline (of the monotonic clock)."""
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True
