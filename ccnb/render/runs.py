"""Runs in a terminal: the line below a live run, its summary, its phases, lists and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich.text import Text

from ccnb.render.grid import Cell, Grid
from ccnb.render.network import network_text
from ccnb.render.text import count, duration, money, one_line, size
from ccnb.results import PHASES, CheckResult, FileChange, RunRecord, Timings

_BAR = "█"
_STYLES = {"success": "green", "cancelled": "yellow", "running": "cyan"}
_HEALTH = {"slow": "silent for a while", "rate_limited": "rate limited"}
_MARKS = {"made": "+", "changed": "~", "removed": "-"}
_PARTS = {"agent_s": ("model_s", "tools_s")}
_MOST_FILES = 8


@dataclass(frozen=True)
class ListedRun:
    """A run, finished or not, as a list of runs shows it."""

    run_id: str
    mode: str
    state: str
    started_at: datetime
    prompt: str
    size_bytes: int
    record: RunRecord | None
    """`None` while it isn't finished."""


def status_line(
    *, state: str, health: str, elapsed_s: float, turns: int, tokens: int, note: str = ""
) -> Text:
    """Return the line below a run that goes on."""
    line = Text.assemble((state, "cyan"), f"  {duration(elapsed_s)}")
    if turns:
        line.append(f"  {turns} turn{'s' if turns > 1 else ''}, {count(tokens)} tokens")
    if health in _HEALTH:
        line.append(f"  {_HEALTH[health]}", "yellow")
    if note:
        line.append(f"  {one_line(note, 200)}", "dim")
    return line


def verdict(record: RunRecord) -> Text:
    """Return the outcome and what the check said of it.

    A run is good when the agent ended well and the check, if there was one, passed.
    """
    outcome = Text(one_line(record.outcome), _STYLES.get(record.outcome, "red"))
    if record.check is None:
        return outcome
    word, style = ("passed", "green") if record.check.passed else ("failed", "red")
    return Text.assemble(outcome, ", check ", (word, style))


def summary(record: RunRecord, *, kept_in: str, answer: bool = True) -> Grid:
    """Return a finished run on a few lines.

    Parameters
    ----------
    kept_in
        The folder in which the run is kept; empty where that is not to be seen.
    answer
        Whether the agent's last words are among them.
    """
    rows: list[tuple[str, str | Cell]] = [
        ("run", f"{record.run_id}  {record.mode}"),
        ("outcome", Cell(verdict(record).plain, verdict_style(record))),
    ]
    rows += [("error", Cell(str(record.error), "red"))] if record.error else []
    rows += [("check", _check(record.check))] if record.check and not record.check.passed else []
    rows += [("answer", record.text.strip())] if answer and record.text.strip() else []
    rows += [
        ("files", file_list(record.files) or "none changed"),
        ("time", timing_text(record.timings)),
        ("model", model_text(record)),
    ]
    rows += [("machine", machine_text(record))] if machine_text(record) else []
    rows += [("network", network_text(record.network_use))] if record.network_use else []
    rows += [("denied", Cell(", ".join(record.denials), "yellow"))] if record.denials else []
    rows += [("warning", Cell(text, "yellow")) for text in record.warnings]
    rows += [("kept in", kept_in)] if kept_in else []
    return Grid(("", ""), [(_label(name), value) for name, value in rows], whole=frozenset({0}))


def file_list(files: Sequence[FileChange], most: int = _MOST_FILES) -> str:
    """Return the changed files with their sizes, the first few of them."""
    shown = [f"{_MARKS.get(f.change, '?')} {one_line(f.path)}{_size_of(f)}" for f in files[:most]]
    more = len(files) - most
    return ", ".join([*shown, f"and {more} more"] if more > 0 else shown)


def files_table(files: Sequence[FileChange]) -> Grid:
    """Return all changed files, a row for each."""
    rows = [
        (f.change, one_line(f.path), "" if f.change == "removed" else size(f.size_bytes), _risk(f))
        for f in files
    ]
    return Grid(("change", "file", "size", ""), rows, right=frozenset({2}))


def timing_text(timings: Timings) -> str:
    """Return the wall time and the phases that took any, on one line."""
    phases = [
        f"{_phase(name)} {getattr(timings, name):.2f}" for name in PHASES if getattr(timings, name) >= 0.005
    ]
    inner = f" (model {timings.model_s:.2f}, tools {timings.tools_s:.2f})" if timings.agent_s else ""
    text = ", ".join(phases).replace(f"agent {timings.agent_s:.2f}", f"agent {timings.agent_s:.2f}{inner}")
    return f"{duration(timings.wall_s)}: {text}" if phases else duration(timings.wall_s)


def phase_bar(timings: Timings, width: int = 48) -> Text:
    """Return the phases below each other, each as long as it took and where it began."""
    wall_s, begun_s = timings.wall_s or 1.0, 0.0
    lines = []
    for name in PHASES:
        seconds = getattr(timings, name)
        start, end = round(begun_s / wall_s * width), round((begun_s + seconds) / wall_s * width)
        begun_s += seconds
        if seconds < 0.0005:
            continue
        bar = " " * min(start, width - 1) + _BAR * max(1, end - start)
        lines.append(
            Text.assemble(f"{_phase(name):<12}", (f"{bar:<{width}}", "cyan"), f" {duration(seconds):>11}")
        )
    if timings.cleanup_s is not None:
        cells = f"{'clean-up':<12}{'behind the result':<{width}} {duration(timings.cleanup_s):>11}"
        lines.append(Text(cells, "dim"))
    return Text("\n").join(lines)


def runs_table(runs: Sequence[ListedRun]) -> Grid:
    """Return a list of runs."""
    headings = ("run", "started", "mode", "outcome", "check", "time", "cost", "size", "prompt")
    cells = [_run_row(run) for run in runs]
    return Grid(
        headings, cells, right=frozenset({5, 6, 7}), whole=frozenset(range(8)), cut=8, optional=(7, 4)
    )


def comparison(records: Sequence[RunRecord], title: str = "") -> Grid:
    """Return finished runs side by side: a column for each, a row for each thing to compare."""
    rows: list[list[str | Cell]] = [
        ["outcome", *(Cell(r.outcome, _STYLES.get(r.outcome, "red")) for r in records)],
        ["check", *(_check_word(r.check) for r in records)],
    ]
    if any(r.error for r in records):
        rows.append(["error", *(Cell(one_line(r.error.kind) if r.error else "", "red") for r in records)])
    rows.append(["wall time", *(Cell(duration(r.timings.wall_s), "bold") for r in records)])
    for name in PHASES:
        rows += _time_row(f"  {_phase(name)}", records, name)
        for part in _PARTS.get(name, ()):
            rows += _time_row(f"    {_phase(part)}", records, part)
    rows += _time_row("clean-up, behind", records, "cleanup_s")
    rows += [
        ["turns", *(str(r.num_turns) for r in records)],
        ["tokens in", *(count(r.usage.total_tokens - r.usage.output_tokens) for r in records)],
        ["tokens out", *(count(r.usage.output_tokens) for r in records)],
        ["cost", *(money(r.total_cost_usd) for r in records)],
    ]
    if any(r.machine_usd is not None for r in records):
        costs = (money(r.machine_usd) if r.machine_usd is not None else "-" for r in records)
        rows.append(["machine's cost", *costs])
    rows += [
        ["files", *("\n".join(_file_names(r.files)) or "-" for r in records)],
        ["run", *(r.run_id for r in records)],
    ]
    columns = frozenset(range(1, len(records) + 1))
    return Grid(("", *(r.mode for r in records)), rows, title, right=columns, whole=frozenset({0}))


def _time_row(label: str, records: Sequence[RunRecord], name: str) -> list[list[str | Cell]]:
    """Return a row of times; none where no run went through it, however short it was."""
    seconds = [getattr(r.timings, name) for r in records]
    return [[label, *(duration(s) for s in seconds)]] if any(seconds) else []


def _run_row(run: ListedRun) -> list[str | Cell]:
    record = run.record
    started = run.started_at.astimezone()
    recent = datetime.now(UTC) - run.started_at < timedelta(hours=20)
    word = record.outcome if record else run.state
    return [
        run.run_id,
        started.strftime("%H:%M:%S" if recent else "%Y-%m-%d"),
        run.mode,
        Cell(word, _STYLES.get(word, "red" if record else "cyan")),
        _check_word(record.check if record else None),
        duration(record.timings.wall_s) if record else "",
        money(record.total_cost_usd) if record else "",
        size(run.size_bytes),
        one_line(run.prompt, 120),
    ]


def _check(check: CheckResult) -> Cell:
    last = check.output.strip().splitlines()[-3:]
    said = "\n".join(last)
    text = f"{check.command} ended with {check.exit_code}" + (f":\n{said}" if said else "")
    return Cell(text, "red")


def _check_word(check: CheckResult | None) -> Cell:
    if check is None:
        return Cell("-", "dim")
    return Cell("passed", "green") if check.passed else Cell("failed", "red")


def model_text(record: RunRecord) -> str:
    """Return the model, its turns and tokens and their cost, on one line."""
    usage = record.usage
    model = record.conditions.get("model") or record.spec.model or "model unknown"
    counted = f"{count(usage.total_tokens - usage.output_tokens)} tokens in, {count(usage.output_tokens)} out"
    return f"{one_line(str(model))}: {record.num_turns} turns, {counted}, {money(record.total_cost_usd)}"


def machine_text(record: RunRecord) -> str:
    """Return the machine that a run had far away and what it cost, on one line; nothing where it had none."""
    if record.machine_usd is None:
        return ""
    guest = one_line(str(record.conditions.get("guest") or "size unknown"))
    as_of = one_line(str(record.conditions.get("machine_prices_as_of") or "a date unknown"))
    return f"{guest}: {money(record.machine_usd)}, an estimate by prices of {as_of}"


def _file_names(files: Sequence[FileChange], most: int = _MOST_FILES) -> list[str]:
    names = [f"{_MARKS.get(f.change, '?')} {one_line(f.path)}" for f in files[:most]]
    return [*names, f"and {len(files) - most} more"] if len(files) > most else names


def _size_of(file: FileChange) -> str:
    return "" if file.change == "removed" else f" ({size(file.size_bytes)})"


def _risk(file: FileChange) -> Cell:
    return Cell("may run by itself" if file.runs_by_itself else "", "yellow")


def _phase(name: str) -> str:
    return name.removesuffix("_s").replace("_", " ")


def verdict_style(record: RunRecord) -> str:
    """Return the colour of a verdict."""
    passed = record.check is None or record.check.passed
    return _STYLES.get(record.outcome, "red") if passed else "red"


def _label(name: str) -> Cell:
    return Cell(name, "dim")
