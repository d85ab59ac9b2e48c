"""Objects read from the text that repr() wrote of them; nothing is ever evaluated.

What cannot be known stays the text it is.
"""

import ast
import builtins
import re
import uuid
import zoneinfo
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import PureWindowsPath
from typing import Any

LARGEST_EXPONENT = 400
# Their str() is the text they are made of.
WRAPPERS = frozenset(
    """PosixPath PurePosixPath URL SecretStr SecretBytes Url AnyUrl HttpUrl IPv4Address IPv6Address
    IPv4Network IPv6Network IPv4Interface IPv6Interface SafeString datetime64 str_ Version
    SpecifierSet Symbol""".split()  # noqa: SIM905
)
NUMPY_NUMBERS = re.compile(r"(?:u?int|float|bool_?|longdouble)[0-9_]*")
EXCEPTION_NAME = re.compile(
    r"(?:\w+\.)*(?:\w*(?:Error|Exception|Warning|Exit|Interrupt|Timeout|Failure|Fault|Refused)"
    r"|DoesNotExist|StopIteration|\w+Returned)"
)
ENUM = re.compile(r"<([A-Za-z_][\w.]*\.[A-Za-z_]\w*): (.+)>", re.DOTALL)


class Unknowable(Exception):
    """The text does not tell what the value was."""


class _Shown:
    """Stands for an object of which only the text is known."""

    def __init__(self, text: str, written: str) -> None:
        self.text, self.written = text, written

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.written


class _Member(_Shown):
    """A member of an enumeration of whole numbers, which formats as a number too."""

    def __init__(self, text: str, written: str, value: int) -> None:
        super().__init__(text, written)
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return self.value


def parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def value_of_text(text: str) -> Any:
    tree = parsed(text)
    if tree is not None:
        return value_of(tree, text.strip())
    enum = ENUM.fullmatch(text)
    if enum:
        number = enum[2].removeprefix("-")
        if number.isdecimal() and number.isascii() and len(number) < 20:
            return _Member(enum[1], text, int(enum[2]))
        return _Shown(enum[1], text)
    return _Shown(text, text)


def pieces_of(text: str) -> list[str]:
    """Split at the commas that stand outside of quotes and brackets."""
    pieces: list[str] = []
    closing: list[str] = []
    quote = ""
    begun = position = 0
    while position < len(text):
        char = text[position]
        if quote:
            if char == "\\":
                position += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            # The apostrophe in <Bot bob's> opens nothing.
            before = text[position - 1 : position]
            if not before.isalnum() or text[max(position - 2, 0) : position].strip(" (,[{") == "b":
                quote = char
        elif char in "([{<":
            closing.append(")]}>"["([{<".index(char)])
        elif closing and char == closing[-1]:
            if char != ">" or text[position - 1] not in "-=":
                closing.pop()
        elif char == "," and not closing:
            pieces.append(text[begun:position].strip())
            begun = position + 1
        position += 1
    last = text[begun:].strip()
    return [*pieces, last] if last else pieces


def value_of(node: ast.expr, text: str) -> Any:
    """Return what formats like the value that a piece of text was written for."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError, SyntaxError):
        pass
    written = ast.get_source_segment(text, node) or text
    try:
        return _known(node, written)
    except (
        Unknowable,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        zoneinfo.ZoneInfoNotFoundError,
    ):
        return _Shown(written, written)


def _known(node: ast.expr, written: str) -> Any:
    if isinstance(node, ast.Name) and node.id in ("nan", "inf"):
        return float(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _known(node.operand, written)
        if isinstance(inner, float):
            return -inner
    if not isinstance(node, ast.Call):
        raise Unknowable
    name = dotted(node.func)
    short = name.rpartition(".")[2]
    positional = [_constant(argument) for argument in node.args]
    keywords = {key.arg: _constant(key.value) for key in node.keywords if key.arg}
    if short in BUILDERS:
        return BUILDERS[short](*positional, **keywords)
    if len(positional) == 1 and short in WRAPPERS:
        return _Shown(str(positional[0]), written)
    if len(positional) == 1 and NUMPY_NUMBERS.fullmatch(short):
        return positional[0]
    if EXCEPTION_NAME.fullmatch(name) or _builtin_exception(name):
        return _Shown(_exception_text(name, positional), written)
    raise Unknowable


def _constant(node: ast.expr) -> Any:
    """Return a literal, or one of the known objects, inside the brackets of another."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        if isinstance(node, ast.Attribute) and dotted(node) == "datetime.timezone.utc":
            return UTC
        return _known(node, ast.unparse(node))


def dotted(node: ast.expr) -> str:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise Unknowable
    return ".".join((node.id, *reversed(names)))


def _decimal(text: str) -> Decimal | _Shown:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Unknowable from None
    if number.is_finite() and abs(number.adjusted()) > LARGEST_EXPONENT:
        # "%d" would write all of its digits.
        return _Shown(str(number), f"Decimal('{number}')")
    return number


def _timestamp(text: str, **_: Any) -> datetime:
    return datetime.fromisoformat(text)


BUILDERS: dict[str, Callable[..., Any]] = {
    "Decimal": _decimal,
    "Fraction": Fraction,
    "UUID": uuid.UUID,
    "datetime": datetime,
    "date": date,
    "time": time,
    "timedelta": timedelta,
    "timezone": timezone,
    "ZoneInfo": lambda key: zoneinfo.ZoneInfo(key),
    "Timestamp": _timestamp,
    "WindowsPath": PureWindowsPath,
    "PureWindowsPath": PureWindowsPath,
}


def _builtin_exception(name: str) -> type[BaseException] | None:
    found = getattr(builtins, name, None)
    if isinstance(found, type) and issubclass(found, BaseException):
        return found
    return None


def _exception_text(name: str, arguments: list[Any]) -> str:
    """Return what str() of an exception gives, from what repr() of it names."""
    kind = _builtin_exception(name)
    # Those of Python itself know best; nothing but their text is made of the arguments.
    return str(kind(*arguments) if kind else Exception(*arguments))
