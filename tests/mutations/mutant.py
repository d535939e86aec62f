"""A copy of the whole source tree with one mechanism removed, and a test that is run there and must fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.mutations.mutations import Mutation

ROOT: Final = Path(__file__).parents[2]
_OF_NO_USE: Final = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "docs", "build")
_OTHER_FILE: Final = 99
_FAILED: Final = 1
"""pytest's exit status for tests that failed; 2 to 5 mean that it could not run them."""
_PATIENCE: Final = 100.0
_RUN: Final = f"""
import importlib, sys, pytest
module, file, *arguments = sys.argv[1:]
if importlib.import_module(module).__file__ != file:
    sys.exit({_OTHER_FILE})
sys.exit(pytest.main(arguments))
"""


class NoMutantError(Exception):
    """The mutation cannot be made any more; bring its text up to date."""


def copy_of_the_sources(directory: Path) -> Path:
    return shutil.copytree(ROOT, directory / "sources", ignore=_OF_NO_USE)


def mutated(mutation: Mutation, sources: Path = ROOT) -> str:
    """The file's text with the one place changed.

    Raises:
        NoMutantError: the text is not there exactly once.
    """
    text = (sources / mutation.file).read_text("utf-8")
    found = text.count(mutation.old)
    if found != 1:
        raise NoMutantError(f"{mutation.file} has this {found} times, not once: {mutation.old!r}")
    return text.replace(mutation.old, mutation.new)


def assert_noticed(directory: Path, mutation: Mutation) -> None:
    """The mutation's test fails with it, because of a failed test and not of anything else."""
    sources = copy_of_the_sources(directory)
    file = sources / mutation.file
    file.write_text(mutated(mutation, sources), "utf-8")
    module = mutation.file.removesuffix(".py").replace("/", ".")
    options = ["-x", "-q", "--tb=line", "--show-capture=no", "-p", "no:randomly"]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, module, str(file), *options, mutation.test],
        cwd=sources,
        env=os.environ | {"PYTHONPATH": str(sources), "PLATFORM_FIRST": "1"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert done.returncode != _OTHER_FILE, "the tests imported another file than the mutated one"
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == _FAILED, f"not noticed (pytest's status {done.returncode}): {said}"
    assert " failed" in done.stdout, said
