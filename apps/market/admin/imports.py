"""Bringing candles and instruments in from files, with a preview before anything is stored."""

import hashlib
import io
from dataclasses import asdict
from secrets import token_urlsafe
from typing import Any

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from import_export import resources
from import_export.admin import ImportMixin
from import_export.formats.base_formats import CSV, XLSX
from import_export.tmp_storages import CacheStorage
from redis.exceptions import RedisError
from unfold.contrib.import_export.forms import ImportForm
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from apps.executions.tracking import tracked_execution
from apps.market.choices import Granularity
from apps.market.models import Instrument
from apps.market.services.candle_files import UnreadableFile
from apps.market.services.health import recheck_changed, rules_of
from apps.market.services.importing import FileOptions, ImportReport, import_candles

MEGABYTE = 1024 * 1024
MOST_BYTES = 20 * MEGABYTE
MOST_ROWS = 500_000
# How long a preview may be looked at before it must be made again.
PREVIEW_SECONDS = 3600
SALT = "apps.market.admin.imports"


class CandleFileForm(forms.Form):
    """A file, and what it does not say itself."""

    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        help_text="CSV, CSV.gz or Parquet with timestamp, open, high, low, close, volume.",
    )
    source = forms.CharField(
        max_length=50,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Where the candles come from. Empty: the file's own column, or “import”.",
    )
    symbol = forms.CharField(
        max_length=50,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Empty: the file's column, or its name: ETH_BTC-5m.csv.gz is ETH/BTC.",
    )
    granularity = forms.ChoiceField(
        choices=[("", "As the file or its name says"), *Granularity.choices],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    naive_is_utc = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget,
        label="Times without an offset are UTC",
    )
    epoch = forms.ChoiceField(
        choices=[("", "Written out"), ("s", "Seconds since 1970"), ("ms", "Milliseconds")],
        required=False,
        widget=UnfoldAdminSelectWidget,
        label="Times are",
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError(
                f"The file has {file.size / MEGABYTE:.1f} MB; here {MOST_BYTES // MEGABYTE} MB are "
                "the most. Larger ones go in by manage.py import_candles."
            )
        return file

    def options(self) -> FileOptions:
        """Return the answers as the import service takes them."""
        answers = {name: value for name, value in self.cleaned_data.items() if name != "file"}
        return FileOptions(default_source="import", **answers)


class CandleImportMixin:
    """A page that takes a file, shows what it would do, and stores it when that is confirmed.

    Between the two the file lies in the cache; the browser gets a signed note of which it was
    and how it was to be read. Confirming reads and checks all of it again.
    """

    actions_list = ["import_file"]

    def has_import_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("market.add_candle")

    @action(
        description="Import a file", url_path="import/", icon="upload_file", permissions=["import"]
    )
    def import_file(self, request: HttpRequest) -> HttpResponse:
        if not self.has_import_permission(request):
            raise PermissionDenied
        if request.method == "POST" and "note" in request.POST:
            return self.confirm(request, request.POST["note"])
        form = CandleFileForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            return self.preview(request, form)
        return self.page(request, form=form)

    def preview(self, request: HttpRequest, form: CandleFileForm) -> HttpResponse:
        upload, options = form.cleaned_data["file"], form.options()
        content = upload.read()
        try:
            report = read(content, upload.name, options, dry_run=True)
            note = keep(content, upload.name, options, user=request.user.pk)
        except UnreadableFile as error:
            form.add_error("file", str(error))
            return self.page(request, form=form)
        except RedisError:
            form.add_error(None, "The file cannot be kept until you confirm: the cache is away.")
            return self.page(request, form=form)
        return self.page(request, report=report, note=note, name=upload.name)

    def confirm(self, request: HttpRequest, note: str) -> HttpResponse:
        try:
            content, name, options = kept(note, user=request.user.pk)
            by = request.user.get_username()
            with (
                tracked_execution("CANDLE_IMPORT", triggered_by=by, total_tasks=1) as run,
                run.step(name) as result,
            ):
                report = read(content, name, options, dry_run=False)
                result.update(report.counts())
        except (signing.BadSignature, LookupError, RedisError):
            messages.error(request, "This preview is too old. Please choose the file again.")
            return HttpResponseRedirect(request.path)
        except UnreadableFile as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.path)
        told = messages.warning if report.refused else messages.success
        told(
            request,
            f"{name}: {report.created} new, {report.unchanged} unchanged, "
            f"{report.replaced} replaced, {report.refused} refused.",
        )
        return HttpResponseRedirect(after(report, request))

    def page(self, request: HttpRequest, **context: Any) -> HttpResponse:
        site = self.admin_site  # type: ignore[attr-defined]
        context |= {
            **site.each_context(request),
            "opts": self.opts,  # type: ignore[attr-defined]
            "title": "Import candles",
            "most_megabytes": MOST_BYTES // MEGABYTE,
        }
        return TemplateResponse(request, "admin/market/candle_import.html", context)


def after(report: ImportReport, request: HttpRequest) -> str:
    """Return where stored candles are seen best: the chart of their instrument."""
    symbols = {key.symbol for key in report.series}
    instrument = Instrument.objects.filter(symbol__in=symbols).order_by("symbol").first()
    if instrument is None or not request.user.has_perm("market.view_instrument"):
        return reverse("admin:market_candle_changelist")
    return reverse("admin:market_instrument_change", args=[instrument.pk])


def read(content: bytes, name: str, options: FileOptions, *, dry_run: bool) -> ImportReport:
    return import_candles(
        io.BytesIO(content),
        name=name,
        options=options,
        now=timezone.now(),
        dry_run=dry_run,
        most_rows=MOST_ROWS,
    )


def keep(content: bytes, name: str, options: FileOptions, *, user: int | None) -> str:
    """Keep a file for a while and return the signed note that gives it back."""
    place = token_urlsafe()
    cache.set(f"candle-import:{place}", content, PREVIEW_SECONDS)
    note = {
        "place": place,
        "name": name,
        "options": asdict(options),
        "user": user,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return signing.dumps(note, salt=SALT, compress=True)


def kept(note: str, *, user: int | None) -> tuple[bytes, str, FileOptions]:
    """Return a kept file, its name and options.

    Raises BadSignature for a note that is not ours or too old, LookupError when the file is
    gone, is another one, or is somebody else's.
    """
    told = signing.loads(note, salt=SALT, max_age=PREVIEW_SECONDS)
    content = cache.get(f"candle-import:{told['place']}")
    if content is None or told["user"] != user:
        raise LookupError("No such file is kept.")
    if hashlib.sha256(content).hexdigest() != told["sha256"]:
        raise LookupError("The kept file is another one.")
    return content, told["name"], FileOptions(**told["options"])


class InstrumentResource(resources.ModelResource):
    """Instruments as rows of a file, known by their symbol."""

    class Meta:
        model = Instrument
        import_id_fields = ["symbol"]
        exclude = ["id", "created_at", "updated_at"]
        clean_model_instances = True
        skip_unchanged = True
        report_skipped = True
        use_transactions = True

    def save_instance(self, instance: Instrument, is_create: bool, row: Any, **kwargs: Any) -> None:
        """Save one; its candles are looked at again where it changes how they are judged."""
        before = rules_of([instance.symbol])
        super().save_instance(instance, is_create, row, **kwargs)
        recheck_changed(before)


class InstrumentImportMixin(ImportMixin):
    """Import of instruments, with django-import-export's preview in the theme's look."""

    resource_classes = [InstrumentResource]
    import_form_class = ImportForm
    # Not a file of the machine: the next request may be answered by another one.
    tmp_storage_class = CacheStorage

    def has_import_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(["market.add_instrument", "market.change_instrument"])

    def get_import_formats(self) -> list[type]:
        return [CSV, XLSX]
