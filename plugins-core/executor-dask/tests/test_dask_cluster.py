"""A cluster whose scheduler and workers run by themselves, and what becomes of it when they end."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request

import pytest
from dask_works import Slow, Squares
from distributed import Security
from distributed.comm import CommClosedError, connect

import proxima_executor_dask.executor
from proxima.cli import main
from proxima.errors import NotFoundError, RunError, UnavailableError, UsageError
from proxima_executor_dask.executor import DaskKind

ROTATION = "OPENQASM 3.0; input float theta; qubit[2] q; ry(theta) q[0]; cx q[0], q[1];"


def test_a_scheduler_that_ends_is_told_and_what_came_is_sound(kernel, cluster, tmp_path):
    cluster.add_worker()
    answers = []

    def keep(answered) -> None:
        for answer in answered:
            answers.append(answer)  # what came is kept when the next does not
            if len(answers) == 5:
                cluster.scheduler.kill()

    lost = rf"the connection to the Dask scheduler of dask://{cluster.address} was lost"
    with DaskKind(kernel).open(f"dask://{cluster.address}") as executor, pytest.raises(RunError, match=lost):
        keep(executor.map(Slow(tmp_path, 0.1), range(1000)))
    assert len(answers) >= 5
    assert all(number == answer for number, answer in answers)
    assert len(dict(answers)) == len(answers)


async def greet(address: str, **arguments) -> None:
    (await connect(address, timeout=2, **arguments)).abort()


def trusting() -> ssl.SSLContext:
    """Takes any certificate, and has none to show."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def with_its_own() -> ssl.SSLContext:
    """Takes any certificate, and shows one that it made itself."""
    context = Security.temporary().get_connection_args("client")["ssl_context"]
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize(
    ("scheme", "arguments"),
    [("tcp", dict), ("tls", lambda: {"ssl_context": trusting()}), ("tls", lambda: {"ssl_context": with_its_own()})],
    ids=["in plain", "without a certificate", "with its own certificate"],
)
def test_the_cluster_of_this_machine_takes_no_strangers(local, scheme, arguments):
    client = local._client
    workers = client.scheduler_info(n_workers=-1)["workers"]
    addresses = [client.scheduler.address, *workers, *(worker["nanny"] for worker in workers.values())]
    assert len(addresses) == 5
    for address in addresses:
        assert address.startswith("tls://127.0.0.1:")
        with pytest.raises(CommClosedError):
            asyncio.run(greet(address.replace("tls", scheme), **arguments()))
        asyncio.run(greet(address, **client.security.get_connection_args("client")))  # so it is not the greeting


def test_the_pages_of_the_cluster_of_this_machine_tell_nothing(local):
    scheduler = local._client.scheduler_info(n_workers=-1)
    servers = [scheduler, *scheduler["workers"].values()]
    assert len(servers) == 3
    for server in servers:
        for page in ("info/main/workers.html", "json/identity.json", "metrics", "health"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://127.0.0.1:{server['services']['dashboard']}/{page}", timeout=10)


def test_a_worker_that_comes_later_takes_part(kernel, cluster):
    with DaskKind(kernel).open(f"dask://{cluster.address}") as executor:
        threading.Timer(1.0, cluster.add_worker).start()
        assert dict(executor.map(Squares(), range(5))) == {i: i * i for i in range(5)}


def test_a_cluster_without_workers_is_given_up(cluster, environment):
    import proxima

    with (
        proxima.open(flags={"plugins.executor-dask.worker_seconds": 0.5}) as impatient,
        DaskKind(impatient).open(f"dask://{cluster.address}") as executor,
        pytest.raises(RunError, match=r"has had no worker for 0\.5 s"),
    ):
        list(executor.map(Squares(), range(3)))


def test_an_interrupted_sweep_goes_on_with_the_same_points(environment, cluster, tmp_path, capsys):
    circuit = tmp_path / "rotation.qasm"
    circuit.write_text(ROTATION)
    words = ["sweep", str(circuit), "--param", "theta=0:3:60", "--seed", "5", "--backend", "quest", "--shots", "100"]
    cluster.add_worker()
    output = tmp_path / "points.jsonl"

    def kill_after_some() -> None:
        while not output.exists() or output.read_bytes().count(b"\n") < 4:
            time.sleep(0.01)
        cluster.scheduler.kill()

    killer = threading.Thread(target=kill_after_some)
    killer.start()
    code = main([*words, "--executor", f"dask://{cluster.address}", "-o", str(output)])
    killer.join()
    assert (code, "was lost" in capsys.readouterr().err) == (1, True)
    kept = output.read_text().splitlines()[1:]
    assert 3 <= len(kept) < 60
    assert main([*words, "--executor", "local", "-o", str(output)]) == 0
    assert f"60 points, {len(kept)} of them there already, on quest" in capsys.readouterr().out
    lines = output.read_text().splitlines()
    assert lines[1 : len(kept) + 1] == kept
    points = [json.loads(line) for line in lines[1:]]
    assert sorted(p["point"] for p in points) == list(range(60))
    assert main([*words, "--json"]) == 0
    undisturbed = json.loads(capsys.readouterr().out)["points"]
    points.sort(key=lambda point: point["point"])
    assert [p["result"]["counts"] for p in points] == [p["result"]["counts"] for p in undisturbed]


@pytest.mark.parametrize(
    "address",
    ["dask:4", "dask://", "dask://host", "dask://host:0", "dask://host:70000", "dask://a b:1", "dask://h:1/x"],
)
def test_an_address_that_is_none_is_refused(kernel, address):
    with pytest.raises(UsageError, match="is no address of a Dask cluster"), DaskKind(kernel).open(address):
        pass


def test_nothing_answers(kernel, monkeypatch):
    monkeypatch.setattr(proxima_executor_dask.executor, "_CONNECT_SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with (
            pytest.raises(UnavailableError, match=rf"no Dask scheduler answers at tcp://127.0.0.1:{port}"),
            DaskKind(kernel).open(f"dask://127.0.0.1:{port}"),
        ):
            pass


def test_an_executor_that_is_not_there_is_told_with_those_that_are(kernel):
    with pytest.raises(NotFoundError, match="there is no executor 'slurm'") as caught:
        kernel.sweep(proxima_circuit(), executor="slurm")
    assert caught.value.hint == "there is local, dask"


def proxima_circuit():
    import proxima

    return proxima.Circuit.builder(1).h(0).build()
