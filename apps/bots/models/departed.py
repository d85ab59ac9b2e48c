"""The keys of trades that have left: what is told of them again is no new trade."""

from django.db import models

from apps.shared.models import CreatedModel


class DepartedTrade(CreatedModel):
    """The key of a trade, or of a part of one, that an archive holds and the table does not.

    Kept by the transaction in which it leaves or comes back.
    """

    id = models.UUIDField(primary_key=True)

    class Meta:
        db_table = "departed_trades"

    def __str__(self) -> str:
        return str(self.id)
