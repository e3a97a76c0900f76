"""AWS Signature Version 4 in the query: an address that does one thing until it expires. Pure.

Written out here because it is sixty lines, and the libraries that sign are clients for all of AWS.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_PAYLOAD = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True)
class Signer:
    key: str
    secret: str = field(repr=False)
    region: str
    service: str = "s3"

    def presign(
        self,
        method: str,
        origin: str,
        path: str,
        *,
        at: datetime,
        seconds: int,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        """The address of `path` (not yet quoted); the request must carry these headers, named in lower case."""
        signed = {"host": origin.partition("://")[2], **(headers or {})}
        names = ";".join(sorted(signed))
        day, moment = at.strftime("%Y%m%d"), at.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{day}/{self.region}/{self.service}/aws4_request"
        parameters = {
            **(query or {}),
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{self.key}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": names,
        }
        pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parameters.items())
        asked = "&".join(f"{name}={value}" for name, value in pairs)
        lines = "".join(f"{name}:{signed[name].strip()}\n" for name in sorted(signed))
        quoted = quote(path, safe="/-_.~")
        canonical = f"{method}\n{quoted}\n{asked}\n{lines}\n{names}\n{_PAYLOAD}"
        text = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
        signature = hmac.digest(self._key_of(day), text.encode(), "sha256").hex()
        return f"{origin}{quoted}?{asked}&X-Amz-Signature={signature}"

    def _key_of(self, day: str) -> bytes:
        key = f"AWS4{self.secret}".encode()
        for part in (day, self.region, self.service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key
