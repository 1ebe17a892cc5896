"""Pictures: what is drawn says what the frame says, with units and numbers of runs."""

from __future__ import annotations

import math
import subprocess
import sys

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import ccnb
from ccnb import frames, plots
from ccnb.errors import SpecError
from ccnb.events import Usage
from ccnb.plots.canvas import colours
from ccnb.results import Timings
from ccnb.store import Store
from tests.kept import BEGAN, answer, keep_run, use

FRAMES = {
    "phases": "phases",
    "tokens": "runs",
    "cost": "runs",
    "tools": "tools",
    "timeline": "runs",
    "similarity": "similarity",
}
EVENTS = [
    (1.0, use("a")),
    (2.0, answer("a")),
    (2.0, use("b", "Edit")),
    (2.5, answer("b", failed=True)),
    (3.0, use("c")),
    (3.5, answer("c")),
]

POINTS = 72
"""In an inch."""


@pytest.fixture(autouse=True)
def screen():
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.fixture
def results(home):
    (home / "runs").mkdir()
    store = Store(home)
    return [
        keep_run(
            store,
            f"261124-10000{number}-run{number}x",
            mode=("docker", "podman")[number % 2],
            began=BEGAN + 10 * number,
            outcome="agent_error" if number == 3 else "success",
            text="All is done now" if number else "Something else",
            usage=Usage(1000 * (number + 1), 100, 0, 500),
            total_cost_usd=0.01 * (number + 1),
            timings=Timings(create_s=1, agent_s=4, model_s=2 + number, tools_s=2 - number * 0.5, check_s=0),
            events=EVENTS,
        )
        for number in range(4)
    ]


def draw(name, given, **more):
    frame = getattr(frames, f"{FRAMES[name]}_frame")(given)
    return getattr(plots, f"plot_{name}")(frame, **more)


def bars(ax, label):
    """Return where the bars of a label begin and how long they are."""
    (container,) = [c for c in ax.containers if c.get_label() == label]
    return [(round(bar.get_x(), 6), round(bar.get_width(), 6)) for bar in container]


def dots(ax):
    return sorted(round(float(x), 6) for c in ax.collections for x, _ in c.get_offsets())


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


@pytest.mark.parametrize("name", FRAMES)
def test_it_gives_axes_of_pyplot_or_draws_on_those_given(results, name):
    made = draw(name, results)
    assert isinstance(made, Axes)
    assert plt.fignum_exists(made.figure.number)
    given = Figure().subplots()
    before = plt.get_fignums()
    assert draw(name, results, ax=given) is given
    assert plt.get_fignums() == before


@pytest.mark.parametrize("name", FRAMES)
def test_axes_tell_their_units_and_of_how_many_runs_they_speak(results, name):
    ax = draw(name, results)
    texts = [ax.get_xlabel(), ax.get_title(), *rows(ax), *(legend(ax) if ax.get_legend() else [])]
    texts += [other.get_ylabel() for other in ax.figure.axes]
    words = " ".join(texts)
    assert any(unit in words for unit in ("(s)", "tokens", "USD", "calls", "0 to 1"))
    assert "n = " in words


@pytest.mark.parametrize("name", FRAMES)
def test_none_is_said_and_another_frame_is_refused(home, name):
    (home / "runs").mkdir(exist_ok=True)
    ax = draw(name, [])
    assert ax.texts[0].get_text().startswith("no ")
    with pytest.raises(SpecError, match=rf"make it by ccnb.frames.{FRAMES[name]}_frame"):
        getattr(plots, f"plot_{name}")(frames.files_frame([]))


@pytest.mark.parametrize("name", FRAMES)
def test_the_same_frame_gives_the_same_picture(results, name, tmp_path):
    files = [tmp_path / "one.png", tmp_path / "two.png"]
    for file in files:
        draw(name, results).figure.savefig(file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_phases_are_means_on_top_of_each_other_and_every_run_is_a_dot(results):
    ax = draw("phases", results)
    assert rows(ax) == ["docker\n(n = 2)", "podman\n(n = 2)"]
    assert legend(ax) == ["create", "model", "tools"]
    # docker: runs 0 and 2, whose model took 2 and 4 s; podman: 1 and 3, with 3 and 5 s.
    assert bars(ax, "create") == [(0, 1), (0, 1)]
    assert bars(ax, "model") == [(1, 3), (1, 4)]
    assert bars(ax, "tools") == [(4, 1.5), (5, 1)]
    assert dots(ax) == [5, 5.5, 6, 6.5]


def test_long_runs_are_told_in_minutes(results):
    frame = frames.phases_frame(results)
    frame["seconds"] *= 600
    ax = plots.plot_phases(frame)
    assert "(min)" in ax.get_xlabel()
    assert dots(ax) == [50, 55, 60, 65]


def test_tokens_are_told_by_kind(results):
    ax = draw("tokens", results)
    assert legend(ax) == ["read from the cache", "input", "output"]
    assert bars(ax, "input") == [(500, 2000), (500, 3000)]
    assert dots(ax) == [1600, 2600, 3600, 4600]


def test_cost_is_a_dot_for_each_run_and_a_line_at_the_median(results):
    ax = draw("cost", results)
    assert dots(ax) == [0.01, 0.02, 0.03, 0.04]
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([0.02, 0.03])


def test_tools_are_counted_with_their_time_and_failures(results):
    ax = draw("tools", results)
    assert rows(ax) == ["Bash", "Edit"]
    assert bars(ax, "docker (n = 2)") == [(0, 4), (0, 2)]
    assert {text.get_text() for text in ax.texts} == {"4, 3 s", "2, 1 s"}
    hatched = [bar for bar in ax.patches if bar.get_hatch() and bar.get_width()]
    assert sorted(bar.get_width() for bar in hatched) == [2, 2]


def test_the_timeline_has_a_bar_for_each_run_with_its_tools_inside(results):
    ax = plots.plot_timeline(frames.runs_frame(results), frames.tools_frame(results))
    assert rows(ax) == [f"{('docker', 'podman')[n % 2]} · run{n}x" for n in range(4)]
    found = [(p.get_x(), round(p.get_width(), 6)) for p in ax.patches]
    assert found == [(0, 5), (10, 5), (20, 5), (30, 5)]
    assert [bool(p.get_hatch()) for p in ax.patches] == [False, False, False, True]
    spans = [path.get_extents() for c in ax.collections for path in c.get_paths()]
    assert (round(spans[0].x0, 3), round(spans[0].x1, 3)) == (1, 2)
    assert (round(spans[-1].x0, 3), round(spans[-1].x1, 3)) == (33, 33.5)
    assert legend(ax) == ["docker (n = 2)", "podman (n = 2)", "a tool at work", "ended badly"]


def test_similarity_is_a_square_with_ones_on_its_diagonal(results):
    ax = draw("similarity", results)
    square = ax.images[0].get_array()
    assert square.shape == (4, 4)
    assert [square[n, n] for n in range(4)] == [1, 1, 1, 1]
    labels = rows(ax)
    other = labels.index("docker · run0x")
    assert square[other].sum() < 2
    assert (ax.images[0].norm.vmin, ax.images[0].norm.vmax) == (0, 1)


@pytest.mark.parametrize(
    "times", [[2.26, 2.27], [0.0, 3.0], [0.0], [1.0, 1.0, 900.0]], ids=["close", "zero", "none", "far"]
)
def test_arms_show_every_run_as_a_whole_dot_and_every_interval(times):
    frame = pd.DataFrame({"arm": ["a"] * len(times), "wall_s": times})
    interval = (min(times), 1.3 * max(times))
    ax = plots.plot_arms(frame, {"a": (times[0], *interval)}, order=["a", "b"])
    assert rows(ax) == [f"a\n(n = {len(times)})", "b\n(n = 0)"]
    assert dots(ax) == sorted(times)
    assert list(ax.lines[1].get_xdata()) == list(interval)
    assert_whole(ax)


def test_a_run_that_cost_nothing_is_a_whole_dot(results):
    frame = frames.runs_frame(results)
    frame.loc[0, "total_cost_usd"] = 0.0
    assert_whole(plots.plot_cost(frame))


def assert_whole(ax):
    """See that all dots and lines lie within the picture's frame."""
    ax.figure.canvas.draw()
    frame = ax.get_window_extent()
    for one in (one for one in ax.collections if len(one.get_offsets())):
        places = ax.transData.transform(one.get_offsets())[:, 0]
        radius = math.sqrt(one.get_sizes().max()) / 2 * ax.figure.dpi / POINTS
        assert frame.x0 + radius <= places.min()
        assert places.max() <= frame.x1 - radius
    for line in ax.lines:
        ends = ax.transData.transform(line.get_xydata())[:, 0]
        assert frame.x0 <= ends.min()
        assert ends.max() <= frame.x1


def test_a_mode_has_one_colour_in_all_pictures():
    assert colours(["local", "docker"])["docker"] == colours(["docker", "podman"])["docker"]
    assert len(set(colours(["docker", "podman", "local", "fly", "mine", "yours"]).values())) == 6


def test_unfinished_runs_are_left_out(home):
    (home / "runs").mkdir()
    keep_run(Store(home), "r", finished=False)
    assert plots.plot_timeline(ccnb.frames.runs_frame()).texts[0].get_text() == "no finished run"


def test_given_axes_need_no_pyplot():
    code = (
        "import sys; from matplotlib.figure import Figure; from ccnb import frames, plots;"
        "plots.plot_cost(frames.runs_frame([]), ax=Figure().subplots());"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_tool_may_be_named_like_a_formula(home):
    (home / "runs").mkdir()
    result = keep_run(Store(home), "r", events=[(1, use("a", r"$\frac{$")), (2, answer("a"))])
    plots.plot_tools(frames.tools_frame(result)).figure.canvas.draw()
