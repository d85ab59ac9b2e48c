"""What of the demo has left for an archive: told long ago, it is not told anew."""

from datetime import datetime, timedelta

from django.db.models import Max

from apps.retention.models import Archive, RetentionPolicy

NEXT = timedelta(microseconds=1)


def behind_left(dataset: str, since: datetime) -> datetime:
    """Return from when on rows of a dataset are told: ``since``, or what is behind those that left.

    Whatever is no later than the newest that has left was told: it stands, or has left as well.
    Without archives that is what the last run of the policy has deleted.
    """
    archives = Archive.objects.filter(dataset=dataset)
    newest = archives.aggregate(newest=Max("last_time"))["newest"]
    moments = [since] if newest is None else [since, newest + NEXT]
    policies = RetentionPolicy.objects.filter(dataset=dataset, last_run__isnull=False)
    for policy in policies.select_related("last_run"):
        run = policy.last_run
        if run is not None and not run.metadata["policy"]["archive"] and run.metadata["cutoff"]:
            moments.append(datetime.fromisoformat(run.metadata["cutoff"]))
    return max(moments)
