"""An error in one entry costs that entry: it is dropped, the operator is told, and the others are served.

What is dropped is soft state. A dropped process is known again with its wrapper's next full report, a dropped user asks
again. Not promised: that an error which comes back with every report is mended by that; it is counted each time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, ParamSpec

from routing_manager.actions import Action, Failed
from routing_manager.outcomes import Entry

P = ParamSpec("P")


class Guard:
    """Turns errors into actions."""

    def __init__(self, actions: list[Action]) -> None:
        self._actions: Final = actions

    @contextmanager
    def entry(
        self, kind: Entry, drop: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[None]:
        """Around the work on one entry; on an error `drop` is called, which must be as simple as can be."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # as the module says
            self.failed(kind, error)
            drop(*args, **kwargs)

    def failed(self, kind: Entry, error: Exception) -> None:
        self._actions.append(Failed(kind, error))
