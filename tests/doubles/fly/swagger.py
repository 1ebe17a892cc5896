"""Holds what is said and answered to the platform's own (older) specification, where that is at hand."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import parse_qsl

from jsonschema import Draft4Validator

FILE = "fly-machines-swagger.json"
NEWER_QUERY = {"wait", "kill", "version", "from_event_id", "limit", "summary", "include_deleted", "state"}
"""What the documentation has and the older specification hasn't; `metadata.*` too."""
NEWER_BODY = {"exec": {"stdin", "container"}}


class Specification:
    def __init__(self, data: dict) -> None:
        self._data = data
        self.faults: list[str] = []
        self._paths = [
            (re.compile("/v1" + re.sub(r"\{[^}]+\}", "[^/]+", path)), operations)
            for path, operations in data["paths"].items()
        ]

    @classmethod
    def find(cls):
        """Return it, from `CCNB_FLY_SWAGGER` or a folder beside the project; `None` where it isn't."""
        beside = Path(__file__).parents[4] / "shared" / "contracts" / FILE
        for path in (Path(os.environ.get("CCNB_FLY_SWAGGER", "/nonexistent")), beside):
            if path.is_file():
                return cls(json.loads(path.read_text()))
        return None

    def check(self, method: str, path: str, query: str, body: bytes, status: int, answer: bytes) -> None:
        operation = self._operation(method, path)
        if operation is None:
            return
        where = f"{method} {path} {status}"
        known = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        for name, _ in parse_qsl(query):
            if name not in known | NEWER_QUERY and not name.startswith("metadata."):
                self.faults.append(f"{where}: query {name}")
        schema = next((p["schema"] for p in operation.get("parameters", []) if p["in"] == "body"), None)
        if schema and body:
            self._hold(where + " request", schema, json.loads(body))
        # The older specification calls exec's answer a string; the platform's own client reads an object.
        response = operation["responses"].get(str(status), {}).get("schema")
        if response and not path.endswith("/exec"):
            self._hold(where + " answer", response, json.loads(answer))
        if status < 300 and str(status) not in operation["responses"]:
            self.faults.append(f"{where}: no such status")

    def _operation(self, method: str, path: str):
        for pattern, operations in self._paths:
            if pattern.fullmatch(path):
                return operations.get(method.lower())
        return None

    def _hold(self, where: str, schema: dict, value) -> None:
        whole = {**schema, "definitions": self._data["definitions"]}
        for error in Draft4Validator(whole).iter_errors(value):
            self.faults.append(f"{where}: {'.'.join(map(str, error.path))} {error.message}"[:300])
        reference = schema.get("$ref", "").rpartition("/")[2]
        unknown = set(value if isinstance(value, dict) else ()) - self._properties(reference)
        if reference.endswith("Request") and unknown - {"stdin", "container", "skip_secrets"}:
            self.faults.append(f"{where}: unknown {sorted(unknown)}")

    def _properties(self, name: str) -> set[str]:
        return set(self._data["definitions"].get(name, {}).get("properties", {}))
