"""Small values as short text, and somebody else's text made harmless for a terminal."""

from __future__ import annotations

import re

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
"""What programs colour their output with; it goes without a trace."""

_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
"""Control characters become their pictures in Unicode: `ESC` is seen, and does nothing."""

_UNSEEN = [*range(0x80, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
"""C1 controls, and what turns the direction of writing, so that text reads otherwise than it is."""

_HARMLESS = {**_PICTURES, **dict.fromkeys([*_UNSEEN, 0x2028, 0x2029, *range(0xD800, 0xE000)], 0xFFFD)}
del _HARMLESS[0x09], _HARMLESS[0x0A]


def harmless(text: str) -> str:
    r"""Return text that can move no cursor and set no title; newlines and tabs stay.

    >>> harmless("\x1b[31mred\x1b[0m \x1b]0;title\x07")
    'red ␛]0;title␇'
    """
    return _COLOURS.sub("", text).replace("\r\n", "\n").translate(_HARMLESS)


def one_line(text: str, width: int = 0) -> str:
    r"""Return text on one line, harmless, cut to a width if one is given.

    >>> one_line("a\n  b", 10), one_line("abcdef", 4)
    ('a b', 'abc…')
    """
    # Only the start of a megabyte is looked at when only the start is shown.
    line = " ".join(harmless(text[: 8 * width] if width else text).split())
    return line if not width or len(line) <= width else line[: width - 1] + "…"


def duration(seconds: float | None) -> str:
    """Return a time as people write it.

    >>> [duration(s) for s in (None, 0.004, 1.25, 83, 7260)]
    ['-', '0.00 s', '1.25 s', '1 min 23 s', '2 h 01 min']
    """
    if seconds is None:
        return "-"
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def number(value: float, digits: int = 3) -> str:
    """Return a number by its first few digits; a large one by all of them, and none with an exponent.

    >>> [number(x) for x in (0.12345, 99.96, 1234.5, -0.5)], number(123.4, 2)
    (['0.123', '100', '1,234', '-0.5'], '123')
    """
    text = f"{value:.{digits}g}"
    return f"{value:,.0f}" if "e+" in text else text


def size(count: int) -> str:
    """Return a number of bytes as people write it.

    >>> [size(n) for n in (0, 999, 1500, 2_500_000)]
    ['0 B', '999 B', '1.5 kB', '2.5 MB']
    """
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"


def count(number: int) -> str:
    """Return a number of tokens: exact below ten thousand, then in thousands or millions.

    >>> [count(n) for n in (0, 1234, 45_678, 3_400_000)]
    ['0', '1,234', '45.7k', '3.4M']
    """
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1000:.1f}k" if number < 999_950 else f"{number / 1e6:.1f}M"


def money(usd: float) -> str:
    """Return an amount of dollars: cents, and two digits of less than a cent.

    >>> [money(x) for x in (0, 0.00003, 0.0081, 1.5)]
    ['$0', '<$0.0001', '$0.0081', '$1.50']
    """
    if not usd:
        return "$0"
    if 0 < usd < 0.00005:
        return "<$0.0001"
    return f"${usd:.2f}" if usd >= 0.1 else f"${usd:.4f}"
