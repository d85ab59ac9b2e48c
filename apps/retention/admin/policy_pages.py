"""What the pages of policies tell: how one stands, what would leave and what stays."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.executions.admin import shown as runs
from apps.retention.admin import shown
from apps.retention.models import Archive, PolicyChange, RetentionPolicy
from apps.retention.services.policies import policy_of, rule_of
from apps.retention.services.previews import preview, preview_all
from apps.retention.services.runs import runs_of
from apps.shared import display
from apps.shared.errors import DomainError
from apps.shared.retention.datasets import Dataset, datasets
from apps.shared.retention.selecting import Plan

MOST_RUNS, MOST_ARCHIVES, MOST_CHANGES = 10, 10, 20

Sentence = tuple[str, str | SafeString]


def notices(policies: Iterable[RetentionPolicy]) -> list[Sentence]:
    """Return what is to be said above the list of policies: what failed, what nobody knows."""
    said: list[Sentence] = []
    for policy in policies:
        link = display.link(
            shown.address(RetentionPolicy, "change", policy.pk), shown.title_of(policy.dataset)
        )
        if policy.last_error:
            error = display.visible(policy.last_error)
            said.append(("danger", format_html("{} failed: {}", link, error)))
        if shown.known(policy.dataset) is None:
            words = "{}: no app declares this dataset any more, so nothing of it leaves."
            said.append(("warning", format_html(words, link)))
    return said


class PolicyStory:
    """Everything that the page of a policy asks for, each read once. Counting is the preview's."""

    def __init__(self, policy: RetentionPolicy, *, now: datetime, user: Any) -> None:
        self.policy, self.now, self.user = policy, now, user
        self.dataset: Dataset | None = shown.known(policy.dataset)

    @property
    def notices(self) -> list[Sentence]:
        said: list[Sentence] = []
        if self.policy.last_error:
            error = display.visible(self.policy.last_error)
            said.append(("danger", format_html("The last run failed: {}", error)))
        if self.dataset is None:
            said.append(
                ("warning", "No app declares this dataset any more, so nothing of it leaves.")
            )
        if self.policy.held_until and shown.is_held(self.policy, self.now):
            until = display.moment(self.policy.held_until)
            words = "Rows were restored: nothing leaves before {}. The form can end that."
            said.append(("warning", format_html(words, until)))
        return said

    @property
    def tables(self) -> list[str]:
        """Return what rows of other tables leave along."""
        if self.dataset is None:
            return []
        tables = [each.model._meta.db_table for each in self.dataset.dependents]
        return [shown.table_words(each) for each in tables if each != self.dataset.table]

    @property
    def stays(self) -> list[dict[str, Any]]:
        """Return every exemption with its reason; those that no policy lifts say so."""
        if self.dataset is None:
            return []
        chosen = shown.chosen(self.policy)
        return [
            *(
                {"name": each.name, "why": each.why, "mandatory": True, "holds": True}
                for each in self.dataset.mandatory
            ),
            *(
                {"name": each.name, "why": each.why, "mandatory": False,
                 "holds": each.name in chosen}
                for each in self.dataset.exempt
            ),
        ]  # fmt: skip

    @cached_property
    def runs(self) -> list[dict[str, Any]]:
        """Return the newest runs of this policy, one under way among them."""
        found = runs_of(self.policy.dataset)
        return [
            {
                "link": runs.run_link(run.execution_id),
                "state": runs.state(run),
                "progress": runs.progress(run.progress_percentage),
                "took": runs.duration(run.timestamp_start, run.timestamp_end, self.now),
                "by": run.triggered_by,
                "when": display.age(run.created_at, now=self.now),
            }
            for run in found.order_by("-created_at", "-execution_id")[:MOST_RUNS]
        ]

    @cached_property
    def archives(self) -> list[dict[str, Any]]:
        found = Archive.objects.filter(dataset=self.policy.dataset).defer("stayed", "tables")
        return [
            {
                "archive": one,
                "url": shown.address(Archive, "change", one.pk),
                "state": shown.archive_state(one),
                "range": shown.time_range(one.first_time, one.last_time),
                "size": shown.size(one.bytes),
            }
            for one in found.order_by("-created_at", "-pk")[:MOST_ARCHIVES]
        ]

    @property
    def archives_url(self) -> str:
        return shown.address(Archive, "changelist", dataset=self.policy.dataset)

    @cached_property
    def changes(self) -> list[dict[str, Any]]:
        found = PolicyChange.objects.filter(policy=self.policy).order_by("-changed_at", "-pk")
        return [
            {
                "url": shown.address(PolicyChange, "change", one.pk),
                "when": display.age(one.changed_at, now=self.now),
                "by": one.changed_by,
                "made": not one.before,
                "lines": shown.told_changes(one.before, one.after),
            }
            for one in found[:MOST_CHANGES]
        ]

    @property
    def may_see_archives(self) -> bool:
        return bool(self.user.has_perm("retention.view_archive"))

    @property
    def may_see_changes(self) -> bool:
        return bool(self.user.has_perm("retention.view_policychange"))


class PreviewStory:
    """What would leave of one dataset now, and what a run would do."""

    def __init__(self, policy: RetentionPolicy, *, now: datetime) -> None:
        self.policy, self.now = policy, now
        self.dataset = shown.known(policy.dataset)
        self.plan: Plan | None = None
        self.refusal = ""
        try:
            self.plan = preview(dataset=policy.dataset, now=now)
        except DomainError as refusal:
            self.refusal = refusal.message

    @property
    def held(self) -> bool:
        return shown.is_held(self.policy, self.now)

    @cached_property
    def unfinished(self) -> int:
        """Return how many archives of earlier runs hold rows that have not left yet."""
        return Archive.objects.filter(dataset=self.policy.dataset).unfinished().count()

    @property
    def runnable(self) -> bool:
        return self.plan is not None and not self.held and bool(self.rows or self.unfinished)

    @property
    def along(self) -> int:
        """Return how many rows of other tables leave along."""
        return sum(self.plan.dependents.values()) if self.plan else 0

    @property
    def rows(self) -> int:
        """Return how many rows of all tables would leave."""
        return self.plan.rows + self.along if self.plan else 0

    @property
    def exempt(self) -> int:
        return sum(each.rows for each in self.plan.exempt) if self.plan else 0

    @property
    def size(self) -> SafeString:
        return shown.size(self.plan.bytes if self.plan else None)

    @property
    def verb(self) -> str:
        return "Archive and delete" if self.policy.archive else "Delete"

    @property
    def tables(self) -> list[tuple[str, int]]:
        """Return what leaves, table by table, that of the dataset first."""
        if self.plan is None or self.dataset is None:
            return []
        names = shown.tables_words([self.dataset.table, *self.plan.dependents])
        return list(zip(names, [self.plan.rows, *self.plan.dependents.values()], strict=True))

    @property
    def stays(self) -> list[dict[str, Any]]:
        lifted = {each.name for each in self.dataset.exempt} if self.dataset else set()
        return [
            {"why": each.why, "rows": each.rows, "mandatory": each.name not in lifted}
            for each in (self.plan.exempt if self.plan else [])
        ]

    @property
    def time(self) -> str:
        """Return what the age counts from, as it stands in a sentence."""
        return shown.column_words(self.dataset, self.policy.time_column).lower()

    @property
    def kept(self) -> str:
        return shown.days_words(self.policy.age_days)


class TotalStory:
    """What would leave of all datasets now, with totals."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now
        self.refusal = ""
        self.plans: list[Plan] = []
        try:
            found = preview_all(now=now)
            self.plans = sorted(found, key=lambda each: shown.title_of(each.dataset).lower())
        except DomainError as refusal:
            self.refusal = refusal.message
        self.policies = {one.dataset: one for one in RetentionPolicy.objects.all()}

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        return [self.line(plan) for plan in self.plans]

    @cached_property
    def notices(self) -> list[Sentence]:
        """Return whose policies are refused, and why: nothing of those is counted below."""
        counted, said = {plan.dataset for plan in self.plans}, []
        for declared in datasets():
            if declared.name in counted:
                continue
            try:
                rule_of(policy_of(declared.name))
            except DomainError as refusal:
                words: Sentence = ("danger", f"Not counted: {refusal.message}")
                said.append(words)
        return said

    def line(self, plan: Plan) -> dict[str, Any]:
        policy = self.policies.get(plan.dataset)
        return {
            "title": shown.title_of(plan.dataset),
            "url": shown.address(RetentionPolicy, "preview", policy.pk) if policy else "",
            "states": list(shown.states(policy, self.now)) if policy else [],
            "kept": shown.days(policy.age_days) if policy else "",
            "old": plan.old,
            "rows": plan.rows,
            "along": sum(plan.dependents.values()),
            "stay": sum(each.rows for each in plan.exempt),
            "range": shown.time_range(plan.oldest, plan.newest)
            if plan.oldest
            else display.empty("Nothing would leave."),
            "size": shown.size(plan.bytes),
        }

    @property
    def rows(self) -> int:
        return sum(plan.rows for plan in self.plans)

    @property
    def along(self) -> int:
        return sum(sum(plan.dependents.values()) for plan in self.plans)

    @property
    def stay(self) -> int:
        return sum(each.rows for plan in self.plans for each in plan.exempt)

    @property
    def old(self) -> int:
        return sum(plan.old for plan in self.plans)

    @property
    def size(self) -> SafeString:
        return shown.size(sum(plan.bytes for plan in self.plans))

    @property
    def nightly(self) -> int:
        """Return how many rows would leave by the policies that are on and not held."""
        in_force = {
            name
            for name, policy in self.policies.items()
            if policy.enabled and not shown.is_held(policy, self.now)
        }
        return sum(
            plan.rows + sum(plan.dependents.values())
            for plan in self.plans
            if plan.dataset in in_force
        )
