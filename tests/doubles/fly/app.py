"""The endpoints."""

from __future__ import annotations

import base64
import hashlib
import shlex
from dataclasses import replace

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.doubles.fly.cloud import FULL_REGION, STATES, Cloud, Refused
from tests.doubles.fly.keys import Keys

REGIONS = ("ams", "arn", "fra", "lhr", FULL_REGION)
EXEC_LIMIT_S = 60
LONGEST_BODY = 1 << 20
"""Of exec, either way; the platform's own is undocumented."""


def make_app(cloud: Cloud, gate) -> Starlette:  # noqa: C901 - one function in it for each endpoint
    keys = Keys()

    async def double(request: Request) -> Response:
        """Say what was counted; take other settings."""
        if request.method == "POST":
            given = await request.json()
            gate.settings = cloud.settings = replace(gate.settings, **given.pop("settings", {}))
            gate.random.seed(gate.settings.seed)
            if given.get("forget"):
                gate.limited.clear()
                gate.counts.clear()
                cloud.created.clear()
        return JSONResponse(gate.report() | {"registry_certificate": keys.certificate})

    async def regions(_: Request) -> Response:
        return JSONResponse({"Regions": [{"code": code, "name": code} for code in REGIONS], "Nearest": "arn"})

    async def login(request: Request) -> Response:
        """Give whoever has the token what the registry asks for, for apps that are there."""
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        _, _, token = base64.b64decode(given).decode().partition(":")
        if token != gate.settings.token:
            return JSONResponse({"errors": [{"code": "UNAUTHORIZED"}]}, 401)
        query = request.query_params
        return JSONResponse({"token": keys.token(query["service"], query.getlist("scope"), cloud.apps)})

    async def apps(request: Request) -> Response:
        if request.method == "GET":
            org = request.query_params.get("org_slug")
            mine = [a for a in cloud.apps.values() if a.org == org]
            listed = [{"id": a.id, "name": a.name, "machine_count": len(a.machines)} for a in mine]
            return JSONResponse({"total_apps": len(listed), "apps": listed})
        body = await request.json()
        if body.get("org_slug") not in ("personal", "acme"):
            raise Refused(404, "organization not found")
        made = cloud.make_app(body.get("app_name") or body.get("name"), body["org_slug"])
        return JSONResponse({"id": made.id, "created_at": 1}, 201)

    async def app(request: Request) -> Response:
        found = cloud.app(request.path_params["app"])
        if request.method == "DELETE":
            for machine in found.machines.values():
                await cloud.destroy(machine)
            del cloud.apps[found.name]
            return Response(status_code=202)
        status = "deployed" if any(m.state == "started" for m in found.machines.values()) else "suspended"
        org = {"name": found.org, "slug": found.org}
        return JSONResponse({"id": found.id, "name": found.name, "status": status, "organization": org})

    async def machines(request: Request) -> Response:
        found = cloud.app(request.path_params["app"])
        if request.method == "POST":
            made = await cloud.create(found.name, await request.json())
            return JSONResponse(made.public())
        query = request.query_params
        wanted = {k.removeprefix("metadata."): v for k, v in query.items() if k.startswith("metadata.")}
        deleted = query.get("include_deleted") == "true"
        listed = [
            m.public()
            for m in found.machines.values()
            if (deleted or m.state != "destroyed")
            and query.get("region") in (None, m.region)
            and wanted.items() <= (m.config.get("metadata") or {}).items()
        ]
        return JSONResponse(listed)

    def machine_of(request: Request):
        return cloud.machine(request.path_params["app"], request.path_params["id"])

    async def machine(request: Request) -> Response:
        found = machine_of(request)
        if request.method == "DELETE":
            forced = "true" in (request.query_params.get("force"), request.query_params.get("kill"))
            if not forced and found.state not in ("stopped", "created", "failed"):
                raise Refused(412, "unable to destroy machine, not currently stopped")
            await cloud.destroy(found)
            return JSONResponse({"ok": True})
        return JSONResponse(found.public())

    async def start(request: Request) -> Response:
        await cloud.start(cloud.app(request.path_params["app"]), machine_of(request))
        return JSONResponse({"previous_state": "created"})

    async def stop(request: Request) -> Response:
        await cloud.stop(machine_of(request))
        return JSONResponse({"ok": True})

    async def events(request: Request) -> Response:
        limit = int(request.query_params.get("limit", 20))
        if not 1 <= limit <= 50:
            raise Refused(400, "invalid_argument: limit must be inside range [1, 50]")
        return JSONResponse(machine_of(request).events[:limit])

    async def wait(request: Request) -> Response:
        found, query = machine_of(request), request.query_params
        states = query.getlist("state") or ["started"]
        timeout_s = int(query.get("timeout", 60))
        if not 1 <= timeout_s <= 60:
            raise Refused(400, "invalid_argument: timeout: value must be inside range [1s, 1m0s]")
        if not set(states) <= STATES:
            raise Refused(400, f"invalid_argument: unknown state {states}")
        if "stopped" in states and not query.get("instance_id"):
            raise Refused(400, "invalid_argument: instance_id is required when waiting for stopped")
        return JSONResponse({"ok": True, "state": await cloud.wait(found, states, timeout_s)})

    async def execute(request: Request) -> Response:
        found, body = machine_of(request), await request.json()
        argv = body.get("command") or shlex.split(body.get("cmd") or "")
        if not argv:
            raise Refused(400, "invalid_argument: command is required")
        if len(await request.body()) > LONGEST_BODY:
            raise Refused(413, "request entity too large")
        limit_s = min(body.get("timeout") or EXEC_LIMIT_S, EXEC_LIMIT_S)
        answer = await cloud.exec(found, argv, body.get("stdin") or "", limit_s)
        if sum(map(len, (answer.get("stdout", ""), answer.get("stderr", "")))) > LONGEST_BODY:
            raise Refused(500, "response too large")
        return JSONResponse(answer)

    async def metadata(request: Request) -> Response:
        found = machine_of(request)
        values = found.config.setdefault("metadata", {})
        key = request.path_params.get("key")
        if request.method == "POST":
            values[key] = (await request.json())["value"]
        elif request.method == "DELETE":
            values.pop(key, None)
        else:
            return JSONResponse(values)
        return Response(status_code=204)

    async def secrets(request: Request) -> Response:
        found = cloud.app(request.path_params["app"])
        return JSONResponse([_secret(name, value) for name, value in found.secrets.items()])

    async def secret(request: Request) -> Response:
        found, name = cloud.app(request.path_params["app"]), request.path_params["name"]
        if request.method == "POST":
            found.secrets[name] = (await request.json())["value"]
            return JSONResponse(_secret(name, found.secrets[name]))
        if found.secrets.pop(name, None) is None:
            raise Refused(404, "secret not found")
        return JSONResponse({})

    async def logs(request: Request) -> Response:
        found, query = cloud.app(request.path_params["app"]), request.query_params
        return JSONResponse(found.lines.page(query.get("next_token", ""), query.get("instance") or None))

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return JSONResponse(error.body, error.code)

    one = "/v1/apps/{app}/machines/{id}"
    routes = [
        Route("/_double", double, methods=["GET", "POST"]),
        Route("/registry/token", login),
        Route("/v1/platform/regions", regions),
        Route("/v1/apps", apps, methods=["GET", "POST"]),
        Route("/v1/apps/{app}", app, methods=["GET", "DELETE"]),
        Route("/v1/apps/{app}/machines", machines, methods=["GET", "POST"]),
        Route(one, machine, methods=["GET", "DELETE"]),
        Route(one + "/start", start, methods=["POST"]),
        Route(one + "/stop", stop, methods=["POST"]),
        Route(one + "/events", events),
        Route(one + "/wait", wait),
        Route(one + "/exec", execute, methods=["POST"]),
        Route(one + "/metadata", metadata),
        Route(one + "/metadata/{key}", metadata, methods=["POST", "DELETE"]),
        Route("/v1/apps/{app}/secrets", secrets),
        Route("/v1/apps/{app}/secrets/{name}", secret, methods=["POST", "DELETE"]),
        Route("/api/v1/apps/{app}/logs", logs),
    ]
    return Starlette(routes=routes, exception_handlers={Refused: refused})


def _secret(name: str, value: str) -> dict:
    return {"name": name, "digest": hashlib.sha256(value.encode()).hexdigest()[:16]}
