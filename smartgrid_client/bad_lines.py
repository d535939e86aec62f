"""The lines of a file that cannot be read: all are counted, and the first ones shown."""

from typing import Final

from smartgrid_client.readings import ReadingsError

SHOWN: Final = 10


class BadLines:
    """An `OnBad` that goes on."""

    def __init__(self) -> None:
        self.count = 0
        self._shown: list[str] = []

    def __call__(self, error: ReadingsError) -> None:
        self.count += 1
        if len(self._shown) < SHOWN:
            self._shown.append(str(error))

    @property
    def texts(self) -> tuple[str, ...]:
        """One for each line that is shown, and one for the others."""
        more = self.count - len(self._shown)
        return (*self._shown, *([f"and {more:,} more lines"] if more else []))
