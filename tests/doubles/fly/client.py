"""Start the double and talk to it, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Self

import httpx

from ccnb.engine import build, connect, default_reference, images

TOKEN = "fm2_double"  # noqa: S105 - known to the double alone


ROOT = Path(__file__).parents[3]


def project_image() -> str:
    """Return the project's image, which is built where it isn't there."""
    engine, reference = connect("docker"), default_reference()
    if images.inspect(engine, reference) is None:
        build(engine, print)
    return reference


class Double:
    """A running double, in a process of its own."""

    def __init__(self, **settings) -> None:
        command = [sys.executable, "-m", "tests.doubles.fly", "--settings", json.dumps(settings)]
        # Whoever starts it may be in another folder.
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.pid = self._process.pid
        self.url = self._process.stdout.readline().strip()
        self._http = httpx.Client(trust_env=False, base_url=self.url, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)

    def make_app(self, name: str) -> None:
        """Make an app, as a person's earlier set-up would have."""
        made = self.call("POST", "/v1/apps", {"app_name": name, "org_slug": "personal"})
        assert made.status_code == 201, made.text

    def call(self, method: str, path: str, body=None, token: str = TOKEN) -> httpx.Response:
        """Call the platform as anybody might."""
        headers = {"authorization": f"FlyV1 {token}"}
        return self._http.request(method, path, json=body, headers=headers)

    def set(self, **settings) -> None:
        """Change what it does to those who call."""
        self._http.post("/_double", json={"settings": settings}).raise_for_status()

    def forget(self) -> None:
        """Begin to count anew."""
        self._http.post("/_double", json={"forget": True}).raise_for_status()

    def report(self) -> dict:
        """Return what was counted."""
        return self._http.get("/_double").json()

    def environment(self, app: str, image: str) -> dict[str, str]:
        """Return the variables by which mode `fly` finds it."""
        return {
            "FLY_FLAPS_BASE_URL": self.url,
            "FLY_API_BASE_URL": self.url,
            "FLY_API_TOKEN": TOKEN,
            "FLY_APP": app,
            "CCNB_FLY_IMAGE": image,
        }
