"""The one severity that a level's word or number of any system stands for."""

import re

from apps.logs.choices import Severity

SEVERITY_WORDS: dict[str, str] = {
    **dict.fromkeys(
        ["DEBUG", "TRACE", "VERBOSE", "FINE", "FINER", "FINEST", "NOTSET", "SILLY", "SPAM", "DBG"],
        Severity.DEBUG.value,
    ),
    **dict.fromkeys(
        ["WARNING", "WARN", "CAUTION", "WRN"],
        Severity.WARNING.value,
    ),
    **dict.fromkeys(
        ["ERROR", "ERR", "SEVERE", "FAILURE", "FAIL", "FAILED", "EXCEPTION"],
        Severity.ERROR.value,
    ),
    **dict.fromkeys(
        ["CRITICAL", "CRIT", "FATAL", "EMERGENCY", "EMERG", "PANIC", "ALERT", "DPANIC"],
        Severity.CRITICAL.value,
    ),
    # One letter, as Android and glog write it.
    "D": Severity.DEBUG.value,
    "T": Severity.DEBUG.value,
    "V": Severity.DEBUG.value,
    "W": Severity.WARNING.value,
    "E": Severity.ERROR.value,
    "C": Severity.CRITICAL.value,
    "F": Severity.CRITICAL.value,
}
LEVEL_NUMBER = re.compile(r"(?:LEVEL )?([+-]?[0-9]{1,9})(?:\.0*)?")


def severity_of(level: str | int) -> str:
    """Return the Severity for a level's word, or for its number as Python counts (10 to 50).

    An unknown word is INFO: a line is not to be lost, nor to raise an alarm, over a name.
    """
    if isinstance(level, str):
        word = level.strip().upper()
        number = LEVEL_NUMBER.fullmatch(word)
        if not number:
            return SEVERITY_WORDS.get(word, Severity.INFO.value)
        level = int(number[1])
    if level < 20:
        return Severity.DEBUG.value
    if level < 30:
        return Severity.INFO.value
    if level < 40:
        return Severity.WARNING.value
    return Severity.ERROR.value if level < 50 else Severity.CRITICAL.value
