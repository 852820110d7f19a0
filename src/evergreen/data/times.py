"""Texts as naive UTC timestamps: the forms that tables really hold."""

from typing import Any

# A day, optionally a time of day, optionally a zone. The digits of an epoch do not match.
_ISO = (
    r"^\d{4}(-\d{2}-\d{2}|\d{4})"
    r"([T ]\d{2}(:?\d{2}(:?\d{2}(\.\d{1,6})?)?)?)?"
    r"( ?(Z|[+-]\d{2}(:?\d{2})?))?$"
)
_DOTTED = r"^(\d{2})\.(\d{2})\.(\d{4})(\D.*)?$"
_SLASHED = r"^(\d{2})[/-](\d{2})[/-](\d{4})(\D.*)?$"
_MONTH, _LATE_DAY = r"(0?[1-9]|1[0-2])", r"(1[3-9]|2\d|3[01])"


def parse_times(texts: Any, day_first: bool = False) -> Any:
    """A string array as `timestamp[us]` in UTC, null where a text is no date.

    Read are ISO 8601 with or without zone (mixed, extended or basic), `DD.MM.YYYY`, and `MM/DD/YYYY`, or
    `DD/MM/YYYY` with `day_first`, each with a time of day if there is one. Text without a zone is UTC. The order is
    never guessed: what a value means must not depend on the values beside it.

    >>> import pyarrow as pa
    >>> parse_times(pa.array(["2013-01-01T10:00:00+02:00", "01.02.2013", "1356998400"])).to_pylist()
    [datetime.datetime(2013, 1, 1, 8, 0), datetime.datetime(2013, 2, 1, 0, 0), None]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for zone in (None, "UTC"):
        try:
            return pc.cast(pc.cast(texts, pa.timestamp("us", zone)), pa.timestamp("us"))
        except pa.ArrowInvalid:
            continue
    return _parse_iso(_to_iso(texts, day_first))


def count_day_first(texts: Any, day_first: bool = True) -> int:
    """How many texts are dates that can only have their day first, or, with `day_first` False, their month.

    >>> import pyarrow as pa
    >>> texts = pa.array(["31/12/2025", "03/04/2025", "1/31/2025 10:00", "13.01.2025"])
    >>> count_day_first(texts), count_day_first(texts, day_first=False)
    (1, 1)
    """
    import pyarrow.compute as pc

    first, second = (_LATE_DAY, _MONTH) if day_first else (_MONTH, _LATE_DAY)
    return int(pc.sum(pc.match_substring_regex(texts, rf"^\s*{first}[/-]{second}[/-]\d{{4}}\b")).as_py() or 0)


def _to_iso(texts: Any, day_first: bool) -> Any:
    import pyarrow.compute as pc

    padded = pc.replace_substring_regex(texts, r"\b(\d)\b", r"0\1")
    text = pc.if_else(pc.match_substring_regex(texts, r"^\d{1,2}[./-]"), padded, texts)
    text = pc.replace_substring_regex(text, _DOTTED, r"\3-\2-\1\4")
    text = pc.replace_substring_regex(text, _SLASHED, r"\3-\2-\1\4" if day_first else r"\3-\1-\2\4")
    text = pc.replace_substring_regex(text, r" ?(UTC|z)$", "Z")
    return pc.replace_substring_regex(text, r"(:\d{2})[.,](\d{1,6})\d*", r"\1.\2")


def _parse_iso(texts: Any) -> Any:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    dates = pc.if_else(pc.match_substring_regex(texts, _ISO), texts, None)
    # Arrow's own parser refuses the whole array for one bad value; this one nulls the value.
    times = pd.to_datetime(dates.to_pandas(), format="ISO8601", utc=True, errors="coerce")
    return pa.array(times.dt.tz_localize(None).astype("datetime64[us]"), pa.timestamp("us"), from_pandas=True)
