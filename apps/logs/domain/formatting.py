"""A message and the text of its arguments, put together as the sender's own log shows them."""

import ast
import re
from typing import Any

from apps.logs.domain.reprs import Unknowable, dotted, parsed, pieces_of, value_of, value_of_text

LONGEST_ARGUMENTS = 65_536
# "%999999999d" would fill the memory; no log line is made of such widths.
WIDEST = 10_000
LONGEST_RESULT = 5_000_000
SPECIFIER = re.compile(
    r"%(?:(%)|(\((?:[^()]*)\))?[#0\- +]*+(\*|[0-9]*+)(?:\.(\*|[0-9]*+))?[hlL]?([a-zA-Z]))"
)
# As logging itself: a message without arguments is not formatted at all.
NO_ARGUMENTS = frozenset(["", "None", "()", "{}", "[]", "0", "False", "''"])


def formatted(message: str, arguments: str) -> str:
    """Return ``message % arguments`` as the sender's own log shows it.

    ``arguments`` is the text of a tuple or a dict. When it cannot be known what they were, the
    message stays as it is with the arguments behind it. Never raises, never evaluates.
    """
    done = filled(message, arguments)
    return f"{message} {arguments}" if done is None else done


def filled(message: str, arguments: str) -> str | None:
    """Return ``message % arguments``, or None when it cannot be known what they were."""
    if arguments in NO_ARGUMENTS:
        return message
    if len(arguments) > LONGEST_ARGUMENTS:
        return None
    try:
        values = _arguments(arguments, message)
        if not _bounded(message, values, len(arguments)):
            return None
        done: str = message % values
        return done
    except (
        Unknowable,
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ):
        return None


def _bounded(message: str, values: Any, size: int) -> bool:
    widths = named = 0
    starred = False
    for _, name, width, precision, _ in SPECIFIER.findall(message):
        for number in (width, precision):
            if number == "*":
                starred = True
                widths += WIDEST
            elif number:
                if len(number) > 5 or int(number) > WIDEST:
                    return False
                widths += int(number)
        named += bool(name)
    if starred and isinstance(values, tuple):
        # Any of the whole numbers may be the one that a star takes.
        widest = max((abs(value) for value in values if isinstance(value, int)), default=0)
        if widest > WIDEST:
            return False
    return widths <= LONGEST_RESULT and named * size <= LONGEST_RESULT


def _arguments(text: str, message: str) -> Any:
    tree = parsed(text)
    if tree is not None:
        if isinstance(tree, ast.Tuple):
            return tuple(value_of(node, text) for node in tree.elts)
        if isinstance(tree, ast.Call) and tree.args and dotted(tree.func) == "OrderedDict":
            return dict(ast.literal_eval(tree.args[-1]))
        if isinstance(tree, ast.Dict):
            return {
                value_of(key, text): value_of(value, text)
                for key, value in zip(tree.keys, tree.values, strict=True)
                if key is not None
            }
        return (value_of(tree, text),)
    inner = text[1:-1].strip()
    if text.startswith("{") and text.endswith("}"):
        return dict(_pair(piece) for piece in pieces_of(inner))
    if not (text.startswith("(") and text.endswith(")")):
        # Cut off on its way, or what logging never sends.
        raise Unknowable
    wanted = sum(
        1 + (width == "*") + (precision == "*")
        for percent, _, width, precision, _ in SPECIFIER.findall(message)
        if not percent
    )
    pieces = pieces_of(inner)
    if len(pieces) != wanted and wanted == 1:
        # A comma within an object's own text looks like one between two arguments.
        pieces = [inner.removesuffix(",")]
    return tuple(value_of_text(piece) for piece in pieces)


def _pair(piece: str) -> tuple[Any, Any]:
    match = re.match(r"('(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\"|\d+): ", piece, re.DOTALL)
    if not match:
        raise Unknowable
    return ast.literal_eval(match[1]), value_of_text(piece[match.end() :])
