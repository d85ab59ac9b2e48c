"""The beat: the schedule of the code as rows, which staff may pause in the admin."""

from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

# Tells the code's own entries from those that staff add.
FROM_CODE = "From the code (config/celery.py). Pause it by taking away Enabled."


class Scheduler(DatabaseScheduler):
    """django-celery-beat's scheduler, whose rows also go when the code forgets them."""

    def setup_schedule(self) -> None:
        """Bring the rows in line with the code; an entry that was paused stays paused."""
        schedule = {
            name: {**entry, "description": FROM_CODE}
            for name, entry in self.app.conf.beat_schedule.items()
        }
        forgotten = PeriodicTask.objects.filter(description=FROM_CODE).exclude(name__in=schedule)
        # Nothing is announced: this scheduler has not read the table yet.
        forgotten.delete()
        self.update_from_dict(schedule)
