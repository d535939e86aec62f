"""The status page: one file without anything from elsewhere, and headers that let a browser load nothing else.

Its script and its style are allowed by their digests, so text that got into the page by mistake could still not run.
"""

import base64
import hashlib
import re
from importlib import resources
from typing import Final

from aiohttp import web

HTML: Final = resources.files(__package__).joinpath("status.html").read_text("utf-8")


def _digest(element: str) -> str:
    found = re.search(rf"<{element}>(.*?)</{element}>", HTML, re.DOTALL)
    text = found.group(1) if found else ""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src {_digest('script')}; style-src {_digest('style')}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


async def respond(_request: web.Request) -> web.Response:
    return web.Response(text=HTML, content_type="text/html", charset="utf-8", headers=HEADERS)
