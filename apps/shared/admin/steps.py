"""Steps that staff take with things that have no form: buttons on the page, actions on the list."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from apps.shared.admin.changelist import count_words

CONFIRMED = "confirmed"
MOST_NAMED = 20


class Service(Protocol):
    """A use case that changes rows and returns how many it changed."""

    def __call__(self, rows: QuerySet, /, *, by: str, now: datetime) -> int: ...


@dataclass(frozen=True, slots=True)
class Step:
    """Something that can be done with rows.

    ``done`` goes on after the count: "3 errors resolved". ``fits`` says whether a row is
    offered the step. ``asks``: what it means, for a step that no other undoes; it is told, with
    how many rows it is about, before anything is done.
    """

    name: str
    title: str
    done: str
    run: Service
    fits: Callable[[Any], bool]
    asks: str = ""


class StepsMixin:
    """Offers ``steps`` to those who may change the thing."""

    steps: list[Step] = []

    def may_step(self, request: HttpRequest) -> bool:
        opts = self.opts  # type: ignore[attr-defined]
        return request.user.has_perm(f"{opts.app_label}.{get_permission_codename('change', opts)}")

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view  # type: ignore[attr-defined]
        own = [
            path(
                f"<path:object_id>/{step.name}/",
                guard(partial(self.step_view, step)),
                name=self.url_name(step.name),  # type: ignore[attr-defined]
            )
            for step in self.steps
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def step_view(self, step: Step, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take one step with one thing and go back to its page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        obj = self.get_object(request, unquote(object_id)) if "\0" not in object_id else None  # type: ignore[attr-defined]
        if obj is None:
            raise Http404
        rows = self.get_queryset(request).filter(pk=obj.pk)  # type: ignore[attr-defined]
        name = self.url_name("change")  # type: ignore[attr-defined]
        page = reverse(f"admin:{name}", args=[quote(obj.pk)])
        if step.asks and CONFIRMED not in request.POST:
            return self.ask(step, request, rows, back=page)
        self.take(step, request, rows)
        return HttpResponseRedirect(page)

    def ask(
        self, step: Step, request: HttpRequest, rows: QuerySet, *, back: str, listed: bool = False
    ) -> HttpResponse:
        """Tell what a step would do with how many rows, and do nothing yet."""
        if not self.may_step(request):
            raise PermissionDenied
        chosen = list(rows)
        fitting = [row for row in chosen if step.fits(row)]
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": step.title,
            "opts": self.opts,  # type: ignore[attr-defined]
            "step": step,
            "count": count_words(len(fitting), self.opts),  # type: ignore[attr-defined]
            "left_alone": len(chosen) - len(fitting),
            "named": [str(row) for row in fitting[:MOST_NAMED]],
            "unnamed": max(len(fitting) - MOST_NAMED, 0),
            "keys": [row.pk for row in chosen] if listed else [],
            "key_name": ACTION_CHECKBOX_NAME,
            "confirmed": CONFIRMED,
            "back": back,
        }
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        return TemplateResponse(request, "admin/shared/confirm.html", context)

    def take(self, step: Step, request: HttpRequest, rows: QuerySet) -> None:
        if not self.may_step(request):
            raise PermissionDenied
        # By key alone: neither the order of a list nor what it joins has a place in an update.
        chosen = self.model._default_manager.filter(pk__in=rows.order_by().values("pk"))  # type: ignore[attr-defined]
        count = step.run(chosen, by=request.user.get_username(), now=timezone.now())
        told = messages.success if count else messages.info
        told(request, f"{count_words(count, self.opts)} {step.done}.")  # type: ignore[attr-defined]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        if not self.may_step(request):
            return {}
        return {step.name: (self.action_of(step), step.name, step.title) for step in self.steps}

    def action_of(self, step: Step) -> Callable[..., HttpResponse | None]:
        def act(model_admin: Any, request: HttpRequest, rows: QuerySet) -> HttpResponse | None:
            if step.asks and CONFIRMED not in request.POST:
                return self.ask(step, request, rows, back=request.get_full_path(), listed=True)
            self.take(step, request, rows)
            return None

        return act

    def step_buttons(self, request: HttpRequest, obj: Any) -> list[dict[str, str]]:
        """Return the steps that fit a thing, for its page."""
        if not self.may_step(request):
            return []
        return [
            {
                "title": step.title,
                "url": reverse(f"admin:{self.url_name(step.name)}", args=[quote(obj.pk)]),  # type: ignore[attr-defined]
            }
            for step in self.steps
            if step.fits(obj)
        ]

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        known: dict[str, Any] = super().page_context(request, obj)  # type: ignore[misc]
        return known | {"steps": self.step_buttons(request, obj)}
