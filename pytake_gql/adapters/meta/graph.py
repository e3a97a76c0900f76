"""One client for Meta's Graph protocol, shared by all channels of a process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from pytake_gql.adapters.meta import failures
from pytake_gql.desk.channels import kinds
from pytake_gql.desk.channels.ports import Account, AnswerLost, ProviderFailed
from pytake_gql.desk.conversations.ports import OutgoingFile
from pytake_gql.desk.deliveries.ports import Fetched, MediumTooLarge

VERSION = "v23.0"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 20.0
UPLOAD_SECONDS = 15.0
_CONNECTIONS = 100
_MOST_REDIRECTS = 3
_MEDIA_HOSTS = (".fbsbx.com", ".fbcdn.net", ".cdninstagram.com", ".whatsapp.net", ".facebook.com", ".instagram.com")
"""Where Meta keeps files; lookaside.fbsbx.com is the usual one."""
_WORTH_ANOTHER_TRY = frozenset({404, 408, 410, 425, 429})


class Graph:
    """No proxies from the environment, no redirects, a timeout for every call.

    Retries are the caller's: what is due again is a row. In production only Meta's own hosts are called.
    """

    def __init__(self, *, is_production: bool) -> None:
        self._is_production = is_production
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def post(self, account: Account, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's JSON; raises `ProviderFailed`, or `AnswerLost` once the request may have arrived."""
        return await self._call("POST", account, path, content=orjson.dumps(body))

    async def get(self, account: Account, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Like `post`."""
        return await self._call("GET", account, path, params=dict(query))

    async def upload(self, account: Account, path: str, file: OutgoingFile, data: bytes) -> dict[str, Any]:
        """Like `post`, with a file."""
        form = {"messaging_product": "whatsapp", "type": file.mime_type}
        return await self._call(
            "POST", account, path, data=form, files={"file": (file.name, data, file.mime_type)}, timeout=UPLOAD_SECONDS
        )

    async def download(self, account: Account, url: str, *, with_token: bool, most_bytes: int) -> Fetched:
        """The bytes at an address that the provider gave; a redirect is followed a few times, without the token.

        Raises like `post`, and `MediumTooLarge`.
        """
        token = self._token(account) if with_token else None
        for _ in range(_MOST_REDIRECTS + 1):
            self._require_providers_place(account, url)
            headers = {"authorization": f"Bearer {token}"} if token else {}
            with _named_failures():
                async with self._http.stream("GET", url, headers=headers) as answer:
                    if not answer.has_redirect_location:
                        return await _file(answer, most_bytes)
                    url, token = str(answer.url.join(answer.headers["location"])), None
        raise ProviderFailed("The file's address leads nowhere.", is_transient=False)

    async def _call(self, method: str, account: Account, path: str, **given: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._token(account)}"}
        if "files" not in given:
            headers["content-type"] = "application/json"
        with _named_failures():
            answer = await self._http.request(method, f"{self._base(account)}/{path}", headers=headers, **given)
        return _read(answer)

    @staticmethod
    def _token(account: Account) -> str:
        token = account.secrets.get("accessToken")
        if not token:
            raise ProviderFailed("The channel has no access token.", is_transient=False)
        return token

    def _base(self, account: Account) -> str:
        """The address that paths are added to; one without a path of its own gets the version."""
        api_url = account.settings.get("apiUrl") or f"https://{kinds.KINDS[account.kind].api_host}"
        if self._is_production and not kinds.is_providers(account.kind, api_url):
            raise ProviderFailed("Only the provider's own address can be called.", is_transient=False)
        return api_url if urlsplit(api_url).path else f"{api_url}/{VERSION}"

    def _require_providers_place(self, account: Account, url: str) -> None:
        """A file lies with Meta, or, outside production, where the channel's apiUrl leads: nowhere else."""
        try:
            asked, api = urlsplit(url), urlsplit(account.settings.get("apiUrl") or "")
            is_metas = asked.scheme == "https" and asked.port in {None, 443}
        except ValueError as error:
            raise ProviderFailed("The file's address is none.", is_transient=False) from error
        is_metas &= (asked.hostname or "").endswith(_MEDIA_HOSTS) and "@" not in asked.netloc
        is_developments = not self._is_production and (asked.scheme, asked.netloc) == (api.scheme, api.netloc)
        if not is_metas and not is_developments:
            raise ProviderFailed("The file's address is not the provider's.", is_transient=False)


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise ProviderFailed(f"No connection: {type(error).__name__}", is_transient=True) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ProviderFailed("The address is none.", is_transient=False) from error
    except httpx.HTTPError as error:
        raise AnswerLost(type(error).__name__) from error


async def _file(answer: httpx.Response, most_bytes: int) -> Fetched:
    """Reads no more than that."""
    if not answer.is_success:
        # An address that has expired is another one at the next try.
        status = answer.status_code
        is_transient = status in _WORTH_ANOTHER_TRY or answer.is_server_error
        raise ProviderFailed(f"HTTP {status}", is_transient=is_transient)
    held = bytearray()
    async for chunk in answer.aiter_bytes():
        held += chunk
        if len(held) > most_bytes:
            raise MediumTooLarge(f"The file has more than {most_bytes} bytes.")
    return Fetched(bytes(held), answer.headers.get("content-type"))


def _read(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        body = None
    if not answer.is_success:
        raise failures.of_response(answer.status_code, body)
    if not isinstance(body, dict):
        raise AnswerLost("The answer could not be read.")
    return body
