"""A run's events as a sequence that stays on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from ccnb.events import Event
from ccnb.store.database import Store


class Events(Sequence[Event]):
    """The events of a run, read when asked for; it grows while the run goes on."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id

    def __len__(self) -> int:
        return self._store.count_events(self._run_id)

    def __iter__(self) -> Iterator[Event]:
        return self._store.events(self._run_id)

    @overload
    def __getitem__(self, index: int) -> Event: ...

    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...

    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        if isinstance(index, slice):
            return self._slice(range(*index.indices(len(self))))
        position = index + len(self) if index < 0 else index
        found = None
        if position >= 0:
            found = next(self._store.events(self._run_id, limit=1, skip=position), None)
        if found is None:
            raise IndexError(f"run {self._run_id} has {len(self)} events, none at {index}")
        return found

    def _slice(self, positions: range) -> list[Event]:
        """Read the events from the first to the last position at once, and keep the wanted ones."""
        if not positions:
            return []
        first, last = sorted((positions[0], positions[-1]))
        span = list(self._store.events(self._run_id, skip=first, limit=last - first + 1))
        return [span[position - first] for position in positions]

    def __repr__(self) -> str:
        return f"<{len(self)} events of run {self._run_id}>"
