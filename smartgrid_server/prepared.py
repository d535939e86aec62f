"""What a server can have made before it is a process of its own: nothing secret, no descriptor, no event loop.

A template makes it once, and every server that is forked from it finds it there; a server that was started makes its
own. Whatever turns out not to fit the server's settings, or files that have changed since, is made anew.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiohttp import web

from smartgrid_server.app import application
from smartgrid_server.settings import Settings
from smartgrid_server.tls import Blanks
from standby.hardening.libraries import library_places
from standby.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Prepared:
    """To be used by one server only."""

    body_limit: int
    app: web.Application
    blanks: Blanks
    libraries: tuple[Path, ...]
    """That the server may still read when it has given up its rights."""

    @classmethod
    def make(cls, settings: Settings, known: "Prepared | None" = None) -> Self:
        """For a server of these settings, with what is good in `known`.

        Raises:
            SettingsError: the file of the clients' authorities cannot be used.
        """
        try:
            blanks = Blanks.read(settings.client_authorities, known.blanks if known else None)
        except (OSError, ValueError, ssl.SSLError) as error:
            raise SettingsError(f"the clients' authorities cannot be used: {error}") from error
        limit = settings.body_limit
        if known is not None and known.body_limit == limit:
            return cls(limit, known.app, blanks, known.libraries)
        return cls(limit, application(body_limit=limit), blanks, library_places())
