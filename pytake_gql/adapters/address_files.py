"""Files at addresses that tenants give: fetched from public hosts only (F9)."""

from pytake_gql.desk.channels.ports import Account, ProviderFailed
from pytake_gql.desk.deliveries.ports import Fetched, MediumTooLarge
from pytake_gql.kernel.public_http import AnswerTooLarge, Call, CallFailed, HostRefused, PublicHttp

SECONDS = 40.0
_OK = 200
_LEAST_SERVER_ERROR = 500


class AddressFiles:
    def __init__(self, http: PublicHttp) -> None:
        self._http = http

    async def fetch(self, account: Account, reference: str, *, most_bytes: int) -> Fetched:  # noqa: ARG002
        call = Call("GET", reference, timeout_seconds=SECONDS, most_bytes=most_bytes)
        try:
            answer = await self._http.call(call)
        except AnswerTooLarge as error:
            raise MediumTooLarge(str(error)) from error
        except HostRefused as error:
            raise ProviderFailed(str(error), is_transient=False) from error
        except CallFailed as error:
            raise ProviderFailed(str(error), is_transient=True) from error
        if answer.status != _OK:
            raise ProviderFailed(f"HTTP {answer.status}", is_transient=answer.status >= _LEAST_SERVER_ERROR)
        kind = (answer.content_type or "").partition(";")[0].strip().lower()
        return Fetched(answer.body, kind or None)
