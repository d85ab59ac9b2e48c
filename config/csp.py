"""The Content-Security-Policy: strict everywhere, with what the admin's theme needs inside it."""

from typing import Any

from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase

# The theme's Alpine evaluates the expressions in its attributes, and its widgets and charts
# set style attributes. Scripts inside a page stay forbidden here too.
ADMIN: dict[str, Any] = {"script-src": [UNSAFE_EVAL], "style-src": [UNSAFE_INLINE]}


class PolicyMiddleware(CSPMiddleware):
    """Widen the policy of settings for the admin's own pages, and for nothing else."""

    def get_policy_parts(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        report_only: bool = False,
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if not report_only and request.path_info.startswith("/admin/"):
            parts.update = {**ADMIN, **(parts.update or {})}
        return parts
