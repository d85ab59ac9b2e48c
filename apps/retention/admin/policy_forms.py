"""The form of a policy. It judges nothing itself: what may be saved is said by one service."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django import forms
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.retention.admin import shown
from apps.retention.models import RetentionPolicy
from apps.shared.errors import FieldError
from apps.shared.retention.datasets import Dataset


class Stays(NamedTuple):
    """One exemption as the form shows it; a mandatory one cannot be taken away.

    ``sent``: a policy repeats it by name. What others cite stays without being named.
    """

    name: str
    why: str
    mandatory: bool
    chosen: bool
    sent: bool


class NamesField(forms.MultipleChoiceField):
    """Names as they were sent: the service says by name which of them cannot be, and which must."""

    def validate(self, value: Any) -> None:
        return


class PolicyForm(forms.Form):
    """For how long a dataset is kept, and what of it stays."""

    enabled = forms.BooleanField(
        label="On",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="It is applied every night. Off, rows leave only when somebody runs it by hand.",
    )
    age_days = forms.IntegerField(
        label="Kept for (days)",
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        help_text="Older rows leave. 0: as soon as their time is over.",
    )
    time_column = forms.CharField(
        label="Age counts from",
        widget=UnfoldAdminSelectWidget,
        help_text="The time that says how old a row is.",
    )
    archive = forms.BooleanField(
        label="Archived first",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Written to files that can be restored. Otherwise what leaves is gone for good.",
    )
    clear_hold = forms.BooleanField(
        label="Let rows leave again",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
    )
    exemptions = NamesField(label="What stays, however old it is", required=False)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        policy: RetentionPolicy,
        dataset: Dataset,
        held: bool,
    ) -> None:
        self.policy, self.dataset = policy, dataset
        super().__init__(
            data,  # type: ignore[arg-type]
            initial={
                "enabled": policy.enabled,
                "age_days": policy.age_days,
                "time_column": policy.time_column,
                "exemptions": policy.exemptions,
                "archive": policy.archive,
            },
        )
        columns: Any = self.fields["time_column"].widget
        columns.choices = [(name, shown.column_words(dataset, name)) for name in dataset.times]
        if not held:
            del self.fields["clear_hold"]
        elif policy.held_until:
            until = f"{policy.held_until:%Y-%m-%d %H:%M} UTC"
            self.fields[
                "clear_hold"
            ].help_text = (
                f"Rows were restored: nothing leaves before {until} unless this is switched on."
            )

    def stays(self) -> list[Stays]:
        """Return every exemption of the dataset: those that no policy lifts first."""
        chosen = self.chosen()
        named = {each.name for each in self.dataset.never}
        return [
            *(
                Stays(each.name, each.why, True, True, each.name in named)
                for each in self.dataset.mandatory
            ),
            *(
                Stays(each.name, each.why, False, each.name in chosen, True)
                for each in self.dataset.exempt
            ),
        ]

    def chosen(self) -> set[str]:
        if not self.is_bound:
            return shown.chosen(self.policy)
        return set(self["exemptions"].data or ())

    def changes(self) -> dict[str, Any]:
        """Return what the form asks for, by column of the policy."""
        asked = dict(self.cleaned_data)
        if asked.pop("clear_hold", False):
            asked["held_until"] = None
        return asked

    def refuse(self, errors: Sequence[FieldError], message: str) -> None:
        """Say what the service refused, each beside its field; what belongs to none at the top."""
        for error in errors:
            name = error.pointer.lstrip("/").partition("/")[0]
            self.add_error(name if name in self.fields else None, error.message)
        if not errors:
            self.add_error(None, message)
