"""What is written stands out from the page, light or dark: its contrast is computed as WCAG has it."""

from __future__ import annotations

import pytest

from tests.browser.lab import expect

pytestmark = pytest.mark.needs("browser", "bubblewrap")

SCRIPT = r"""
- say: I print in **colours**.
  tools:
    - Bash:
        command: |-
          for n in 0 1 2 3 4 5 6 7; do
            printf '\033[3%dmink %d\033[0m \033[9%dmbright %d\033[0m\n' $n $n $n $n
          done
          printf '\033[2mfaint\033[0m \033[2;32mgreen\033[0m\n'
    - Bash: {command: "echo no >&2; exit 1"}
    - Write: {file_path: "$CWD/a.txt", content: "one\ntwo\n"}
- say: The end.
"""
LEAST = 4.5
"""WCAG 2, level AA, for text."""

FAINT = """(least) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const lay = (colour, opacity) => {
        pen.globalAlpha = opacity;
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
    };
    const linear = (byte) => {
        const part = byte / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    };
    const luminance = () => {
        const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
        return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    };
    const contrast = (node) => {
        const around = [];
        for (let one = node; one; one = one.parentElement) around.unshift(getComputedStyle(one));
        let opacity = 1;
        lay("white", 1);
        for (const look of around) {
            opacity *= Number(look.opacity);
            lay(look.backgroundColor, opacity);
        }
        const behind = luminance();
        lay(around.at(-1).color, opacity);
        const [dark, light] = [behind, luminance()].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
    };
    const written = (node) => [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    const found = [...document.querySelectorAll(".jp-OutputArea-output *")]
        .filter((node) => written(node) && node.checkVisibility() && !node.closest(":disabled"))
        .map((node) => [node.textContent.trim().slice(0, 60), contrast(node)]);
    return { count: found.length, faint: found.filter(([, ratio]) => ratio < least) };
}"""


@pytest.fixture
def notebook(home, request):
    """Return a notebook that shows a run in all of its forms, unfolded, and the panel with a mistake."""
    (home / "colours.yaml").write_text(SCRIPT)
    notebook = request.getfixturevalue("open_notebook")(
        "%load_ext ccnb\nimport ccnb\nfrom ccnb.widgets.view import RunView",
        "%%cc -m local --api script:colours.yaml --out r\nGo.",
        "RunView([ccnb.attach(r.run_id)])",
        "r.patch",
        "%cc_modes",
        "ccnb.panel()",
    )
    # All of it is in the page at once.
    notebook.page.set_viewport_size({"width": 1100, "height": 5_000})
    for number in range(6):
        notebook.run_all_of(number)
    notebook.output(2).get_by_title("show the conversation").click()
    expect(notebook.output(2).locator(".ccnb-list")).to_contain_text("The end.")
    panel = notebook.output(5)
    panel.get_by_label("time limit (s)").fill("soon")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.locator(".ccnb-error")).to_contain_text("soon")
    notebook.page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    for number in (1, 2):
        expect(notebook.output(number).get_by_text("bright 7")).to_be_visible()
    return notebook


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_all_that_is_written_stands_out(notebook, theme):
    notebook.use_theme(theme)
    seen = notebook.page.evaluate(FAINT, LEAST)
    assert seen["count"] > 100
    assert seen["faint"] == []
