"""Where a failure comes from: the innermost frame of our own, and the fingerprint made of it."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

# Only the end of a huge trace counts, and recursion makes them huge.
REACH = 200_000

CHAINED = re.compile(
    r"^[ |]*(?:During handling of the above exception, another exception occurred:"
    r"|The above exception was the direct cause of the following exception:)[ ]*$",
    re.MULTILINE,
)
HEADER = re.compile(
    r"^(?:  \+ Exception Group )?Traceback \(most recent call last\):", re.MULTILINE
)
# The frames of an exception group end where those of its members begin.
MEMBERS = re.compile(r"^  \+-\+---", re.MULTILINE)
PYTHON_FRAME = re.compile(
    r"^(?:  \|)?[ \t]*File \"([^\"\n]{1,1000})\", line \d+, in ([^\n]{1,300}?)[ \t\r]*$",
    re.MULTILINE,
)
# at close (/srv/orders.js:10:5) · at /srv/orders.js:10:5 · at shop.Order.close(Order.java:12)
AT_FRAME = re.compile(
    r"^[ \t]+at (?:async )?(?:([^\s(][^(\n]{0,300}?) ?\(([^()\n]{1,500})\)"
    r"|([^\s()]{1,500}:\d{1,9}))[ \t\r]*$",
    re.MULTILINE,
)
GO_FRAME = re.compile(
    r"^([\w./*()\-]{1,300})\([^()\n]{0,500}\)\r?\n\t([^\s:][^:\n]{0,500}\.go):\d+", re.MULTILINE
)
POSITION = re.compile(r"(?::\d+){1,2}$")
FOREIGN = re.compile(
    r"site-packages/|dist-packages/|(?:^|/)lib(?:64)?/python\d|(?:^|/)Python\d+/Lib/|^<"
    r"|node_modules/|^node:|^internal/|^(?:java|javax|jdk|sun|com\.sun|kotlin)\."
    r"|/(?:usr/local/)?go/src/|/pkg/mod/"
)
# What lies before these is where it happens to be installed.
INSTALLED = re.compile(
    r".*(?:site-packages|dist-packages|node_modules|/pkg/mod|/lib(?:64)?/python[\d.]+|Python\d+/Lib)/",
    re.DOTALL,
)
ROOTS = ("apps", "src", "app", "lib", "libs", "packages")
CHANGING = re.compile(r"0x[0-9a-fA-F]+|\"[^\"]*\"|'[^']*'|\d+")


@dataclass(frozen=True, slots=True)
class Culprit:
    """The innermost frame of our own: a path that is the same on all machines, and a function."""

    path: str
    function: str


def culprit_of(stack_trace: str) -> Culprit | None:
    """Return the frame to blame, or None when the text shows no frame.

    Of chained Python exceptions the one raised last counts. When no frame is of our own, the
    innermost of all is taken.
    """
    innermost: tuple[str, str] | None = None
    for path, function in _frames(stack_trace[-REACH:]):
        if not FOREIGN.search(path.replace("\\", "/")):
            return Culprit(_stable(path), function)
        innermost = innermost or (path, function)
    return Culprit(_stable(innermost[0]), innermost[1]) if innermost else None


def fingerprint(error_type: str, stack_trace: str, component: str) -> str:
    """Return 32 hexadecimal digits, the same for failures of one cause.

    Made of the type and the culprit; without a frame of the type and the component. Messages,
    line numbers, addresses and quoted texts are no part of it.
    """
    culprit = culprit_of(stack_trace) if stack_trace else None
    place = (culprit.path, culprit.function) if culprit else ("", component)
    parts = "\x00".join((CHANGING.sub("#", error_type), *place))
    return hashlib.blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _frames(trace: str) -> Iterator[tuple[str, str]]:
    """Walk the frames as (path, function), the innermost first."""
    found = [(match[1], match[2]) for match in PYTHON_FRAME.finditer(last_raised(trace))]
    if found:
        yield from reversed(found)
        return
    for match in AT_FRAME.finditer(trace):
        yield _at_frame(match)
    for match in GO_FRAME.finditer(trace):
        function = match[1].rpartition("/")[2]
        if not function.startswith(("panic", "runtime.")):
            yield match[2], function


def last_raised(trace: str) -> str:
    """Return the part of a Python trace that tells of the exception raised last."""
    start = 0
    for match in CHAINED.finditer(trace):
        start = match.end()
    for match in HEADER.finditer(trace, start):
        start = match.start()
    members = MEMBERS.search(trace, start)
    return trace[start : members.start() if members else len(trace)]


def _at_frame(match: re.Match[str]) -> tuple[str, str]:
    function, place = match[1] or "", POSITION.sub("", match[2] or match[3])
    if place.startswith("file://"):
        place = place.removeprefix("file://")
    if "/" not in place and "\\" not in place and "." in function:
        owner, _, method = function.rpartition(".")
        if place.endswith((".java", ".kt", ".scala", ".groovy")) or place in (
            "Native Method",
            "Unknown Source",
        ):
            # Java names the class in full and the file without its folder.
            return owner, method
    return place, function.removeprefix("new ")


def _stable(path: str) -> str:
    path = path.replace("\\", "/")
    installed = INSTALLED.match(path)
    if installed:
        return path[installed.end() :]
    *folders, name = path.split("/")
    for position in range(len(folders) - 1, -1, -1):
        if folders[position] in ROOTS:
            return "/".join((*folders[position:], name))
    return "/".join((*folders[-1:], name)).lstrip("/")
