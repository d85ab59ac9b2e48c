"""Whether a restored database can be worked with: migrations, login, keys, files beside it."""

import secrets

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.hashers import identify_hasher
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest
from django.utils import timezone

from apps.access import services
from apps.access.models import ApiKey
from apps.access.scopes import known_scopes
from config.backup import files
from config.backup.manifests import Manifest, fingerprint
from config.backup.report import Status, named

Answer = tuple[Status, str, str]


def migrations(*, carry_out: bool) -> Answer:
    """Compare what was applied with this code; what is missing is applied where ``carry_out``."""
    loader = MigrationLoader(connection)
    known, applied = set(loader.disk_migrations), set(loader.applied_migrations)
    figure = f"{len(applied & known):,} applied"
    unknown = sorted(
        f"{app}.{name}" for app, name in applied - known if app in loader.migrated_apps
    )
    if unknown:
        said = f"of a newer Blotter, this code does not know them: {named(unknown)}"
        return Status.FAILED, figure, said
    missing = sorted(
        f"{app}.{name}"
        for app, name in loader.graph.nodes
        if (app, name) not in loader.applied_migrations
    )
    if not missing:
        return Status.OK, f"{figure}, those of this code", ""
    if not carry_out:
        return Status.WARNING, figure, f"run manage.py migrate; missing: {named(missing)}"
    call_command("migrate", interactive=False, verbosity=0)
    return Status.WARNING, figure, f"migrate has to follow, and could: {named(missing)}"


def login() -> Answer:
    """Somebody of the staff can log in, and a user made for the purpose does."""
    users = get_user_model().objects
    staff = [user for user in users.filter(is_staff=True, is_active=True) if _has_password(user)]
    figure = f"{len(staff):,} of the staff with a password"
    password, name = secrets.token_urlsafe(24), f"probe-{secrets.token_hex(8)}"
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = "127.0.0.1"
    with transaction.atomic():
        made = users.create_user(name, password=password, is_staff=True)
        came_in = authenticate(request, username=name, password=password)
        transaction.set_rollback(True)
    if came_in != made:
        return Status.FAILED, figure, "a user made for the purpose could not log in"
    if not staff:
        return Status.FAILED, figure, "nobody of the staff can log in"
    return Status.OK, figure, ""


def _has_password(user: object) -> bool:
    try:
        identify_hasher(user.password)  # type: ignore[attr-defined]
    except ValueError:
        return False
    return True


def keys(manifest: Manifest) -> Answer:
    """Keys are recognized, and those that are stored fit the secrets of this installation."""
    now = timezone.now()
    figure = f"{ApiKey.objects.count():,} stored, {ApiKey.objects.usable(now).count():,} in force"
    with transaction.atomic():
        issued = services.create_key(client="probe", scopes=known_scopes()[:1], now=timezone.now())
        found = services.identify(text=issued.text, now=timezone.now())
        transaction.set_rollback(True)
    if found.pk != issued.key.pk:
        return Status.FAILED, figure, "a key made for the purpose opened nothing"
    said = []
    if not _fits(manifest, "API_KEY_PEPPER"):
        said.append("API_KEY_PEPPER is not the one of the backup: ALL KEYS WOULD BE REFUSED")
    if not _fits(manifest, "SECRET_KEY"):
        said.append("SECRET_KEY is another one: who is logged in must log in again")
    return Status.WARNING if said else Status.OK, figure, "; ".join(said)


def _fits(manifest: Manifest, name: str) -> bool:
    return manifest.fingerprints.get(name) == fingerprint(getattr(settings, name))


def archives(manifest: Manifest) -> Answer:
    """Each archive is in its folder as it was written."""
    problems, lost = [], False
    for archive in manifest.archives:
        if problem := files.archive_problem(archive):
            problems.append(f"{archive.path} {problem}")
            # What an archive holds may stand in the database as well.
            lost = lost or archive.status in files.HOLDING
    good = len(manifest.archives) - len(problems)
    rows = sum(archive.rows for archive in manifest.archives)
    figure = f"{good:,} of {len(manifest.archives):,} as they were written, {rows:,} rows"
    if not problems:
        return Status.OK, figure, ""
    return Status.FAILED if lost else Status.WARNING, figure, named(problems)


def media(manifest: Manifest) -> Answer:
    """Each list of trades is there."""
    missing = [file.path for file in manifest.media if not files.is_there(file)]
    figure = f"{len(manifest.media) - len(missing):,} of {len(manifest.media):,} files"
    if not missing:
        return Status.OK, figure, ""
    return Status.WARNING, figure, f"not there: {named(missing)}"
