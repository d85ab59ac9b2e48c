"""What a person reads of a backup and of its verification."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from config.backup.files import HOLDING
from config.backup.making import Made
from config.backup.programs import NEW_WORDS, too_old_for

MOST_NAMED = 5


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: how it stands, its figure, and what is to be said of it."""

    check: str
    status: Status
    figure: str
    said: str = ""


def failed(findings: Iterable[Finding]) -> list[str]:
    """Return the names of the checks that failed."""
    return [finding.check for finding in findings if finding.status is Status.FAILED]


def as_table(findings: Sequence[Finding]) -> str:
    """Return one line per finding, with what is to be said of it below."""
    width = max((len(finding.check) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.status.upper():8} {finding.check:{width}}  {finding.figure}")
        if finding.said:
            lines.append(f"{'':8} {'':{width}}  {finding.said}")
    return "\n".join(line.rstrip() for line in lines)


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings for a program."""
    answer = {"verified": not failed(findings), "findings": findings}
    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()


def named(names: Sequence[str]) -> str:
    """Return names for a sentence: the first few, and how many there are besides."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def of_backup(made: Made) -> str:
    """Return what is to be said of a backup that was made."""
    manifest = made.manifest
    lines = [
        f"{made.folder}",
        f"  {manifest.rows:,} rows in {len(manifest.tables):,} tables, as of one moment at"
        f" {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC",
        f"  {manifest.dump_bytes:,} bytes, SHA-256 {manifest.dump_sha256}",
        f"  Archives ({len(manifest.archives):,}) and lists of trades ({len(manifest.media):,}) are"
        " files of their own: copy ARCHIVE_ROOT and MEDIA_ROOT along",
    ]
    if too_old_for(manifest.program, manifest.server):
        lines.append(
            f"  restores into PostgreSQL {NEW_WORDS} or newer alone: there is no pg_dump of version"
            f" {manifest.server} on PATH"
        )
    against = [each.name for each in manifest.invariants if each.against]
    lost = [each.path for each in manifest.archives if each.problem and each.status in HOLDING]
    missing = [each.path for each in manifest.media if not each.there]
    for what, names in (
        ("Rules that do not hold in the database", against),
        ("Archives that are not as they were", lost),
        ("Lists of trades that are not there", missing),
    ):
        if names:
            lines.append(f"  {what}: {named(names)}")
    lines += [f"  deleted: {folder}" for folder in made.gone]
    return "\n".join(lines)
