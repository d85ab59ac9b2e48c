"""JSON in a form: an object that the database can keep, or a word on why it is none."""

import math
from contextlib import suppress
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

# Deeper is nothing that a person writes, and nothing that a program may send.
MOST_DEPTH = 60
UNFIT = {"\0", *map(chr, range(0xD800, 0xE000))}


class DocumentField(forms.JSONField):
    """A JSON object. Nothing at all is an empty one, as a program that tells none sends it."""

    default_error_messages = {
        "object": 'Must be a JSON object, such as {"name": "value"}.',
        "unfit": "Holds what cannot be kept: NUL, half of a surrogate pair, no finite number.",
    }

    def to_python(self, value: Any) -> Any:
        try:
            told = super().to_python(value)
        except (ValueError, RecursionError) as error:
            # More digits than Python reads, or more brackets.
            raise ValidationError(self.error_messages["unfit"], code="unfit") from error
        if told is None and value in self.empty_values:
            return {}
        if not isinstance(told, dict):
            raise ValidationError(self.error_messages["object"], code="object")
        if not can_be_kept(told, MOST_DEPTH):
            raise ValidationError(self.error_messages["unfit"], code="unfit")
        return told

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what was read, to be laid out anew; what cannot be kept stays as it stands."""
        with suppress(ValueError, RecursionError):
            read = super().bound_data(data, initial)
            if can_be_kept(read, MOST_DEPTH):
                return read
        return InvalidJSONInput(data)


def can_be_kept(value: Any, depth: int) -> bool:
    """Tell whether a JSON column keeps a value, at most ``depth`` deep, as it is."""
    if isinstance(value, dict):
        inner = [*value, *value.values()]
    elif isinstance(value, list):
        inner = value
    elif isinstance(value, str):
        return UNFIT.isdisjoint(value)
    else:
        return not isinstance(value, float) or math.isfinite(value)
    return depth > 0 and all(can_be_kept(each, depth - 1) for each in inner)
