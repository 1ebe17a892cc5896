"""The figures as a page: each with its target, and a miss that can't be overlooked."""

from __future__ import annotations

from bench.report import Figure, page

CONDITIONS = {"cpus": 2, "load": {"import": 0.5}}


def row(figure):
    (found,) = (line for line in page([figure], CONDITIONS).splitlines() if figure.name in line)
    return found


def test_a_figure_stands_beside_its_target():
    figure = Figure.below("memory", 12.3456, "MB", 50, "of a|b")
    assert row(figure) == r"| memory | 12.35 MB | ≤ 50 | yes | of a\|b |"


def test_a_missed_target_is_said():
    assert row(Figure.below("memory", 51, "MB", 50)) == "| memory | 51 MB | ≤ 50 | **no** |  |"


def test_what_was_not_measured_says_why():
    assert row(Figure.absent("docker", "s", "no engine")) == "| docker | s |  |  | not measured: no engine |"


def test_the_machine_and_its_load_are_said():
    assert page([], CONDITIONS).splitlines()[-1] == "The machine: cpus 2, load 0.5 (import)."
