"""Numbers as people read them."""

from typing import Final

GIB: Final = 1024
"""MiB."""
_TIB: Final = 1024 * GIB
_MINUTE: Final = 60.0
_MANY: Final = 1000
"""From here on nobody reads fractions."""


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= _MANY else f"{value:.4g}"


def memory(mib: float) -> str:
    if mib >= _TIB:
        return f"{mib / _TIB:,.1f} TiB"
    return f"{mib / GIB:,.1f} GiB" if mib >= GIB else f"{mib:,.4g} MiB"


def duration(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.3g} s"
    return f"{seconds / _MINUTE:,.1f} min"


def share(part: float) -> str:
    """A part of 1 in percent."""
    if 0 < part < 0.00005:  # noqa: PLR2004  # what two digits would show as 0
        return "less than 0.01 %"
    return f"{100 * part:.2g} %" if part < 0.01 else f"{100 * part:.3g} %"  # noqa: PLR2004  # 1 %


def plural(count: int, one: str) -> str:
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"
