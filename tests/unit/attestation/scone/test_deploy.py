from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given

from attestation.scone import __main__ as command
from attestation.scone import deploy
from attestation.scone.pool import Pool, PoolError
from tests.unit.attestation.scone import pools
from tests.unit.attestation.scone.pools import made

_TEXTS = [
    *("Dockerfile", "Dockerfile.dockerignore", "scone.env", "commands.txt", "las.yaml", "cas.yaml")
]


@pytest.mark.parametrize("name", _TEXTS)
def test_the_texts_of_the_full_description_are_as_reviewed(name: str) -> None:
    texts = dict(command.texts(pools.full(), "confidential"))
    assert texts[name] == (pools.GOLDEN / name).read_text()


def test_the_environment_names_the_service_and_insists_on_hardware() -> None:
    assert deploy.environment(made(session="a/b")) == {
        "SCONE_MODE": "hw",
        "SCONE_HEAP": "64M",
        "SCONE_STACK": "4M",
        "SCONE_CAS_ADDR": "cas",
        "SCONE_LAS_ADDR": "las",
        "SCONE_CONFIG_ID": "a/b/server",
    }


@given(pools.valid())
def test_no_value_adds_a_line_to_the_environment_or_an_instruction(pool: Pool) -> None:
    lines = deploy.environment_block(pool).splitlines()
    assert dict(line.split("=", 1) for line in lines) == deploy.environment(pool)
    words = [line.split(" ")[0] for line in deploy.dockerfile(pool).splitlines()]
    wanted = ["#", "FROM", "WORKDIR", "COPY", "RUN", "COPY", "RUN", "#", "ENV", "ENTRYPOINT"]
    assert words == wanted
    entry = deploy.dockerfile(pool).splitlines()[-1].removeprefix("ENTRYPOINT ")
    assert msgspec.json.decode(entry) == pool.command


def _documents(text: str) -> list[Any]:
    return [msgspec.yaml.decode(each) for each in text.split("---\n")]


def test_las_alone_has_the_device_that_quotes_are_made_with() -> None:
    (las,) = _documents(deploy.las_manifest(pools.full(), "x"))
    _, cas = _documents(deploy.cas_manifest(pools.full(), "x"))
    assert las["kind"] == "DaemonSet"
    assert "sgx.intel.com/provision" in _container(las)["resources"]["limits"]
    assert "sgx.intel.com/provision" not in _container(cas)["resources"]["limits"]


def test_there_is_one_cas_and_its_state_outlives_it() -> None:
    service, cas = _documents(deploy.cas_manifest(pools.full(), "x", "5Gi"))
    assert (cas["kind"], cas["spec"]["replicas"]) == ("StatefulSet", 1)
    claim = cas["spec"]["volumeClaimTemplates"][0]
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    mount = {"name": claim["metadata"]["name"], "mountPath": "/var/lib/cas"}
    assert _container(cas)["volumeMounts"] == [mount]
    assert service["spec"]["selector"] == cas["spec"]["template"]["metadata"]["labels"]
    assert cas["spec"]["serviceName"] == service["metadata"]["name"]


def _container(workload: Any) -> Any:
    return workload["spec"]["template"]["spec"]["containers"][0]


def test_without_an_image_there_is_no_manifest() -> None:
    with pytest.raises(PoolError, match=r"las\.image"):
        deploy.las_manifest(made(), "x")
    with pytest.raises(PoolError, match=r"cas\.database"):
        deploy.cas_manifest(made(cas={"address": "cas", "image": "cas:1"}), "x")


def test_the_command_writes_all_texts_and_keeps_the_session_private(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command.main(["generate", str(pools.GOLDEN / "pool.toml"), str(out)]) == 0
    written = {file.name for file in out.iterdir()}
    assert written == {file.name for file in pools.GOLDEN.iterdir()} - {"pool.toml"}
    for name in written:
        assert (out / name).read_text() == (pools.GOLDEN / name).read_text()
    assert (out / "session.yaml").stat().st_mode & 0o777 == 0o600


def test_the_command_takes_the_file_systems_key_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, key = tmp_path / "pool.toml", tmp_path / "key"
    golden = (pools.GOLDEN / "pool.toml").read_text()
    file.write_text(golden + f'[filesystem]\npath = "/fs.fspf"\ntag = "{"07" * 16}"\n')
    key.write_text("not a key")
    arguments = ["generate", str(file), str(tmp_path / "out")]
    assert command.main(arguments) == 78
    assert command.main([*arguments, "--filesystem-key", str(key)]) == 78
    assert not (tmp_path / "out").exists()
    key.write_text("05" * 32 + "\n")
    assert command.main([*arguments, "--filesystem-key", str(key)]) == 0
    assert "05" * 32 in (tmp_path / "out" / "session.yaml").read_text()
    assert "not a key" not in capsys.readouterr().err
