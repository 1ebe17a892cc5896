"""From what was read of a run to its record: how it ended, what it changed, how long it took."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ccnb.errors import CcnbError
from ccnb.gateway import network_log
from ccnb.redact import Redactor
from ccnb.results import CheckResult, ErrorInfo, FileChange, NetworkUse, RunRecord
from ccnb.runner import workspace as workspaces
from ccnb.runner.calls import unpriced
from ccnb.runner.follow import Follower, digest_of
from ccnb.runner.outcome import Ending
from ccnb.runner.planted import planted
from ccnb.runner.steps import Step
from ccnb.runner.timeline import timings
from ccnb.spec import RunSpec
from ccnb.store import Progress, RunFolder
from ccnb.stream import Tally

_SAID = 16_384
"""Bytes of the end of standard error and of the check's output that are kept in the record."""
_MARGIN = 8_192
_LARGEST_CLEAN = 32 << 20
"""Bytes of a patch that is searched for secrets."""


@dataclass
class Recorder:
    """Makes the record of one run."""

    run_id: str
    spec: RunSpec
    folder: RunFolder
    workspace: Path
    progress: Progress
    redactor: Redactor = field(default_factory=Redactor)
    begun_at: float = field(default_factory=time.time)
    """When this process took the run up."""
    concurrency: int = 1
    calls: list[dict[str, Any]] = field(default_factory=list)
    """The model calls, once they are read."""
    network_unread: str = ""
    """Why it isn't known, or not whole, what the place asked the network for."""

    def warn(self, text: str) -> None:
        """Note something that the person should know, for the record."""
        text = self.redactor.text(text)
        if text not in self.progress.warnings:
            self.progress.warnings.append(text)

    def note(self, noted: Mapping[str, str] | None) -> None:
        """Note what a mode says of what it fetched: where it was pushed to, what could not be learnt."""
        noted = {name: self.redactor.text(text) for name, text in (noted or {}).items()}
        self.network_unread = noted.pop("network_unread", "")
        if self.network_unread:
            self.warn(f"what the place asked the network for isn't known: {self.network_unread}")
        self.progress.conditions |= noted
        if "push_failed" in noted:
            self.warn(f"the results could not be pushed ({noted['push_failed']}); they are here all the same")

    def ending(self, follower: Follower, *, fetched: bool) -> Ending:
        """Return what the place says of the agent's end, and whether its files could be fetched."""
        agent = follower.steps.done.get("agent")
        setup = follower.steps.done.get("setup")
        out_of_memory = (
            agent.reason == "oom" if agent else bool(follower.gone and follower.gone.out_of_memory)
        )
        self._note_disagreement(follower)
        last = agent or (setup if setup and setup.code else None)
        reason = last.reason if last else "stopped"
        if reason == "stopped":
            reason = self.progress.stop_reason or "exit"
        return Ending(
            exit_code=agent.code if agent else None,
            reason=reason,
            stderr=self._end_of("err"),
            setup_code=setup.code if setup else 0,
            setup_output=self._end_of("setup.out"),
            out_of_memory=out_of_memory,
            detail=follower.gone.detail if follower.gone else "",
            unchecked=self._unchecked(follower),
            refused=self.calls[-1].get("refused") if self.calls else None,
            fetched=fetched,
            injected=self.spec.auth == "host",
        )

    def _note_disagreement(self, follower: Follower) -> None:
        """Note a place that ended badly when its agent had ended: the supervisor's notes count for more."""
        agent, gone = follower.steps.done.get("agent"), follower.gone
        if agent is None or gone is None or not (gone.code or gone.out_of_memory):
            return
        place = gone.detail or f"its place ended with {gone.code}"
        self.warn(f"the agent ended with {agent.code} by the supervisor's notes, which count; later {place}")

    def _unchecked(self, follower: Follower) -> str | None:
        """Return the outcome of a run whose check was asked for and never done."""
        if not self.spec.check or _check_step(follower):
            return None
        if self.progress.stop_reason in ("cancelled", "timeout", "wedged"):
            return self.progress.stop_reason
        # A supervisor that came to its end without it was kept from it, and by nobody but the agent.
        return "agent_error" if "finished" in follower.steps else "lost"

    def look_at_files(self, follower: Follower) -> list[FileChange]:
        """Return what the run changed; notice an agent that rewrote its own output."""
        if digest_of(self.folder, follower.offset) != follower.digest:
            self.warn("the agent changed output that had been read before; the store has what was read")
        found = planted(self.workspace, self.folder.read_private("watched") or {})
        with suppress(OSError):
            (self.workspace / workspaces.SENTINEL).unlink(missing_ok=True)
        try:
            baseline = self.progress.baseline or workspaces.EMPTY_TREE
            changed = workspaces.changes(self.folder, self.workspace, baseline)
            listed = {file.path for file in changed}
            found = changed + [file for file in found if file.path not in listed]
            patch = workspaces.patch(self.folder, self.workspace, baseline, empty=not changed)
            self._clean(patch)
        except (CcnbError, OSError) as error:
            self.warn(f"no patch could be made: {error}")
        risky = [file.path for file in found if file.runs_by_itself]
        if risky:
            self.warn(f"look before you open the folder: {', '.join(risky[:5])} may run by itself")
        return found

    def record(
        self,
        outcome: str,
        error: ErrorInfo | None,
        *,
        follower: Follower | None = None,
        ending: Ending | None = None,
        files: Sequence[FileChange] = (),
    ) -> RunRecord:
        """Return the record of the run as it stands now, with its last marks set."""
        tally = follower.tally if follower else Tally()
        raw = tally.result.raw if tally.result else {}
        self._end_marks(tally)
        check = self._check(follower) if follower else None
        self._add_machine_cost()
        self._warn_of_what_has_no_price()
        self.progress.conditions |= {
            "agent_version": tally.agent_version,
            "model": tally.model,
            "host_load": round(os.getloadavg()[0], 2),
            "cpus": os.cpu_count(),
            "concurrency": self.concurrency,
        }
        return RunRecord(
            run_id=self.run_id,
            mode=self.spec.mode,
            spec=self.spec,
            outcome=outcome,
            started_at=datetime.fromtimestamp(self.progress.marks["begin"], UTC),
            text=tally.text,
            usage=tally.final_usage,
            timings=timings(self.progress.marks, tally, self.calls),
            files=tuple(replace(file, path=self.redactor.text(file.path)) for file in files),
            check=check,
            exit_code=ending.exit_code if ending else None,
            error=error and replace(error, message=self.redactor.text(error.message)),
            session_id=tally.session_id,
            num_turns=int(raw.get("num_turns") or 0),
            total_cost_usd=float(raw.get("total_cost_usd") or 0.0),
            network_use=self._network_use(),
            denials=tuple(tally.denials),
            warnings=tuple(self.progress.warnings),
            conditions=dict(self.progress.conditions),
        )

    def _add_machine_cost(self) -> None:
        """Note what the place itself cost until now, where it has a price."""
        conditions, marks = self.progress.conditions, self.progress.marks
        if "machine_usd_per_hour" in conditions and "image" in marks:
            hours = (time.time() - marks["image"]) / 3600
            conditions["machine_usd"] = round(hours * float(conditions["machine_usd_per_hour"]), 6)

    def _warn_of_what_has_no_price(self) -> None:
        """Say where a budget of dollars was none: what has no price spends nothing of it."""
        models = unpriced(self.calls)
        if self.spec.budget_usd is not None and models:
            self.warn(
                f"the gateway knows no price for {', '.join(models)}, so it could not hold these calls to "
                "budget_usd; set budget_tokens too"
            )

    def _clean(self, patch: Path) -> None:
        """Keep the patch without the run's secrets too, if it has any: it is shown so."""
        if patch.stat().st_size > _LARGEST_CLEAN:
            return
        text = patch.read_bytes().decode(errors="replace")
        clean = self.redactor.text(text)
        if clean != text:
            self.folder.clean_patch.write_text(clean, encoding="utf-8", errors="replace")
            self.warn("the patch has a secret in it; look before you share it")

    def _end_marks(self, tally: Tally) -> None:
        """Set the last marks. Time in which nobody followed the run is no time of its own."""
        marks = self.progress.marks
        if tally.first_at is not None:
            # From a place far away it comes late, and is older than what came to pass before that.
            marks["first_event"] = min(tally.first_at.timestamp(), marks.get("agent", math.inf))
        ours = ("collect", "first_event")
        ended = max((at for name, at in marks.items() if name not in ours), default=self.begun_at)
        marks["collect"] = ended + time.time() - max(ended, self.begun_at)

    def _check(self, follower: Follower) -> CheckResult | None:
        step = _check_step(follower)
        if step is None or self.spec.check is None:
            if self.spec.check and "agent" in follower.steps and "finished" not in follower.steps:
                self.warn("the check did not come to an end")
            return None
        return CheckResult(self.spec.check, step.code, self._end_of("check.out"))

    def _network_use(self) -> NetworkUse | None:
        if not self.spec.hosts or self.network_unread:
            return None
        network_log.redact(self.folder.path, self.redactor)
        return NetworkUse.of(network_log.read(self.folder.path))

    def last_line(self, name: str) -> str:
        """Return the last line of a file that was written in the place."""
        return self._end_of(name).strip().rpartition("\n")[2] or "it said nothing"

    def _end_of(self, name: str) -> str:
        # The first bytes are read for the redactor alone: a cut must not leave it half a secret.
        text = tail(self.folder, name, _SAID + _MARGIN).decode(errors="replace")
        return self.redactor.text(text)[-_SAID:]


def _check_step(follower: Follower) -> Step | None:
    """Return the check's end, unless somebody ended it: then it has no verdict."""
    step = follower.steps.done.get("check")
    return step if step and step.reason != "stopped" else None


def tail(folder: RunFolder, name: str, size: int) -> bytes:
    """Return the end of a file of the run folder's inner part; nothing where there is none."""
    descriptor = folder.open_inside(name)
    if descriptor is None:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        file.seek(max(0, os.fstat(descriptor).st_size - size))
        return file.read(size)
