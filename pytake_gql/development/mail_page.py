"""/dev/mail: the mails that would have been sent, so that a newcomer can follow an invitation's link."""

from html import escape
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pytake_gql.kernel.ports import Ports
from pytake_gql.tenancy.mail import service as mails
from pytake_gql.tenancy.mail.models import Mail

PATH = "/dev/mail"
MOST = 100

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mails kept by PyTake</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
article {{ border-top: 1px solid; padding: 1rem 0; }}
h2 {{ margin: 0; font-size: 1.125rem; }}
p {{ margin: .25rem 0; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; }}
a {{ overflow-wrap: anywhere; }}
</style>
</head>
<body>
<main>
<h1>Mails</h1>
<p>Newest first, at most {most}. Reload for more recent ones; JSON for <code>Accept: application/json</code>.</p>
{articles}
</main>
</body>
</html>
"""

_ARTICLE = """<article>
<h2>{subject}</h2>
<p>To <strong>{recipient}</strong>, <time datetime="{at}">{at}</time></p>
<pre>{text}</pre>
<ul>{links}</ul>
</article>"""


def route(ports: Ports) -> Route:
    """To be mounted outside production only: mails carry tokens."""

    async def show(request: Request) -> Response:
        async with ports.database.session(None) as session:
            newest = await mails.newest(session, MOST)
        if "application/json" in request.headers.get("accept", ""):
            return Response(orjson.dumps([_as_json(mail) for mail in newest]), media_type="application/json")
        return HTMLResponse(_page([_article(mail) for mail in newest]), headers=_HEADERS)

    return Route(PATH, show)


_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "cache-control": "no-store"}


def _as_json(mail: Mail) -> dict[str, Any]:
    return {
        "to": mail.recipient,
        "subject": mail.subject,
        "text": mail.text,
        "links": mail.links,
        "at": mail.created_at.isoformat().replace("+00:00", "Z"),
    }


def _page(articles: list[str]) -> str:
    return _PAGE.format(most=MOST, articles="\n".join(articles) or "<p>No mail yet.</p>")


def _article(mail: Mail) -> str:
    links = (f'<li><a href="{escape(link)}" rel="noreferrer">{escape(link)}</a></li>' for link in mail.links)
    return _ARTICLE.format(
        subject=escape(mail.subject),
        recipient=escape(mail.recipient),
        at=mail.created_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        text=escape(mail.text),
        links="".join(links),
    )
