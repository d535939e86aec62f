import sys
from pathlib import Path

import msgspec
import pytest

from app_wrapper import application
from app_wrapper.application import ApplicationError, Attestation, Place, SocketMode
from standby.ids import BootId, Uid
from tests.support.wrapper import TINY

PLACE = Place(
    app_dir=Path("/apps/x"),
    host="127.0.0.1",
    port=4711,
    fd=5,
    slot_dir=Path("/state/slots/0"),
    boot_id=BootId("0123456789abcdef"),
    uid=Uid("anna"),
)


def _load(tmp_path: Path, text: str) -> application.Application:
    file = tmp_path / "app.toml"
    file.write_text(text)
    return application.load(file)


def test_a_short_description_is_enough(tmp_path: Path) -> None:
    app = _load(tmp_path, 'name = "x"\ncommand = ["x"]\n')
    assert app.socket is SocketMode.INHERIT
    assert app.events.waiting == "WAITING_LOGIN"
    assert app.timeouts.start is None


def test_placeholders_are_filled_in_command_and_environment(tmp_path: Path) -> None:
    app = _load(
        tmp_path,
        """
        name = "x"
        command = ["{python}", "{app_dir}/x", "{host}:{port}", "--{{literal}}", "{uid}"]
        [env]
        set = { X_FD = "{fd}", X_DIR = "{slot_dir}", X_BOOT = "{boot_id}" }
        """,
    )
    assert application.command(app, PLACE) == [
        sys.executable,
        "/apps/x/x",
        "127.0.0.1:4711",
        "--{literal}",
        "anna",
    ]
    assert application.environment(app, PLACE, {}) == {
        "X_FD": "5",
        "X_DIR": "/state/slots/0",
        "X_BOOT": "0123456789abcdef",
    }


def test_of_the_wrappers_environment_only_the_basics_and_what_is_named_is_passed_on(
    tmp_path: Path,
) -> None:
    app = _load(tmp_path, 'name = "x"\ncommand = ["x"]\n[env]\npass = ["X_*"]\n')
    environ = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "X_ONE": "1",
        "NOT_X_TWO": "2",
        "APP_WRAPPER_TLS_KEY": "/secret",
        "AWS_SECRET": "s",
    }
    passed = application.environment(app, PLACE, environ)
    assert passed == {"PATH": "/bin", "LC_ALL": "C", "X_ONE": "1"}


def test_a_template_has_what_all_servers_have_in_common(tmp_path: Path) -> None:
    app = _load(
        tmp_path,
        """
        name = "x"
        command = ["x"]
        [env]
        set = { X_HOME = "{app_dir}/home", X_BOOT = "{boot_id}", X_PASSED = "{slot_dir}" }
        pass = ["X_*"]
        """,
    )
    environ = {"X_ONE": "1", "X_PASSED": "/of/the/wrapper", "Y": "2"}
    common = application.template_environment(app, PLACE.app_dir, environ)
    own = application.own_environment(app, PLACE)
    assert common == {"X_ONE": "1", "X_HOME": "/apps/x/home"}
    assert own == {"X_BOOT": "0123456789abcdef", "X_PASSED": "/state/slots/0"}
    assert application.environment(app, PLACE, environ) == common | own


def test_a_server_is_told_the_number_of_its_channel(tmp_path: Path) -> None:
    app = _load(tmp_path, 'name = "x"\ncommand = ["x", "{attest_fd}"]\n')
    place = msgspec.structs.replace(PLACE, attest_fd=7)
    assert application.command(app, place) == ["x", "7"]


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    app = _load(tmp_path, 'name = "x"\ncommand = ["x", "{fd}", "{attest_fd}", "{uid}"]\n')
    bare = Place(
        app_dir=PLACE.app_dir,
        host="::1",
        port=1,
        fd=None,
        slot_dir=PLACE.slot_dir,
        boot_id=PLACE.boot_id,
        uid=None,
    )
    assert application.command(app, bare) == ["x", "", "", ""]


def test_what_is_measured_differently_is_said(tmp_path: Path) -> None:
    app = _load(tmp_path, 'name = "x"\ncommand = ["x"]\n')
    assert app.attestation == Attestation(modules=[], places=["HOME", "TMPDIR"])
    text = '[attestation]\nmodules = ["a.b"]\nplaces = ["X_DIR"]\n'
    app = _load(tmp_path, f'name = "x"\ncommand = ["x"]\n{text}')
    assert app.attestation == Attestation(modules=["a.b"], places=["X_DIR"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "name"),
        ('name = "x"\ncommand = []\n', "command"),
        ('name = "x"\ncommand = "x"\n', "command"),
        ('name = "x"\ncommand = ["x"]\ncomand = 1\n', "comand"),
        ('name = "x"\ncommand = ["{prot}"]\n', "unknown placeholders ['prot']"),
        ('name = "x"\ncommand = ["{}"]\n', "unknown placeholders"),
        ('name = "x"\ncommand = ["x"]\ntemplate = ["{fd}"]\n', "unknown placeholders ['fd']"),
        ('name = "x"\ncommand = ["{"]\n', "a brace itself is written twice"),
        ('name = "x"\ncommand = ["x"]\n[env]\nset = { A = "{b}" }\n', "env.set.A"),
        ('name = "x"\ncommand = ["x"]\nsocket = "udp"\n', "socket"),
        ('name = "x"\ncommand = ["x"]\n[timeouts]\nstart = 0\n', "timeouts.start"),
        ("name = 'x'\ncommand = ['x']\n[events]\nlogin = 'LOGIN (.*)'\n", "(?P<uid>"),
        ("name = 'x'\ncommand = ['x']\n[events]\nlogout = '('\n", "events.logout"),
        ('name = "x"\ncommand = ["x"]\n[attestation]\nmodule = "y"\n', "module"),
        ("not toml at all", "cannot use"),
    ],
)
def test_an_unusable_description_is_refused_with_its_place(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(ApplicationError) as refused:
        _load(tmp_path, text)
    assert says in str(refused.value)
    assert str(tmp_path / "app.toml") in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ApplicationError, match="cannot use"):
        application.load(tmp_path / "none.toml")


def test_the_tiny_application_of_another_language_is_usable() -> None:
    app = application.load(TINY)
    assert application.command(app, PLACE)[0] == "perl"


def test_a_volumes_files_are_named_once_and_lie_in_no_directory(tmp_path: Path) -> None:
    app = _load(
        tmp_path, 'name = "x"\ncommand = ["x"]\n[volume]\nfiles = ["a.db"]\njournals = ["a.db-wal"]'
    )
    assert (app.volume.files, app.volume.journals) == (("a.db",), ("a.db-wal",))
    for wrong in (
        'files = ["../a"]',
        'files = ["a/b"]',
        'files = [".hidden"]',
        'files = [""]',
        'files = ["a", "a"]',
        'files = ["a"]\njournals = ["a"]',
        'journals = ["a-wal"]',
    ):
        with pytest.raises(ApplicationError, match=r"volume|files|pattern"):
            _load(tmp_path, f'name = "x"\ncommand = ["x"]\n[volume]\n{wrong}')
