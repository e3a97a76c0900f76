"""One client for Meta's Graph protocol, shared by all channels of a process."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from pytake_gql.adapters.meta import failures
from pytake_gql.desk.channels import kinds
from pytake_gql.desk.channels.ports import Account, AnswerLost, ProviderFailed

VERSION = "v23.0"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 20.0
_CONNECTIONS = 100


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

    async def _call(self, method: str, account: Account, path: str, **given: Any) -> dict[str, Any]:
        token = account.secrets.get("accessToken")
        if not token:
            raise ProviderFailed("The channel has no access token.", is_transient=False)
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        try:
            answer = await self._http.request(method, f"{self._base(account)}/{path}", headers=headers, **given)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ProviderFailed(f"No connection: {type(error).__name__}", is_transient=True) from error
        except httpx.InvalidURL as error:
            raise ProviderFailed("The channel's apiUrl is no address.", is_transient=False) from error
        except httpx.HTTPError as error:
            raise AnswerLost(type(error).__name__) from error
        return _read(answer)

    def _base(self, account: Account) -> str:
        """The address that paths are added to; one without a path of its own gets the version."""
        api_url = account.settings.get("apiUrl") or f"https://{kinds.KINDS[account.kind].api_host}"
        if self._is_production and not kinds.is_providers(account.kind, api_url):
            raise ProviderFailed("Only the provider's own address can be called.", is_transient=False)
        return api_url if urlsplit(api_url).path else f"{api_url}/{VERSION}"


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
