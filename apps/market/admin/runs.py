"""Steps that staff take whose work is a run: asked for here, done by a worker."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from apps.executions.admin.shown import run_url
from apps.executions.models import Execution
from apps.shared.admin.changelist import count_words
from apps.shared.admin.steps import Step, StepsMixin
from apps.shared.errors import DomainError

Words = Callable[[QuerySet], str]


class Planned(Protocol):
    """A use case that plans a run for rows; None where there is nothing to do."""

    def __call__(self, rows: QuerySet, /, *, by: str, now: datetime) -> Execution | None: ...


class RunStepsMixin(StepsMixin):
    """Steps of which some are done by a run: the answer leads to it, a refusal says why.

    ``planned``: what plans the run of a step; ``meaning``: what a step would do, in the words
    of the rows chosen.
    """

    planned: dict[str, Planned] = {}
    meaning: dict[str, Words] = {}
    #: How the question begins where the words of the button do not lead on to how many.
    asked_as: dict[str, str] = {}

    def ask(
        self, step: Step, request: HttpRequest, rows: QuerySet, *, back: str, listed: bool = False
    ) -> HttpResponse:
        told = self.meaning.get(step.name)
        if told is not None and self.may_step(request):
            title = self.asked_as.get(step.name, step.title)
            step = replace(step, title=title, asks=told(rows))
        return super().ask(step, request, rows, back=back, listed=listed)

    def take(self, step: Step, request: HttpRequest, rows: QuerySet) -> None:
        try:
            if step.name in self.planned:
                self.plan(step, request, rows)
            else:
                super().take(step, request, rows)
        except DomainError as refusal:
            messages.error(request, refusal.message)

    def plan(self, step: Step, request: HttpRequest, rows: QuerySet) -> None:
        """Plan the run of a step for the rows that it fits."""
        if not self.may_step(request):
            raise PermissionDenied
        chosen = self.model._default_manager.filter(pk__in=rows.order_by().values("pk"))  # type: ignore[attr-defined]
        fitting = [row.pk for row in chosen if step.fits(row)]
        chosen = chosen.filter(pk__in=fitting)
        by = request.user.get_username()
        run = self.planned[step.name](chosen, by=by, now=timezone.now())
        told_of = count_words(len(fitting), self.opts)  # type: ignore[attr-defined]
        tell(request, run, f"{told_of} {step.done}.")


def tell(request: HttpRequest, run: Execution | None, words: str) -> None:
    """Say that a run was planned, with the way to it where the viewer may go there."""
    if run is None:
        messages.info(request, "There is nothing to do.")
        return
    if not request.user.has_perm("executions.view_execution"):
        messages.success(request, words)
        return
    link = format_html('<a class="b-link" href="{}">Follow its run</a>', run_url(run.pk))
    messages.success(request, format_html("{} {}", words, link))


def nothing_counted(rows: QuerySet, /, *, by: str, now: datetime) -> int:
    """Stand in for the service of a step whose run does the work."""
    return 0


def planned_step(name: str, title: str, done: str, fits: Callable[[Any], bool], asks: str) -> Step:
    """Return a step that a run does; ``RunStepsMixin.planned`` says which."""
    return Step(name, title, done, nothing_counted, fits, asks)
