"""What views of several subjects share: refusals that answer with the status of their rule."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from apps.shared.api.errors import ApiError


@contextmanager
def refused_as(statuses: Mapping[str, int]) -> Iterator[None]:
    """Answer the refusal of a single row by the status and code of the rule that refused it.

    ``statuses``: code of the rule → status. Other refusals stay what they are.
    """
    try:
        yield
    except ApiError as error:
        for each in error.errors:
            if each.code in statuses:
                status = statuses[each.code]
                raise ApiError(status, each.code, each.message, error.errors) from error
        raise
