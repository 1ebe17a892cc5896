"""Source *forward*: the API itself answers; the real credential is put on here, outside of the place."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

import certifi
import httpx

from ccnb.gateway.sources import Call, Reply, StreamCutError, error_reply
from ccnb.gateway.upstream import Pass, Upstream
from ccnb.redact import Redactor

# The agent waits ten minutes for an answer by itself; a stream that lives brings a ping much sooner.
_TIMEOUT = httpx.Timeout(600, connect=30, pool=None)
# Every run streams at once, and an agent has several calls open.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=60)

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that end at the next machine (RFC 9110, 7.6.1)."""

_NOT_PASSED_ON = HOP_BY_HOP | {
    "host",
    "content-length",
    "accept-encoding",
    "x-api-key",
    "authorization",
    "cookie",
}
_NOT_PASSED_BACK = HOP_BY_HOP | {"content-encoding", "set-cookie"}


class Vault:
    """Credentials in memory, one for each run that forwards. They are in no file and end with the process."""

    def __init__(self) -> None:
        self._passes: dict[str, Pass] = {}
        self._clients: dict[Upstream, httpx.AsyncClient] = {}

    def give(self, run_id: str, given: Pass) -> None:
        """Keep a run's credential; it replaces an earlier one."""
        self._passes[run_id] = given

    def get(self, run_id: str) -> Pass | None:
        """Return a run's credential, unless it has not been given yet."""
        return self._passes.get(run_id)

    def forget(self, run_id: str) -> None:
        """Forget a run's credential; none is fine."""
        self._passes.pop(run_id, None)

    def run_ids(self) -> list[str]:
        """Return the runs that have one."""
        return list(self._passes)

    def client(self, upstream: Upstream) -> httpx.AsyncClient:
        """Return the connections to an API, shared by all runs that go the same way."""
        if upstream not in self._clients:
            self._clients[upstream] = httpx.AsyncClient(
                verify=_trust(upstream),
                proxy=upstream.proxy,
                # What counts is the caller's environment, which came with the credential; not ours.
                trust_env=False,
                timeout=_TIMEOUT,
                limits=_LIMITS,
            )
        return self._clients[upstream]


class ForwardSource:
    """Passes one run's calls on to the API, and its answers back as they are."""

    def __init__(self, run_id: str, vault: Vault, secrets: Sequence[str] = ()) -> None:
        self._run_id = run_id
        self._vault = vault
        self._secrets = secrets

    async def answer(self, call: Call) -> Reply:
        """Ask the API the same, with the credential in the run key's place."""
        known = self._vault.get(self._run_id)
        if known is None:
            text = f"the gateway was started anew and has no credential yet; `ccnb attach {self._run_id}`"
            return error_reply(503, text, refused="no_credential")
        client = self._vault.client(known.upstream)
        request = client.build_request(
            "POST",
            known.upstream.url + call.target,
            headers={**_passed(call.headers, _NOT_PASSED_ON), "accept-encoding": "identity", **known.headers},
            content=call.raw,
        )
        try:
            response = await client.send(request, stream=True)
        except httpx.HTTPError as error:
            host = f"{request.url.scheme}://{request.url.netloc.decode()}"
            return error_reply(502, f"the gateway can't reach {host} ({type(error).__name__})")
        return Reply(response.status_code, _headers_back(response), _body(response))

    def redactor(self) -> Redactor:
        """Return what takes the run's secrets out of a text, the credential among them."""
        known = self._vault.get(self._run_id)
        return Redactor([*self._secrets, *([known.value] if known else ())])


async def _body(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Yield the answer as it comes, decoded where the API encodes it though we ask it not to."""
    try:
        async for chunk in response.aiter_bytes():
            yield chunk
    except httpx.HTTPError:
        raise StreamCutError from None
    finally:
        await response.aclose()


def _headers_back(response: httpx.Response) -> dict[str, str]:
    headers = _passed(response.headers, _NOT_PASSED_BACK)
    if "content-encoding" in response.headers:
        headers.pop("content-length", None)
    return headers


def _passed(headers: Mapping[str, str], without: Iterable[str]) -> dict[str, str]:
    """Return the headers that go on, in lower case: not those, nor what `Connection` names."""
    lower = {name.lower(): value for name, value in headers.items()}
    named = {name.strip().lower() for name in lower.get("connection", "").split(",")}
    return {name: value for name, value in lower.items() if name not in named | set(without)}


def _trust(upstream: Upstream) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=upstream.ca_file or certifi.where())
    if upstream.extra_ca_file:
        context.load_verify_locations(upstream.extra_ca_file)
    return context
