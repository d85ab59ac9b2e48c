"""What prices say of a claim, as expressions over columns: changes, excursions, first touch.

The same as ``apps.shared.quant.outcomes`` says of one claim, for a judge's statement to put behind
the prices that ``apps.market.services.outcomes`` has found. Names of columns and CTEs are written
by us, never taken from outside.
"""

from apps.shared.quant.outcomes import CHANGE_LIMIT


def moved(*, price: str, entry: str) -> str:
    """Return the expression of ``(price − entry) / entry``, to 18 digits or more."""
    return f"({price} - {entry} + 0.000000000000000000) / {entry}"


def change(*, sign: str, moved: str, price: str, entry: str) -> str:
    """Return the exact expression of ``quant.outcomes.change_pct`` over columns.

    ``moved`` is a column that holds ``moved(price, entry)``, computed once in a subquery that
    ends in ``OFFSET 0``: this mentions it several times. Null where a part is null or the result
    cannot be stored.

    PostgreSQL's round() takes ties away from zero, and only ties need more than it: those, and
    quotients so near to one that 18 digits do not tell them apart. They are counted in whole
    units of 10^-10 by ``div`` and ``mod``, which lose nothing, and a tie goes to the even one.
    """
    # ⌊(2n + e) / 2e⌋ is n/e rounded half up; the remainder is zero exactly at a tie.
    doubled = f"(abs({price} - {entry}) * 20000000000 + {entry})"
    units = f"div({doubled}, 2 * {entry})"
    near_tie = f"""sign({moved}) * 0.0000000001 * ({units}
            - CASE WHEN mod({doubled}, 2 * {entry}) = 0 THEN mod({units}, 2) ELSE 0 END)"""
    return f"""CASE WHEN abs({moved}) < {CHANGE_LIMIT // 100} THEN {sign} * 100 * CASE
        WHEN abs(round({moved}, 10) - {moved}) = 0.00000000005 THEN {near_tie}
        ELSE round({moved}, 10) END END"""


def moves(*prices: str, of: str) -> str:
    """Return a subquery ``q``: the rows of ``of``, ready for ``change_of`` these prices.

    ``of`` has the columns sign, entry_price, and one for each price.
    """
    columns = ", ".join(
        f"{moved(price=f'w.{each}', entry='w.entry_price')} AS {each}_moved" for each in prices
    )
    return f"(SELECT w.*, {columns} FROM {of} w OFFSET 0) q"


def change_of(price: str) -> str:
    """Return the expression of the change to a price of ``moves``."""
    return change(
        sign="q.sign", moved=f"q.{price}_moved", price=f"q.{price}", entry="q.entry_price"
    )


# Of ``moves`` of what ``windows`` saw.
MAX_GAIN = f"CASE WHEN q.sign > 0 THEN {change_of('highest')} ELSE {change_of('lowest')} END"
MAX_LOSS = f"CASE WHEN q.sign > 0 THEN {change_of('lowest')} ELSE {change_of('highest')} END"


def first_touch(*, settled: str) -> str:
    """Return the expression of ``quant.outcomes.first_touch`` over what ``windows`` saw.

    Empty where neither target nor stop was named, and while neither was touched but may be.
    """
    return f"""CASE WHEN target_at = stop_at THEN 'ambiguous'
             WHEN target_at IS NOT NULL AND (stop_at IS NULL OR target_at < stop_at) THEN 'target'
             WHEN stop_at IS NOT NULL THEN 'stop'
             WHEN {settled} AND (target IS NOT NULL OR stop IS NOT NULL) THEN 'none'
             ELSE '' END"""


def quoted(text: str) -> str:
    """Return a text of ours as a literal."""
    return "'" + text.replace("'", "''") + "'"
