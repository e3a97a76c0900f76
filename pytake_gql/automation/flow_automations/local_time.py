"""From the clock on the wall to instants: the offset in force before a change (S4). Pure."""

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

FIRST_DAY, LAST_DAY = dt.date(1, 1, 8), dt.date(9999, 11, 30)
"""What lies outside is not computed: near the ends of the calendar there is no room for offsets."""


def instant(local: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """What the zone's clock skips lies as much later as it skips; what comes twice is the first of them."""
    return local.replace(tzinfo=zone).astimezone(dt.UTC)


def instants(local: dt.datetime, zone: ZoneInfo) -> list[dt.datetime]:
    """Each instant at which the clock shows this: none in a gap, both passes of a fold."""
    both = {instant(local, zone), local.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)}
    return sorted(at for at in both if shown(at, zone) == local)


def shown(at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """What the zone's clock shows then."""
    return at.astimezone(zone).replace(tzinfo=None)


def exists(local: dt.datetime, zone: ZoneInfo) -> bool:
    return shown(instant(local, zone), zone) == local


def day_of(at: dt.datetime, zone: ZoneInfo) -> dt.date:
    """The civil date there, within what is computed."""
    near = min(max(at.replace(tzinfo=None).date(), FIRST_DAY), LAST_DAY)
    return near if near in {FIRST_DAY, LAST_DAY} else shown(at, zone).date()


@lru_cache(maxsize=50_000)
def steady_offset(day: dt.date, zone: ZoneInfo) -> dt.timedelta | None:
    """The offset of a day on which the clock does not change; None on one on which it does."""
    midnight = dt.datetime.combine(day, dt.time(), zone)
    ends = (midnight, midnight + dt.timedelta(days=1))
    offsets = {moment.replace(fold=fold).utcoffset() for moment in ends for fold in (0, 1)}
    return offsets.pop() if len(offsets) == 1 else None
