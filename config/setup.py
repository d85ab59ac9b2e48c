"""What a database needs before Blotter runs on it. Each step may be repeated."""

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, connections
from django.utils import timezone

from apps.access.services import ensure_roles
from apps.alerts.models import Alert
from apps.market.models import Candle, Instrument
from apps.market.services.basics import ensure_basics
from apps.retention.services.policies import ensure_policies
from config import demo as demonstration
from config import health


def migrate() -> str:
    """Apply the migrations that are missing."""
    missing = len(health.unapplied_migrations())
    if missing:
        call_command("migrate", interactive=False, verbosity=0)
    return f"{missing} applied" if missing else "up to date"


def roles() -> str:
    """Have the staff roles as the code has them."""
    return ", ".join(ensure_roles())


def market() -> str:
    """Have the definitions of features and the rules of the cache."""
    return f"{ensure_basics()} rules added"


def retention() -> str:
    """Have a policy for each dataset; what staff changed stays changed."""
    return f"{ensure_policies(now=timezone.now())} policies added"


def administrator(name: str, password: str) -> str:
    """Make the first administrator; an installation that has one keeps its own."""
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        return "there is one"
    users.create_superuser(name, password=password)
    return f"made: {name}"


def demo() -> str:
    """Load the demo where there is nothing yet; a demo that is there is brought up to now."""
    demonstrated = Instrument.objects.filter(source=demonstration.SOURCE).exists()
    if not demonstrated and any(model.objects.exists() for model in (Instrument, Candle, Alert)):
        return "not needed: there is data"
    loaded = demonstration.load()
    if not demonstrated:
        # Lists tell how long they are by what the planner knows.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    return loaded


def close_connections() -> None:
    """Leave the database to those who work on it from now on."""
    for each in connections.all():
        each.close()
        each.close_pool()  # type: ignore[attr-defined]
