"""Source *replay*: a cassette answers, each request by what it says and not by when it comes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from ccnb.gateway.cassette import Cassette, Recorded
from ccnb.gateway.matching import Paths, difference, key_of, likeness, request_of
from ccnb.gateway.messages import dump, error_headers, to_events
from ccnb.gateway.sources import Call, Reply, count_reply, error_reply, new_request_id
from ccnb.redact import Redactor

_UNKNOWN = 410
"""The status for a request that was not recorded. The agent ends at it: after others it asks again, up to ten
times (observed with Claude Code 2.1.330), or takes them for a model that isn't there (404)."""


class ReplaySource:
    """Answers one run's calls from a cassette.

    A request that was recorded several times is answered in that order, then with the last of them.
    """

    def __init__(
        self, cassette: Cassette, paths: Paths, redactor: Redactor, *, in_original_time: bool
    ) -> None:
        self._cassette = cassette
        self._paths = paths
        self._redactor = redactor
        self._in_original_time = in_original_time
        self._given: Counter[str] = Counter()

    async def answer(self, call: Call) -> Reply:
        """Answer with what was recorded for the same request."""
        if not call.is_message:
            return count_reply(call.body)
        # In a thread: a long conversation takes a while to compare.
        request = await asyncio.to_thread(request_of, call.body, self._paths, self._redactor)
        key = key_of(request)
        takes = self._cassette.by_key.get(key)
        if not takes:
            return error_reply(_UNKNOWN, self._nearest(call, request), refused="not_recorded")
        number = min(self._given[key], len(takes) - 1)
        self._given[key] += 1
        return self._reply(takes[number], streams=call.body.get("stream") is True)

    def _reply(self, take: Recorded, *, streams: bool) -> Reply:
        answer = self._paths.show(take.answer)
        headers = {**take.answer_headers, **error_headers(new_request_id())}
        if isinstance(answer, str):
            headers["content-type"] = take.answer_headers.get("content-type", "text/plain")
            chunks = [answer.encode()]
        elif streams and take.status == 200:
            headers["content-type"] = "text/event-stream; charset=utf-8"
            chunks = list(to_events(answer))
        else:
            chunks = [dump(answer)]
        return Reply(take.status, headers, self._paced(chunks, take))

    async def _paced(self, chunks: Sequence[bytes], take: Recorded) -> AsyncGenerator[bytes, None]:
        """Yield the chunks, spread over the time that the answer took if that is wanted."""
        slow = self._in_original_time
        pause_s = (take.duration_s - take.first_byte_s) / max(1, len(chunks) - 1) if slow else 0.0
        await asyncio.sleep(take.first_byte_s if slow else 0.0)
        for number, chunk in enumerate(chunks):
            if number and pause_s:
                await asyncio.sleep(pause_s)
            yield chunk

    def _nearest(self, call: Call, request: Mapping[str, Any]) -> str:
        """Return what a person needs to see why nothing fits."""
        recorded = self._cassette.recorded
        number = max(range(len(recorded)), key=lambda n: likeness(recorded[n].request, request))
        nearest = recorded[number]
        then, now = nearest.headers.get("user-agent"), call.headers.get("user-agent")
        agents = f" (recorded with {then}, asked by {now})" if then != now else ""
        return (
            f"the cassette {self._cassette.path.name} has no answer to this request; the nearest, exchange "
            f"{number + 1}, differs in {difference(nearest.request, request)}{agents}"
        )
