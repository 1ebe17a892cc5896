"""The platform's side: apps, secrets, and machines that are containers of the local Docker engine."""

from __future__ import annotations

import asyncio
import base64
import functools
import io
import os
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from tests.doubles.fly.logs import Lines

LABEL = "ccnb.double"
STATES = frozenset(
    {
        *("created", "creating", "starting", "started", "stopping", "stopped", "suspending", "suspended"),
        *("restarting", "failed", "launch_failed", "updating", "replacing", "replaced"),
        *("destroying", "destroyed", "migrated"),
    }
)
FULL_REGION = "xxx"
"""A region in which there is never room."""


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """An answer that isn't 2xx."""

    def __init__(self, code: int, error: str, status: str = "unknown") -> None:
        super().__init__(error)
        self.code, self.body = code, {"error": error, "status": status}


@dataclass
class Machine:
    id: str
    name: str
    region: str
    config: dict
    instance_id: str
    created_at: str
    state: str = "created"
    container: str = ""
    events: list[dict] = field(default_factory=list)
    """Newest first."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    made: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its container is there, or can't be made."""

    def public(self) -> dict:
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "region": self.region,
            "instance_id": self.instance_id,
            "private_ip": "fdaa::3",
            "config": self.config,
            "events": self.events,
            "created_at": self.created_at,
            "updated_at": _now(),
            "host_status": "ok",
        }


@dataclass
class App:
    name: str
    org: str
    id: str
    secrets: dict[str, str] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    lines: Lines = field(default_factory=Lines)


class Cloud:
    def __init__(self) -> None:
        self.apps: dict[str, App] = {}
        self.taken = {"taken": "somebody-else"}
        """Apps of other organisations."""
        self.created: list[str] = []
        self.settings = None
        self._id = f"fly-{os.getpid()}"
        self._api = docker.APIClient(timeout=120, num_pools=64)
        self._threads = ThreadPoolExecutor(96)
        self._tasks: set[asyncio.Task] = set()

    def all_machines(self) -> list[Machine]:
        return [m for app in self.apps.values() for m in app.machines.values()]

    async def open(self) -> None:
        """Remove what doubles that were killed have left."""
        for found in await self._do(self._api.containers, all=True, filters={"label": LABEL}):
            pid = found["Labels"][LABEL].rpartition("-")[2]
            if pid == str(os.getpid()) or not _lives(pid):
                await self._remove(found["Id"])

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for found in await self._do(self._api.containers, all=True, filters={"label": f"{LABEL}={self._id}"}):
            await self._remove(found["Id"])
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _do(self, function, *args, **kwargs):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(function, *args, **kwargs))

    def _behind(self, work) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Apps and secrets

    def make_app(self, name: str, org: str) -> App:
        if name in self.apps or name in self.taken:
            raise Refused(422, "Validation failed: Name has already been taken", "name_taken")
        self.apps[name] = App(name, org, uuid4().hex[:12])
        return self.apps[name]

    def app(self, name: str) -> App:
        if name in self.taken:
            raise Refused(403, "You are not authorized to access this app")
        if name not in self.apps:
            raise Refused(404, "app not found")
        return self.apps[name]

    def machine(self, app: str, machine_id: str) -> Machine:
        found = self.app(app).machines.get(machine_id)
        if found is None or found.state == "destroyed":
            raise Refused(404, "machine not found")
        return found

    # Machines

    async def create(self, app_name: str, body: dict) -> Machine:
        app, config = self.app(app_name), body.get("config") or {}
        _check_config(config)
        if body.get("region") == FULL_REGION:
            raise Refused(412, "no capacity available in region xxx", "insufficient_capacity")
        name = body.get("name") or f"machine-{uuid4().hex[:8]}"
        if any(m.name == name and m.state != "destroyed" for m in app.machines.values()):
            raise Refused(409, f"unique machine name violation, machine {name} already exists", "name_taken")
        environment = _environment(app, config)
        machine = Machine(
            id=uuid4().hex[:14],
            name=name,
            region=body.get("region") or "arn",
            config=config,
            instance_id=uuid4().hex.upper()[:26],
            created_at=_now(),
        )
        app.machines[machine.id] = machine
        self.created.append(name)
        try:
            image = await self._image(config["image"])
            machine.container = await self._do(self._make, machine, image, environment)
        except BaseException:
            del app.machines[machine.id]
            self.created.remove(name)
            raise
        finally:
            machine.made.set()
        self._note(machine, "launch", "created", "user")
        if not body.get("skip_launch"):
            self._behind(self._launch(app, machine))
        return machine

    async def _image(self, reference: str) -> str:
        try:
            found = await self._do(self._api.inspect_image, reference)
        except ImageNotFound:
            try:
                login = {"username": "x", "password": self.settings.token}
                await self._do(self._api.pull, reference, auth_config=login)
                found = await self._do(self._api.inspect_image, reference)
            except APIError as error:
                raise Refused(400, f"failed to get manifest {reference}: MANIFEST_UNKNOWN") from error
        if found["Architecture"] != "amd64":
            raise Refused(400, f"image {reference} has no match for platform linux/amd64")
        return found["Id"]

    def _make(self, machine: Machine, image: str, environment: dict) -> str:
        config = machine.config
        process = (config.get("processes") or [{}])[0]
        init = config.get("init") or {}
        argv = process.get("exec") or init.get("exec")
        if argv and self.settings.boot_s:
            argv = ["sh", "-c", f'sleep {self.settings.boot_s}; exec "$@"', "late", *argv]
        guest = config.get("guest") or {"cpus": 1, "memory_mb": 256}
        memory = f"{guest['memory_mb']}m"
        made = self._api.create_container(
            image,
            name=f"fly-double-{machine.id}",
            entrypoint=argv[:1] if argv else None,
            command=argv[1:] if argv else None,
            environment=environment,
            user=process.get("user") or None,
            labels={LABEL: self._id},
            working_dir="/",
            host_config=self._api.create_host_config(init=True, mem_limit=memory, memswap_limit=memory),
        )
        if config.get("files"):
            self._api.put_archive(made["Id"], "/", _files(config["files"]))
        return made["Id"]

    async def _launch(self, app: App, machine: Machine) -> None:
        await asyncio.sleep(self.settings.pull_s)
        if machine.state != "created":
            return
        await self._set(machine, "starting")
        try:
            await self._do(self._api.start, machine.container)
        except APIError as error:
            if machine.state == "starting":
                self._note(machine, "launch", "failed", "flyd")
                machine.events[0]["request"] = {"error": str(error.explanation)}
                await self._set(machine, "failed")
            return
        if machine.state != "starting":
            # Whoever destroys it meanwhile has the last word.
            return
        self._note(machine, "start", "started", "flyd")
        await self._set(machine, "started")
        self._behind(self._do(self._keep_log, app, machine))
        with suppress(NotFound, APIError):
            await self._do(self._api.wait, machine.container, timeout=10**6)
            await self._ended(machine)

    def _keep_log(self, app: App, machine: Machine) -> None:
        with suppress(Exception):
            for line in self._api.logs(machine.container, stream=True, follow=True):
                app.lines.take(machine.id, machine.region, line.decode(errors="replace"), self.settings)

    async def _ended(self, machine: Machine) -> None:
        state = (await self._do(self._api.inspect_container, machine.container))["State"]
        code, killed = state["ExitCode"], state["OOMKilled"]
        # What is zero is left out, as by Go's `omitempty`.
        exit_event = {"exit_code": code, "guest_exit_code": code, "oom_killed": killed, "exited_at": _now()}
        exit_event = {name: value for name, value in exit_event.items() if value}
        self._note(machine, "exit", "stopped", "flyd", {"exit_event": exit_event})
        if machine.state in ("destroying", "destroyed"):
            return
        await self._set(machine, "stopped")
        if machine.config.get("auto_destroy"):
            await self.destroy(machine)

    async def start(self, app: App, machine: Machine) -> None:
        if machine.state not in ("created", "stopped"):
            raise Refused(412, f"machine not in a startable state: {machine.state}")
        machine.state = "created"
        self._behind(self._launch(app, machine))

    async def stop(self, machine: Machine) -> None:
        await self._do(self._api.stop, machine.container, timeout=5)

    async def destroy(self, machine: Machine) -> None:
        if machine.state in ("destroying", "destroyed"):
            return
        await self._set(machine, "destroying")
        await machine.made.wait()
        if machine.container:
            await self._remove(machine.container)
        self._note(machine, "destroy", "destroyed", "flyd")
        await self._set(machine, "destroyed")

    async def exec(self, machine: Machine, argv: list[str], stdin: str, timeout_s: float) -> dict:
        if machine.state != "started":
            raise Refused(412, f"machine is not started: {machine.state}")
        process = await asyncio.create_subprocess_exec(
            *("docker", "exec", "-i", "--user", "0", machine.container, *argv),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin.encode()), timeout_s)
        except TimeoutError:
            process.kill()
            raise Refused(408, "deadline_exceeded: command did not end in time") from None
        if b"is not running" in err or b"No such container" in err:
            raise Refused(412, "machine is not started")
        answer = {
            "exit_code": process.returncode,
            "stdout": out.decode(errors="replace"),
            "stderr": err.decode(errors="replace"),
        }
        return {name: value for name, value in answer.items() if value}

    async def wait(self, machine: Machine, states: list[str], timeout_s: float) -> str:
        async def reached() -> str:
            async with machine.changed:
                while machine.state not in states:
                    if machine.state in ("stopped", "failed", "destroyed") and states == ["started"]:
                        raise Refused(400, "machine failed to reach desired start state")
                    if machine.state == "destroyed":
                        raise Refused(404, "machine not found")
                    await machine.changed.wait()
            return machine.state

        try:
            return await asyncio.wait_for(reached(), timeout_s)
        except TimeoutError:
            raise Refused(408, "deadline_exceeded: timeout reached waiting for machine's state") from None

    async def _set(self, machine: Machine, state: str) -> None:
        async with machine.changed:
            machine.state = state
            machine.changed.notify_all()

    def _note(self, machine: Machine, type_: str, status: str, source: str, request: dict | None = None):
        event = {
            "id": uuid4().hex,
            "type": type_,
            "status": status,
            "source": source,
            "timestamp": int(time.time() * 1000),
        }
        machine.events.insert(0, event | ({"request": request} if request else {}))

    async def _remove(self, container: str) -> None:
        with suppress(NotFound, APIError):
            await self._do(self._api.remove_container, container, force=True, v=True)


def _check_config(config: dict) -> None:
    if not config.get("image"):
        raise Refused(400, "invalid config.image: image is required")
    guest = config.get("guest") or {}
    cpus, memory = guest.get("cpus", 1), guest.get("memory_mb", 256)
    if guest.get("cpu_kind", "shared") == "shared" and (
        memory % 256 or not 256 * cpus <= memory <= 2048 * cpus or cpus not in (1, 2, 4, 6, 8)
    ):
        raise Refused(400, f"invalid config.guest.memory_mb: {memory} for {cpus} shared cpus")
    if (config.get("restart") or {}).get("policy", "on-failure") != "no" and config.get("auto_destroy"):
        raise Refused(400, "auto_destroy needs restart policy no")


def _environment(app: App, config: dict) -> dict:
    process = (config.get("processes") or [{}])[0]
    environment = {} if process.get("ignore_app_secrets") else dict(app.secrets)
    for secret in process.get("secrets") or []:
        name = secret.get("name") or secret["env_var"]
        if name not in app.secrets:
            raise Refused(400, f"secret {name} does not exist")
        environment[secret["env_var"]] = app.secrets[name]
    return environment | (config.get("env") or {}) | (process.get("env") or {})


def _files(files: list[dict]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files:
            content = base64.b64decode(file["raw_value"])
            entry = tarfile.TarInfo(file["guest_path"].lstrip("/"))
            entry.size, entry.mode = len(content), file.get("mode", 0o644)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _lives(pid: str) -> bool:
    return Path("/proc", pid).exists()


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
