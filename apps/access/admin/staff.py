"""Users, groups and failed logins, in the look of the rest of the admin."""

from typing import Any

from axes.admin import AccessAttemptAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.shared.admin import FactAdmin

for model in (User, Group, AccessAttempt, AccessLog, AccessFailureLog):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep who is no superuser from making one, of himself or of others."""
        fields = super().get_readonly_fields(request, obj)
        if request.user.is_superuser:
            return fields
        return (*fields, "is_superuser", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)


def _may_touch(request: HttpRequest, user: User | None) -> bool:
    """Only a superuser changes a superuser: whoever sets his password becomes him."""
    return not (isinstance(user, User) and user.is_superuser) or request.user.is_superuser


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass


@admin.register(AccessAttempt)
class LoginAttemptAdmin(AccessAttemptAdmin, ModelAdmin):
    date_hierarchy = None


@admin.register(AccessLog)
class LoginAdmin(FactAdmin):
    list_display = ["username", "ip_address", "attempt_time", "logout_time", "user_agent"]
    list_filter = ["username", "ip_address"]
    search_fields = ["=username"]
    ordering = ["-id"]
    empty_hint = "Each login to these pages is written down here."
    empty_reasons = {"logout_time": "Not logged out, or the session ran out."}
    groups = [
        ("Login", ["username", "attempt_time", "logout_time"]),
        ("Came from", ["ip_address", "user_agent", "path_info"]),
    ]
