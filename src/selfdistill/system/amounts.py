"""Seconds and bytes for people."""


def duration(seconds: float) -> str:
    """Seconds for people: `48 s`, `12 min`, `3.5 h`, `41 days`."""
    for unit, size, digits in (("days", 86400, 0), ("h", 3600, 1), ("min", 60, 0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    """Bytes for people, in powers of ten: `3 kB`, `170 MB`, `5.6 GB`."""
    for unit, factor, digits in (("GB", 1e9, 1), ("MB", 1e6, 0), ("kB", 1e3, 0)):
        if count >= factor:
            return f"{count / factor:.{digits}f} {unit}"
    return f"{count:.0f} bytes"


def clock(seconds: float) -> str:
    """Seconds as a clock shows them: `0:21`, `1:02:03`; two days and more as in `duration`."""
    if seconds >= 2 * 86400:
        return duration(seconds)
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
