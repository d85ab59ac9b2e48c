"""Whether this process lives, and whether it can serve: for load balancers, without a login."""

from typing import Any

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

# Migrations do not go away again: what was applied once is not asked for a second time.
_migrated = False


@require_safe
@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    """Answer 200 as long as the process takes requests; asks nothing of anybody."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers and has every migration, else 503 and what is wrong."""
    problems: dict[str, Any] = {}
    try:
        missing = unapplied_migrations()
        if missing:
            problems["migrations"] = missing
    except DatabaseError as error:
        # The first line is the reason; what follows names hosts and users.
        problems["database"] = type(error).__name__
    status = 503 if problems else 200
    return JsonResponse({"ready": not problems, "problems": problems}, status=status)


def unapplied_migrations() -> list[str]:
    """Return the names of the migrations that the database lacks.

    Raises DatabaseError when it cannot be asked.
    """
    global _migrated
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if _migrated:
        return []
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    missing = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
    _migrated = not missing
    return missing
