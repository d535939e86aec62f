"""Stands in for SCONE's runtime and CAS: becomes the program of a session, with what the session gives it.

    runtime.py SESSION.yaml DIRECTORY

There is no enclave: injected files are written below the directory, and variables that name one are changed to name
the file there. `exported.pem` beside them is what the session exports to everybody.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import msgspec

sys.path.insert(0, str(Path(__file__).parents[4]))

from tests.support import scone_session
from tests.support.scone_session import Secrets


def main(session_file: Path, directory: Path) -> NoReturn:
    session = msgspec.yaml.decode(session_file.read_bytes())
    service = session["services"][0]
    named = f"{session['name']}/{service['name']}"
    if (os.environ["SCONE_MODE"], os.environ["SCONE_CONFIG_ID"]) != ("hw", named):
        sys.exit(os.EX_CONFIG)
    secrets = Secrets.made(session)
    inside = scone_session.files(session, secrets)
    _write(directory, inside)
    exported = [each["name"] for each in session["secrets"] if each.get("export_public")]
    (directory / "exported.pem").write_text("".join(map(secrets.certificate, exported)))
    variables = {
        name: _below(directory, value) if value in inside else value
        for name, value in scone_session.environment(session, os.environ).items()
    }
    os.chdir(service["pwd"])
    os.execve(service["command"][0], service["command"], variables)  # noqa: S606  # becomes it


def _write(directory: Path, files: Mapping[str, str]) -> None:
    for path, content in files.items():
        file = Path(_below(directory, path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def _below(directory: Path, path: str) -> str:
    return str(directory / path.lstrip("/"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
