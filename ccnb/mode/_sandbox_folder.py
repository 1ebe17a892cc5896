"""The folder of a sandbox that lasts from run to run: which run has it, and what it sees of that run.

What a sandbox sees is settled when it is made. So a lasting one sees a folder of its own,
`sandboxes/NAME` beside the store's runs, in which the inner part of the run folder lies for as long as the
run has the sandbox. Beside it, `NAME.run` says which run that is, and `NAME.json` what the sandbox was made
with.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ccnb.errors import EngineError
from ccnb.store import RunFolder

_HOME = "inside.home"
"""Where the inner part of a run folder lies when the run has left the sandbox."""


@dataclass(frozen=True)
class LastingFolder:
    """The folder that a lasting sandbox of a store sees."""

    folder: Path

    @classmethod
    def of(cls, run: RunFolder, name: str) -> Self:
        """Return that of the sandbox that a run asks for."""
        return cls(run.path.parents[1] / "sandboxes" / name)

    @property
    def name(self) -> str:
        """Return what the person calls it."""
        return self.folder.name

    @property
    def holder(self) -> str | None:
        """Return the run that has it; `None` when it is free."""
        try:
            return self._holder_file.read_text()
        except FileNotFoundError:
            return None

    def hold(self, run: RunFolder) -> bool:
        """Have it for a run from now on, if no other run has it; return whether the run has it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made whole and linked: two runs can't both have it, and nobody reads half a name.
        scratch = run.path / ".holder"
        scratch.write_text(run.path.name)
        try:
            os.link(scratch, self._holder_file)
        except FileExistsError:
            return self.holder == run.path.name
        finally:
            scratch.unlink()
        return True

    def let_go(self, run: RunFolder) -> None:
        """Leave it to other runs; harmless when the run doesn't have it."""
        if self.holder == run.path.name:
            self._holder_file.unlink(missing_ok=True)

    def move_in(self, run: RunFolder) -> None:
        """Let the inner part of a run folder lie where the sandbox sees it.

        Raises
        ------
        EngineError
        """
        if self._has(run):
            return
        with self._told():
            self._empty()
            shutil.copytree(run.inside, self.folder, symlinks=True, dirs_exist_ok=True)
            run.move_inside(self.folder)

    def move_out(self, run: RunFolder) -> None:
        """Bring the inner part of a run folder home, and leave nothing of it behind.

        Nothing may run in the sandbox any more: what is copied could be changed meanwhile.

        Raises
        ------
        EngineError
        """
        with self._told():
            if run.path.is_dir() and self._has(run):
                home = run.path / _HOME
                shutil.rmtree(home, ignore_errors=True)
                with suppress(shutil.Error):  # the rest has been copied
                    shutil.copytree(self.folder, home, symlinks=True, ignore=_odd)
                run.move_inside(Path(_HOME))
            self._empty()

    def settle(self, made: Mapping[str, Any]) -> None:
        """Write down what it is made of."""
        self._made_file.write_text(json.dumps(made))

    def difference(self, wanted: Mapping[str, Any]) -> str:
        """Return in what it isn't what a run wants; empty when it is."""
        try:
            made = json.loads(self._made_file.read_text())
        except (OSError, ValueError):
            return ""
        differ = (key for key, value in wanted.items() if made.get(key) != value)
        return next((f"{key} {made.get(key)!r}, not {wanted[key]!r}" for key in differ), "")

    def forget(self) -> None:
        """Remove what is kept of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for file in (self._holder_file, self._made_file):
            file.unlink(missing_ok=True)

    @property
    def _holder_file(self) -> Path:
        return self.folder.with_name(f"{self.name}.run")

    @property
    def _made_file(self) -> Path:
        return self.folder.with_name(f"{self.name}.json")

    def _has(self, run: RunFolder) -> bool:
        return run.inside.resolve() == self.folder.resolve()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or error
            raise EngineError(f"{self.folder} can't be put in order ({why}); see who owns it") from None

    def _empty(self) -> None:
        """Remove all that is in the folder, which itself stays: the sandbox sees no other in its place."""
        with os.scandir(self.folder) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    Path(entry.path).unlink()


def _odd(folder: str, names: Sequence[str]) -> list[str]:
    """Return what is no file, folder or link, and would block whoever reads it."""
    kinds = {name: os.lstat(Path(folder, name)).st_mode for name in names}
    return [n for n, m in kinds.items() if not (stat.S_ISREG(m) or stat.S_ISDIR(m) or stat.S_ISLNK(m))]
