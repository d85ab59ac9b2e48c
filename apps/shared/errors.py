"""What can be refused, in the words of the domain; the API and the admin translate it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field: where (JSON pointer), a stable code, a sentence."""

    pointer: str
    code: str
    message: str


class DomainError(Exception):
    """A wish that the rules refuse. Subclasses set ``code`` and, where it fits, ``status``.

    ``status`` is the HTTP status the API answers with; 422 unless the subclass says otherwise.
    """

    code = "refused"
    status = 422

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.errors = list(errors)


class Conflict(DomainError):
    """The same key is already taken by different content; names the fields that differ."""

    code = "conflict"
    status = 409

    def __init__(self, message: str, differing: Mapping[str, str] | Sequence[str] = ()) -> None:
        super().__init__(
            message,
            [
                FieldError(f"/{name}", "differs", "Differs from the stored value.")
                for name in differing
            ],
        )
