"""Two runs against each other: their workspaces, their answers, the tools that they called."""

from __future__ import annotations

import difflib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group
from rich.text import Text

from ccnb.render import harmless, html, tool_summary
from ccnb.render.shown import Bundle, Patch, Shown, plain
from ccnb.runner.handles import RunResult


@dataclass(frozen=True)
class Diff(Shown):
    """What differs between two runs."""

    a: str
    b: str
    """Their ids."""
    workspace: Patch
    """From the files that `a` left to those that `b` left; empty where they are the same."""
    answer: str
    """From the answer of `a` to that of `b`, as a unified diff."""
    tools: tuple[tuple[str, str], ...]
    """The calls of both side by side; an empty text where one has no such call."""
    absent: tuple[str, ...] = ()
    """Runs whose workspace isn't here, as that of a run which came from elsewhere: nothing is said of it."""

    @property
    def files(self) -> list[str]:
        """Return the files that differ."""
        marks = [line for line in self.workspace.splitlines() if line.startswith("diff --git ")]
        return [line.rpartition(" b/")[2] for line in marks]

    def _bundle(self) -> Bundle:
        text = plain(self._text(), 120)
        calls = "".join(
            f"<tr><td>{html.escaped(one)}</td><td>{html.escaped(two)}</td></tr>" for one, two in self.tools
        )
        parts = [
            html.patch(self.workspace) if self.workspace else f"<i>{html.escaped(self._no_patch())}</i>",
            html.patch(self.answer) if self.answer else "<i>the answers are the same</i>",
            f"<table><tbody>{calls}</tbody></table>",
        ]
        return {"text/plain": text, "text/html": f"<div>{''.join(parts)}</div>"}

    def _no_patch(self) -> str:
        if not self.absent:
            return "the workspaces are the same"
        whose = " and ".join(f"run {run_id}" for run_id in self.absent)
        return f"the workspace of {whose} stayed where it ran; the patches of the results are here"

    def __repr__(self) -> str:
        return plain(self._text(), 120)

    def _text(self) -> Group:
        width = max([len(one) for one, _ in self.tools], default=0)
        calls = [f"{one:<{width}} {'=' if one == two else '|'} {two}" for one, two in self.tools]
        parts = [
            f"run {self.a} and run {self.b}",
            self.workspace or self._no_patch(),
            self.answer or "the answers are the same",
            *calls,
        ]
        return Group(*(Text(harmless(part)) for part in parts))


def diff(a: RunResult, b: RunResult) -> Diff:
    """Set two runs against each other."""
    absent = tuple(result.run_id for result in (a, b) if not result.workspace.is_dir())
    return Diff(
        a=a.run_id,
        b=b.run_id,
        workspace=Patch() if absent else _workspaces(a.workspace, b.workspace),
        absent=absent,
        answer=_answers(a.text, b.text),
        tools=tuple(_aligned(_calls(a), _calls(b))),
    )


def _workspaces(one: Path, two: Path) -> Patch:
    """Compare two folders by git, which needs no repository for that."""
    git = ["git", "-c", "core.quotePath=false", "diff", "--no-index", "--no-color", "--no-ext-diff"]
    command = [*git, "--no-renames", "--", str(one), str(two)]
    done = subprocess.run(command, capture_output=True, check=False)
    text = done.stdout.decode(errors="replace")
    for folder in (one, two):
        text = text.replace(str(folder), "")
    text = text.replace("a//", "a/").replace("b//", "b/")
    return Patch.of(text, text)


def _answers(one: str, two: str) -> str:
    lines = difflib.unified_diff(one.splitlines(), two.splitlines(), "a", "b", lineterm="")
    return "\n".join(lines)


def _calls(result: RunResult) -> list[str]:
    """Return each call in a few words, its paths as seen from the workspace, which lies elsewhere in each."""
    calls, folder = [], ""
    for event in result.events:
        if event.subtype == "init":
            folder = str(event.raw.get("cwd") or "")
        calls += [f"{use.name} {tool_summary(use, folder)}".rstrip() for use in event.tool_uses]
    return calls


def _aligned(one: list[str], two: list[str]) -> list[tuple[str, str]]:
    """Set two lists side by side, what is the same in both on one line."""
    rows: list[tuple[str, str]] = []
    matcher = difflib.SequenceMatcher(None, one, two, autojunk=False)
    for _, a, a_end, b, b_end in matcher.get_opcodes():
        left, right = one[a:a_end], two[b:b_end]
        longest = max(len(left), len(right))
        left += [""] * (longest - len(left))
        right += [""] * (longest - len(right))
        rows += zip(left, right, strict=True)
    return rows
