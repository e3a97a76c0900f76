"""The app secret's rotation: for some time two are valid (G21). Pure; what is kept here is sealed like the rest."""

from collections.abc import Mapping
from datetime import datetime, timedelta

APP_SECRET = "appSecret"  # noqa: S105 - a name
LIFETIME = timedelta(hours=24)
"""For which the secret before goes on being valid: Meta delivers what it signed for hours."""
_PREVIOUS = "previousAppSecret"
_UNTIL = "previousAppSecretUntil"


def named(sealed: Mapping[str, str]) -> dict[str, str]:
    """The secrets that `channelSchema` knows."""
    return {name: value for name, value in sealed.items() if name not in {_PREVIOUS, _UNTIL}}


def kept(sealed: Mapping[str, str], secrets: Mapping[str, str], now: datetime) -> dict[str, str]:
    """What is sealed once the named secrets become these; without an app secret there is none before it either."""
    before, then = sealed.get(APP_SECRET), secrets.get(APP_SECRET)
    if before is None or then is None:
        return dict(secrets)
    if before == then:
        return {**secrets, **{name: sealed[name] for name in (_PREVIOUS, _UNTIL) if name in sealed}}
    return {**secrets, _PREVIOUS: before, _UNTIL: (now + LIFETIME).isoformat()}


def valid(sealed: Mapping[str, str], now: datetime) -> list[str]:
    """The app secrets that may sign now, the newest first; none refuses everything."""
    secrets = [sealed[APP_SECRET]] if APP_SECRET in sealed else []
    if _PREVIOUS in sealed and now < datetime.fromisoformat(sealed[_UNTIL]):
        secrets.append(sealed[_PREVIOUS])
    return secrets
