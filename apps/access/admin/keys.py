"""Keys of programs: made, replaced, revoked; the key itself is shown once."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from apps.access import services
from apps.access.choices import COLORS, KeyState
from apps.access.models import ApiKey, ApiKeyQuerySet
from apps.access.scopes import known_scopes
from apps.shared import display
from apps.shared.admin import EntityAdmin


class KeyForm(forms.ModelForm):
    """A key with its scopes as boxes to tick."""

    scopes = forms.MultipleChoiceField(
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What the key opens. Write does not include read. agents:prompts opens, beside"
        " agents:read, what models were asked and answered.",
    )

    class Meta:
        model = ApiKey
        fields = ("client", "scopes", "bot", "agent", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scopes = self.fields.get("scopes")
        if isinstance(scopes, forms.MultipleChoiceField):
            scopes.choices = [(scope, scope) for scope in known_scopes()]

    def clean_expires_at(self) -> datetime:
        expires_at: datetime = self.cleaned_data["expires_at"]
        if self.instance.pk is None and expires_at <= timezone.now():
            raise ValidationError("This moment has passed.")
        return expires_at


class OverlapForm(forms.Form):
    """How long the old key goes on beside the new one."""

    overlap = forms.TypedChoiceField(
        label="The old key goes on for",
        coerce=int,
        initial=168,
        widget=UnfoldAdminSelectWidget,
        choices=[(0, "no time at all"), (1, "1 hour"), (24, "1 day"), (168, "7 days")],
    )


class StateFilter(DropdownFilter):
    """Keys by how they stand now."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(KeyState.choices)

    def queryset(self, request: HttpRequest, queryset: ApiKeyQuerySet) -> ApiKeyQuerySet:
        if self.value() not in KeyState.values:
            return queryset
        return queryset.in_state(KeyState(self.value()), timezone.now())


@admin.register(ApiKey)
class ApiKeyAdmin(EntityAdmin):
    form = KeyForm
    list_display = ("client", "prefix", "state", "opens", "bound_to", "expires_at", "last_used_at")
    list_filter = (StateFilter,)
    search_fields = ("client", "prefix", "bot", "agent")
    empty_hint = "A program needs a key to report: make one and copy it into its settings."
    empty_reasons = {"last_used_at": "Never used.", "revoked_at": "Not revoked."}
    groups = [
        ("Rights", ["client", "opens", "bound_to"]),
        ("Life", ["prefix", "state", "expires_at", "last_used_at", "replaced_by", "revoked_at",
                  "created_by", "created_at"]),
    ]  # fmt: skip
    page_template = "access/key_page.html"
    private = ["key_hash"]
    export_fields = [
        "client", "prefix", "scopes", "bot", "agent", "expires_at", "last_used_at", "revoked_at",
        "created_at",
    ]  # fmt: skip
    fieldsets = [(None, {"fields": ["client", "scopes", ("bot", "agent"), "expires_at"]})]
    actions_detail = ("rotate", "revoke")

    def page_badges(self, obj: ApiKey) -> list[SafeString]:
        return [self.state(obj)]

    def page_context(self, request: HttpRequest, obj: ApiKey) -> dict[str, Any]:
        state = obj.state(timezone.now())
        steps = []
        if self.has_change_permission(request, obj):
            steps += [("Replace", "rotate")] if state is KeyState.ACTIVE else []
            steps += [("Revoke", "revoke")] if state is not KeyState.REVOKED else []
        return {
            "steps": [
                {"title": title, "url": reverse(f"admin:{self.url_name(name)}", args=[obj.pk])}
                for title, name in steps
            ]
        }

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {
            "expires_at": timezone.now() + services.KEY_LIFETIME,
            **super().get_changeform_initial_data(request),
        }

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Keys are revoked, not deleted: who had access when stays on record."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        issued = services.create_key(
            client=obj.client,
            scopes=obj.scopes,
            bot=obj.bot,
            agent=obj.agent,
            expires_at=obj.expires_at,
            created_by=request.user,
            now=timezone.now(),
        )
        obj.__dict__.update(issued.key.__dict__)
        request.issued_key = issued  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show_once(request, request.issued_key)  # type: ignore[attr-defined]

    def _show_once(self, request: HttpRequest, issued: services.IssuedKey) -> HttpResponse:
        """Answer with the key itself: never redirected to, so that it is stored nowhere."""
        response = TemplateResponse(
            request,
            "access/key_issued.html",
            {
                **self.admin_site.each_context(request),
                "title": f"Key of {issued.key.client}",
                "opts": self.opts,
                "key": issued.key,
                "text": issued.text,
                "back": reverse("admin:access_apikey_change", args=[issued.key.pk]),
            },
        )
        patch_cache_control(response, no_store=True, private=True)
        return response

    def _asked(self, request: HttpRequest, object_id: str) -> ApiKey:
        """Return the key that an action is about."""
        key = self.get_object(request, unquote(str(object_id)))
        if key is None:
            raise Http404
        return key

    def _confirm(self, request: HttpRequest, key: ApiKey, **context: Any) -> HttpResponse:
        return TemplateResponse(
            request,
            "access/key_confirm.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "key": key,
                "back": reverse("admin:access_apikey_change", args=[key.pk]),
                **context,
            },
        )

    @action(
        description="Replace",
        icon="autorenew",
        url_path="rotate",
        permissions=["change"],
    )
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self._asked(request, object_id)
        form = OverlapForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            return self._confirm(
                request,
                key,
                title=f"Replace the key of {key.client}?",
                sentence="A new key with the same rights is made and shown once. The old one"
                " goes on for the overlap, so that the program can be changed over in peace.",
                form=form,
                button="Replace",
            )
        try:
            issued = services.rotate_key(
                key_id=key.pk,
                now=timezone.now(),
                overlap=timedelta(hours=form.cleaned_data["overlap"]),
                created_by=request.user,
            )
        except services.KeyNotRotatable as refusal:
            messages.error(request, refusal.message)
            return redirect("admin:access_apikey_change", key.pk)
        self.log_change(request, key, f"Replaced by {issued.key.prefix}.")
        return self._show_once(request, issued)

    @action(description="Revoke", icon="block", url_path="revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self._asked(request, object_id)
        if request.method != "POST":
            return self._confirm(
                request,
                key,
                title=f"Revoke the key of {key.client}?",
                sentence="From this moment on it opens nothing. This cannot be undone.",
                button="Revoke",
                dangerous=True,
            )
        if services.revoke_key(key_id=key.pk, now=timezone.now()):
            self.log_change(request, key, "Revoked.")
            messages.success(request, f"{key} is revoked.")
        else:
            messages.info(request, f"{key} was revoked before.")
        return redirect("admin:access_apikey_change", key.pk)

    @admin.display(description="State")
    def state(self, key: ApiKey) -> SafeString:
        state = key.state(timezone.now())
        return display.badge(str(state.label), COLORS[state])

    @admin.display(description="Opens", ordering="scopes")
    def opens(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="Bound to")
    def bound_to(self, key: ApiKey) -> SafeString:
        words = ", ".join(f"{kind} {name}" for kind, name in key.bindings.items())
        return display.text(words or None, "Free: only its scopes hold it.")
