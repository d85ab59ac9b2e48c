"""Who may do what through the API: scopes and bindings of keys, model permissions of staff."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol

import msgspec
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models import Q
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.shared.api import filters
from apps.shared.api.errors import ApiError
from apps.shared.errors import FieldError

READING = {"GET", "HEAD", "OPTIONS"}
# What a staff session needs on the model; reading needs a permission too.
STAFF_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "GET": ("view",),
    "HEAD": ("view",),
    "OPTIONS": ("view",),
    "POST": ("add",),
    "PUT": ("add", "change"),
    "PATCH": ("change",),
    "DELETE": ("delete",),
}
ABSENT = (None, "", msgspec.UNSET)


class Key(Protocol):
    """What this module needs to know of a key. Bindings are attributes named by their kind."""

    @property
    def scopes(self) -> list[str]: ...


def needed_scope(app_label: str, method: str) -> str:
    """Return the scope that ``method`` needs on the resources of an app."""
    return f"{app_label}:{'read' if method in READING else 'write'}"


def allows(key: Key, app_label: str, method: str) -> bool:
    """Tell whether the key's scopes open ``method`` on the resources of an app."""
    return needed_scope(app_label, method) in key.scopes


# --- Bindings -----------------------------------------------------------------------------
#
# A viewset over things that belong to somebody says so: subject_fields = {"bot": "bot_id"},
# from the kind of subject (an attribute of the key) to the field that holds it. A thing lies
# within a binding when at least one of its subjects is the key's own and none is foreign.


def is_bound(key: Any, subject_fields: Mapping[str, str]) -> bool:
    """Tell whether the key is held to subjects of its own among such things.

    A key without any binding is free; one bound to another kind alone sees none of them.
    """
    return bool(subject_fields) and bool(getattr(key, "bindings", {}))


def is_foreign(key: Any, kind: str, value: object) -> bool:
    """Tell whether ``value`` names a subject that a bound key must not touch."""
    return value not in ABSENT and str(value) != key.bindings.get(kind)


def check_subject(
    key: Any, subject_fields: Mapping[str, str], value: object, *, partial: bool = False
) -> list[FieldError]:
    """Return what a row (struct or mapping, nested ones included) or a list holds of others.

    An empty list means that a bound key may write it; an unbound key may write everything.
    ``partial``: a change to a thing that was found through the key, so that naming no
    subject at all is fine.
    """
    if not is_bound(key, subject_fields):
        return []
    fields = {path.rsplit("__", 1)[-1]: kind for kind, path in subject_fields.items()}
    errors = []
    rows = value if isinstance(value, list | tuple) else [value]
    for index, row in enumerate(rows):
        pointer = "" if row is value else f"/{index}"
        named = list(_subjects(row, fields, pointer))
        errors += [
            FieldError(where, "other_subject", "This key is bound to another one.")
            for where, kind, held in named
            if is_foreign(key, kind, held)
        ]
        if named and not partial and all(held in ABSENT for _, _, held in named):
            where, kind, _ = named[0]
            message = f"This key is bound: name the {kind} it belongs to."
            errors.append(FieldError(where, "subject_missing", message))
    return errors


def _subjects(
    row: object, fields: Mapping[str, str], pointer: str
) -> Iterator[tuple[str, str, object]]:
    """Yield (pointer, kind, value) of every subject field in a row and the structs inside it.

    Free JSON inside a row is the client's own text: what it names there belongs to nobody.
    """
    if isinstance(row, msgspec.Struct):
        pairs = [(name, getattr(row, name)) for name in row.__struct_fields__]
    elif isinstance(row, Mapping):
        pairs = list(row.items())
    else:
        return
    for name, held in pairs:
        where = f"{pointer}/{name}"
        if name in fields:
            yield where, fields[name], held
        elif isinstance(held, msgspec.Struct):
            yield from _subjects(held, fields, where)
        elif isinstance(held, list | tuple):
            for index, item in enumerate(held):
                if isinstance(item, msgspec.Struct):
                    yield from _subjects(item, fields, f"{where}/{index}")


def narrow(
    queryset: models.QuerySet[Any], key: Any, subject_fields: Mapping[str, str]
) -> models.QuerySet[Any]:
    """Return only the rows that lie within the key's binding; all of them for an unbound key.

    None at all where what it is bound to cannot be the name of any: no UUID where ids are such.
    """
    if not is_bound(key, subject_fields):
        return queryset
    own, none_foreign = Q(pk__in=[]), Q()
    for kind, path in subject_fields.items():
        mine = as_kept(queryset.model, path, key.bindings.get(kind))
        if mine:
            own |= Q(**{path: mine})
        if len(subject_fields) > 1:
            empty = Q(**{f"{path}__isnull": True})
            if _is_text(queryset.model, path):
                empty |= Q(**{path: ""})
            none_foreign &= empty | Q(**{path: mine}) if mine else empty
    return queryset.filter(own & none_foreign)


def as_kept(model: type[models.Model], path: str, name: str | None) -> str | None:
    """Return a subject's name as the field at ``path`` spells it; None where it holds no such."""
    if not name:
        return None
    try:
        return str(filters.reader_of(filters.field_at(model, path))(name))
    except filters.Refused:
        return None


def _is_text(model: type[models.Model], path: str) -> bool:
    """Tell whether a field path ends in a text column, where absent may be written as ''."""
    *relations, last = path.split("__")
    for name in relations:
        related = model._meta.get_field(name).related_model
        if not (isinstance(related, type) and issubclass(related, models.Model)):
            raise ImproperlyConfigured(f"{path} does not lead through relations of {model}.")
        model = related
    return isinstance(model._meta.get_field(last), models.CharField | models.TextField)


# --- The permission -----------------------------------------------------------------------


class ScopePermission(BasePermission):
    """Keys by scope and binding; staff sessions by their permissions on the view's model."""

    message: str | None = None
    code: str | None = None
    actions: ClassVar[Mapping[str, tuple[str, ...]]] = STAFF_ACTIONS

    def has_permission(self, request: Request, view: Any) -> bool:
        meta = model_of(view)._meta
        method = request.method or ""
        staff = request.user is not None and request.user.is_staff
        if request.auth is None and not staff:
            return False
        if method not in view.allowed_methods:
            # Nobody may, so that the answer is 405 and not a scope that would not help.
            return True
        key: Any = request.auth
        if key is not None:
            return self._key_may(key, meta.app_label, method) and self._subject_fits(request, view)
        needed = [
            f"{meta.app_label}.{action}_{meta.model_name}"
            for action in self.actions.get(method, ("delete",))
        ]
        if request.user.has_perms(needed):
            return True
        self.code, self.message = "permission_missing", f"This needs {', '.join(needed)}."
        return False

    def _key_may(self, key: Key, app_label: str, method: str) -> bool:
        if allows(key, app_label, method):
            return True
        self.code = "scope_missing"
        self.message = f"This needs a key with the scope {needed_scope(app_label, method)}."
        return False

    def _subject_fits(self, request: Request, view: Any) -> bool:
        """Refuse an address or a query that names a subject of others; bodies come later."""
        subject_fields = getattr(view, "subject_fields", {})
        if not is_bound(request.auth, subject_fields):
            return True
        lookup = getattr(view, "lookup_field", None)
        in_path = getattr(view, "lookup_url_kwarg", None) or lookup
        for kind, field in subject_fields.items():
            named = request.query_params.getlist(field) + request.query_params.getlist(kind)
            values = [word for text in named for word in text.split(",")]
            values += [view.kwargs[name] for name in {field, kind} if name in view.kwargs]
            if lookup == field and in_path in view.kwargs:
                values.append(view.kwargs[in_path])
            model = model_of(view)
            if any(
                is_foreign(request.auth, kind, as_kept(model, field, value) or value)
                for value in values
            ):
                self.code = "other_subject"
                self.message = f"This key is bound to another {kind}."
                return False
        return True


def refuse_others(request: Request, view: Any, value: object, *, partial: bool = False) -> None:
    """Raise ApiError (403) when a body names a subject that the request's key must not touch."""
    subject_fields = getattr(view, "subject_fields", {})
    if request.auth is None:
        return
    if errors := check_subject(request.auth, subject_fields, value, partial=partial):
        raise ApiError(403, errors[0].code, errors[0].message, errors)


def model_of(view: Any) -> type[models.Model]:
    """Return the model whose permissions guard a view: that of its ``queryset``."""
    queryset = getattr(view, "queryset", None)
    if queryset is None:
        raise ImproperlyConfigured(
            f"{type(view).__name__} needs a queryset: its model decides who may call it."
        )
    model: type[models.Model] = queryset.model
    return model
