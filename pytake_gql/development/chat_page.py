"""/dev/chat: the customer's side of a web chat, so that a newcomer can play the customer.

It speaks to the public door as any site's page would, and knows nothing more. The address names the channel
(`?channel=`); without one it leads to the demo shop's, where that was made.
"""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pytake_gql.development import demo
from pytake_gql.kernel.ports import Ports

PATH = "/dev/chat"

_PAGE = "chat.html"
_MEDIA_TYPES = {
    _PAGE: "text/html",
    "chat.css": "text/css",
    "chat.js": "text/javascript",
    "chat_service.js": "text/javascript",
    "chat_texts.js": "text/javascript",
    "chat_view.js": "text/javascript",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def routes(ports: Ports) -> list[Route]:
    """To be mounted outside production only."""

    async def show(request: Request) -> Response:
        if not request.query_params.get("channel") and await demo.is_planted(ports):
            return RedirectResponse(f"{PATH}?channel={demo.CHANNEL}", headers={"cache-control": "no-store"})
        return _file(_PAGE)

    async def part(request: Request) -> Response:
        name = request.path_params["name"]
        return _file(name) if name in _MEDIA_TYPES else Response(status_code=404)

    return [Route(PATH, show), Route(f"{PATH}/{{name}}", part)]


def _file(name: str) -> Response:
    content = files("pytake_gql.development").joinpath(name).read_bytes()
    return Response(content, headers=_HEADERS, media_type=_MEDIA_TYPES[name])
