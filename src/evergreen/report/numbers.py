"""How reports write numbers and times."""

from datetime import UTC, datetime


def show(value: float | None) -> str:
    """Four significant digits, whole numbers as such, thousands apart; a dash for what is not there.

    >>> show(0.77904), show(1234567.0), show(None), show(0.5), show(41.0)
    ('0.7790', '1,234,567', '–', '0.5000', '41')
    """
    if value is None:
        return "–"
    size = abs(value)
    if size >= 1000 or (size >= 2 and size == int(size)):
        return f"{value:,.0f}"
    if size >= 1:
        return f"{value:.{3 - len(str(int(size))) + 1}f}"
    return f"{value:.4f}" if size >= 0.0001 or size == 0 else f"{value:.2g}"


def show_difference(value: float | None) -> str:
    """Like `show`, with its sign.

    >>> show_difference(0.0148), show_difference(-0.2), show_difference(0.0)
    ('+0.0148', '−0.2000', '0')
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    return ("+" if value > 0 else "−") + show(abs(value))


def show_time(moment: datetime | None) -> str:
    """Minutes, in UTC.

    >>> show_time(datetime(2024, 5, 6, 7, 8, tzinfo=UTC))
    '2024-05-06 07:08 UTC'
    """
    return "–" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def show_share(value: float | None) -> str:
    """A share in percent.

    >>> show_share(0.0484)
    '4.8 %'
    """
    return "–" if value is None else f"{value * 100:.1f} %"
