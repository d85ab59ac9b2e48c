"""The one interface of everything that candles are fetched from."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as OutOfTime
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from threading import Thread
from typing import Any, NamedTuple, Protocol, TypeVar

from apps.market.domain.candles import CandleValues

# All of one fetch: name look-up, connecting, reading, retries.
FETCH_SECONDS = 20.0

Result = TypeVar("Result")


class ProviderError(Exception):
    """A fetch that brought nothing to store; the text says why."""


class ProviderUnreachable(ProviderError):
    """Nobody answered, or not in time, or asked to come back later."""


class ProviderRubbish(ProviderError):
    """The answer is none, or not one that may be believed."""


class ProviderNotReady(ProviderError):
    """Something is missing on our side: a package, a key, an option."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What the environment says of a venue: credentials, and another address if need be."""

    key: str = ""
    secret: str = field(default="", repr=False)
    url: str = ""


class Provider(Protocol):
    """Where candles come from.

    ``quiet`` is how long the venue may have nothing new by its nature: a weekend, a market
    without trades. Longer than that, an answer without news is stale.
    """

    quiet: timedelta

    def fetch(
        self, symbol: str, granularity: str, *, since: datetime | None, limit: int, now: datetime
    ) -> list[CandleValues]:
        """Return candles as the venue gives them, oldest first, at most about ``limit``.

        Those that start at ``since`` or later; without it the newest. The last one may still
        be running. Raises ProviderError, within ``FETCH_SECONDS``; the values are the venue's
        word and have not been judged.
        """
        ...


class Answer(NamedTuple):
    """What a venue said (JSON), and whether that is an old word in place of a new one."""

    value: Any
    is_stale: bool = False


class Ask(Protocol):
    """What a provider puts its questions through: straight to the venue, or by way of a cache.

    ``source``, ``method`` and the arguments say all that changes the answer, and no secret.
    ``load`` asks the venue and returns JSON or raises ProviderError. ``good_until`` says of an
    answer when it is outdated for sure; None: it does not tell.
    """

    def __call__(
        self,
        *,
        source: str,
        method: str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        data_type: str,
        load: Callable[[], Any],
        good_until: Callable[[Any], datetime] | None,
        now: datetime,
        patience: float,
    ) -> Answer: ...


def ask_venue(*, load: Callable[[], Any], **question: Any) -> Answer:
    """Ask the venue each time."""
    return Answer(load())


Options = Mapping[str, Any]


def within(seconds: float, call: Callable[[], Result], *, stop: Callable[[], None]) -> Result:
    """Return what ``call`` returns, but wait no longer than ``seconds``.

    A time limit on each read does not bound a server that sends a byte now and then. The
    call goes on in a thread of its own; ``stop`` cuts its connections, so that it ends too.
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed on to who waits
            outcome.set_exception(error)

    Thread(target=run, name="fetch", daemon=True).start()
    try:
        return outcome.result(seconds)
    except OutOfTime:
        stop()
        raise ProviderUnreachable(f"No whole answer within {seconds:.0f} seconds.") from None


def exact(value: object) -> Decimal:
    """Return a venue's number as it is written; ProviderRubbish for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ProviderRubbish(f"{str(value)[:40]!r} stands where a number should.")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ProviderRubbish(f"{str(value)[:40]!r} stands where a number should.") from None


def looks_like_noise(price: Decimal) -> bool:
    """Say whether a price carries the dust of binary fractions: 0.30000000000000004.

    That is 16 or 17 digits of which those before the last two are all 0 or all 9. Whoever
    computes prices that way has computed them, not seen them.
    """
    digits = price.as_tuple().digits
    return len(digits) in (16, 17) and (not any(digits[-8:-2]) or set(digits[-8:-2]) == {9})


def cells(row: object, count: int) -> Sequence[Any]:
    """Return a row that has ``count`` cells; ProviderRubbish for anything else."""
    if not isinstance(row, list | tuple) or len(row) < count:
        raise ProviderRubbish(f"{str(row)[:60]!r} stands where a candle should.")
    return row
