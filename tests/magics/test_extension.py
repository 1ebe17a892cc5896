"""Loading, help, Tab, other extensions, and what is said to bad input."""

from __future__ import annotations

import subprocess
import sys

import pytest
from IPython.core.error import UsageError

from ccnb.magics.options import cc_parser
from ccnb.store import Store
from tests.kept import keep_run

MAGICS = ("cc", "cc_modes", "cc_token", "cc_runs", "cc_attach", "cc_stop", "cc_sweep")


def magics(shell):
    return {
        kind: {n for n in known if n.startswith("cc")}
        for kind, known in shell.ip.magics_manager.magics.items()
    }


def test_all_are_there_and_twice_is_harmless(shell):
    assert magics(shell) == {"line": set(MAGICS), "cell": {"cc"}}
    before = len(shell.ip.configurables)
    for again in ("%load_ext ccnb", "%reload_ext ccnb"):
        assert shell.run(again).error is None
        assert magics(shell) == {"line": set(MAGICS), "cell": {"cc"}}
        assert len(shell.ip.configurables) == before
    assert shell.run("%unload_ext ccnb").error is None
    assert magics(shell) == {"line": set(), "cell": set()}


def test_loading_brings_in_nothing_that_takes_its_time():
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell; s = InteractiveShell();"
        "before = set(sys.modules); s.run_line_magic('load_ext', 'ccnb');"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"anywidget", "docker", "httpx", "ipywidgets", "matplotlib", "nbformat", "numpy", "pandas", "rich"}
    assert slow & set(done.stdout.split()) == set()


def test_what_belongs_to_another_extension_is_left(bare_shell):
    def theirs(line, cell=None):
        return "theirs"

    bare_shell.ip.register_magic_function(theirs, "line_cell", "cc")
    bare_shell.ip.register_magic_function(theirs, "line", "cc_runs")
    ran = bare_shell.run("%load_ext ccnb")
    assert "%%cc belongs to another extension, and is left to it; ccnb's is %%ccnb" in ran.err
    assert "%cc_runs belongs to another extension" in ran.err
    assert bare_shell.run("%%cc\nx").value == "theirs"
    assert bare_shell.run("%cc_runs").value == "theirs"
    assert "unknown mode 'nowhere'" in bare_shell.run("%%ccnb -m nowhere --api script:demo\nx").err
    assert "%%ccnb" in bare_shell.ip.object_inspect_text("%%ccnb")
    bare_shell.run("%unload_ext ccnb")
    assert bare_shell.run("%%cc\nx").value == "theirs"


def test_the_help_has_every_option_and_examples(shell):
    text = shell.ip.object_inspect_text("%%cc")
    for name in cc_parser().names:
        assert name in text
    assert "examples:" in text
    assert "%config CcMagics.mode" in text
    assert "--older-than" in shell.ip.object_inspect_text("%cc_sweep")


def test_examples_of_the_help_are_understood(shell):
    parser = cc_parser()
    lines = [line.strip() for line in parser.epilog.splitlines() if line.strip().startswith("%%cc")]
    assert len(lines) >= 5
    for line in lines:
        from ccnb.magics.options import words_of

        parser.parse(words_of(line.partition("   ")[0])[1:])


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%%cc --mo", {"--mode", "--model"}),
        ("%%cc --mode ", {"auto", "all", "docker", "podman", "local"}),
        ("%%cc -m pod", {"podman"}),
        ("%%cc --mode docker,pod", {"podman"}),
        ("%%cc --model ha", {"haiku"}),
        ("%%cc --model ", {"opus", "claude-opus-5-5"}),
        ("%%cc --api scr", {"script:demo"}),
        ("%%cc --permission-mode ", {"plan", "bypassPermissions"}),
        ("%%cc --network ", {"none", "open"}),
        ("%%cc --continue ", {"r1", "r2"}),
        ("%cc --mode do", {"docker"}),
        ("%cc_attach ", {"r1", "r2"}),
        ("%cc_stop r1", {"r1"}),
        ("%cc_runs --out", {"--outcome"}),
        ("%cc_runs --outcome ", {"success", "infrastructure"}),
        ("%cc_runs --state d", {"done"}),
        ("%cc_runs --mode ", {"docker", "local"}),
    ],
)
def test_tab_offers_what_may_stand_there(shell, home, line, offered):
    (home / "runs").mkdir(exist_ok=True)
    keep_run(Store(home), "r1")
    keep_run(Store(home), "r2")
    found = set(shell.complete(line))
    assert offered <= {one.rpartition(",")[2] if "," in line else one for one in found}


def test_tab_offers_no_mode_that_no_run_has(shell):
    assert not {"auto", "all"} & set(shell.complete("%cc_runs --mode "))


def test_tab_offers_folders(shell, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "other.txt").touch()
    assert shell.complete(f"%%cc --workspace {tmp_path}/o") == [f"{tmp_path}/one/"]


def test_tab_offers_nothing_of_ours_in_the_body(shell):
    assert "--mode" not in shell.complete("%%cc\n--mo")


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("%%cc --mode dokcer\nx", "unknown mode 'dokcer'; did you mean 'docker'?"),
        ("%%cc --mode local,moon\nx", "unknown mode 'moon'"),
        ("%%cc --mode ,\nx", "--mode is empty"),
        ("%%cc --mdoe local\nx", "unknown option '--mdoe'; did you mean '--mode'?"),
        ("%%cc --mode\nx", "--mode expected one argument; see %%cc?"),
        ("%%cc --moon\nx", "unknown option '--moon'"),
        ("%%cc write it\nx", "unexpected 'write': only options stand here"),
        ("%%cc 'open\nx", "the options can't be read (No closing quotation)"),
        ("%%cc\n", "the cell body is empty"),
        ("%%cc\n   \n", "prompt is empty"),
        ("%cc", "prompt is empty"),
        ("%%cc --workspace /not/there\nx", "--workspace /not/there isn't there; make it"),
        ("%%cc --workspace /etc/passwd\nx", "--workspace /etc/passwd is a file"),
        ("%%cc --mode docker,local --workspace /tmp\nx", "each other's files; add --copy"),
        ("%%cc --copy\nx", "--copy needs a workspace to copy"),
        ("%%cc --timeout soon\nx", "--timeout must be a number, not 'soon'"),
        ("%%cc --timeout 0\nx", "--timeout must be a number above zero"),
        ("%%cc --timeout nan\nx", "--timeout must be a number, not 'nan'"),
        ("%%cc --max-turns 1.5\nx", "--max-turns must be a whole number, not '1.5'"),
        ("%%cc --max-turns 0\nx", "--max-turns must be a whole number above zero"),
        ("%%cc --budget-usd -1\nx", "--budget-usd must be a number above zero"),
        ("%%cc --memory-mb much\nx", "--memory-mb must be a whole number"),
        ("%%cc --cpus all\nx", "--cpus must be a number"),
        ("%%cc --network opne\nx", "did you mean 'open'?"),
        ("%%cc --network a.org --network https://b.org/x\nx", "which is a URL; list the host alone"),
        ("%%cc --auth nothing\nx", "--auth must be one of"),
        ("%%cc --isolation wall\nx", "--isolation must be one of"),
        ("%%cc --permission-mode paln\nx", "did you mean 'plan'?"),
        ("%%cc --resume yesterday\nx", "--resume must be a session id"),
        ("%%cc --continue nothing\nx", "no run has the id 'nothing'"),
        ("%%cc --env NAME\nx", "--env takes NAME=VALUE, not 'NAME'"),
        ("%%cc --env a-b=1\nx", "--env has 'a-b'"),
        ("%%cc --secret-env NOT_SET\nx", "--secret-env NOT_SET: no such variable"),
        ("%%cc --secret-env A=hunter2hunter2\nx", "--secret-env takes a name alone"),
        ("%%cc --api scirpt:demo\nx", "did you mean 'script'?"),
        ("%%cc --api script:dmeo\nx", "no script is named 'dmeo'"),
        ("%%cc --api live -m local\nx", "no token found"),
        ("%%cc --out 1st\nx", "--out must be a variable's name, not '1st'"),
        ("%%cc --expand\nWrite {nothing}", "--expand: there is no variable 'nothing'"),
        ("%%cc --bg --quiet --keep --api nowhere\nx", "--api must be one of"),
        ("%%cc --keep-s soon\nx", "--keep-s must be a number, not 'soon'"),
        (
            "%%cc -m local --keep --keep-s 60 --push-to https://h.example/r\nx",
            "--push-to needs a token that may write",
        ),
        ("%%cc --image ' '\nx", "--image must be a non-empty string"),
        ("%%cc --model ' '\nx", "--model must be a non-empty string"),
        ("%%cc --check ''\nx", "--check must be a non-empty string"),
        ("%%cc --setup ''\nx", "--setup must be a non-empty string"),
        ("%%cc --system-prompt ''\nx", "--system-prompt must be a non-empty string"),
        ("%%cc --append-system-prompt ''\nx", "--append-system-prompt must be a non-empty string"),
        ("%%cc --allowed-tools ''\nx", "--allowed-tools must be a list of non-empty strings"),
        ("%%cc --disallowed-tools ''\nx", "--disallowed-tools must be a list of non-empty strings"),
        ("%%cc --sandbox Not_Good\nx", "--sandbox must be a name of up to 18 small letters"),
        ("%%cc --sandbox ''\nx", "--sandbox must be a name of up to 18 small letters"),
        ("%%cc --sandbox mine -m local --workspace /tmp\nx", "is for mode sandbox, not local"),
        ("%%cc --sandbox mine\nx", "belongs to one folder, which runs work in; name it as workspace"),
        ("%%cc --sandbox mine --workspace /tmp --keep\nx", "a lasting sandbox stays anyway"),
        ("%%cc --sandbox mine --workspace /tmp --network none\nx", "keeps the rules of earlier runs"),
        ("%cc_runs --mode moon", "unknown mode 'moon'; known are docker, podman"),
        ("%cc_runs --mode auto", "unknown mode 'auto'"),
        ("%cc_runs --outcome sucess", "unknown outcome 'sucess'; did you mean 'success'?"),
        ("%cc_runs --state over", "unknown state 'over'; known are preparing, starting"),
        ("%cc_runs --limit 0", "limit must be a whole number above zero, not 0"),
        ("%cc_runs --limit few", "--limit must be a whole number"),
        ("%cc_runs --moed local", "did you mean '--mode'?"),
        ("%cc_attach", "RUN"),
        ("%cc_attach nothing", "no run has the id 'nothing'"),
        ("%cc_stop nothing", "no run has the id 'nothing'"),
        ("%cc_sweep --older-than soon", "--older-than must be a time such as"),
        ("%cc_token --reveal", "no token is revealed here"),
        ("%cc_modes now", "unexpected 'now'"),
    ],
)
def test_one_line_and_nothing_started(shell, home, cell, sentence):
    if "--api" not in cell:
        cell = cell.replace("%%cc", "%%cc --api script:demo", 1)
    ran = shell.run(cell)
    (line,) = ran.err.strip().splitlines()
    assert line.startswith("UsageError: ")
    assert sentence in line
    assert "hunter2" not in line
    assert type(ran.error) is UsageError
    assert Store(home).runs() == []


def test_bad_config_is_said_when_it_is_used(shell):
    shell.run('%config CcMagics.network = "moon"')
    assert "--network must be open, none or a list of hosts" in shell.run("%%cc --api script:demo\nx").err


def test_a_bug_keeps_its_traceback(shell):
    shell.ip.user_ns["get"] = None
    shell.ip.magics_manager.registry["CcMagics"]._variables = None
    ran = shell.run("%%cc --api script:demo --expand -m local\n{x}")
    assert "Traceback" in ran.out + ran.err
    assert not isinstance(ran.error, UsageError)


def test_runs_and_modes_are_shown(shell, home):
    (home / "runs").mkdir(exist_ok=True)
    keep_run(Store(home), "r1")
    keep_run(Store(home), "r2", mode="podman")
    assert [row.run_id for row in shell.run("%cc_runs").value] == ["r2", "r1"]
    assert [row.run_id for row in shell.run("%cc_runs --mode docker").value] == ["r1"]
    assert len(shell.run("%cc_runs --limit 1").value) == 1
    assert {mode.mode for mode in shell.run("%cc_modes").value} >= {"docker", "podman", "local"}
    ran = shell.run("%cc_sweep")
    assert ran.error is None
    assert "nothing was left behind" in ran.value._bundle()["text/plain"]


LOAD = """
import sys
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell().run_line_magic("load_ext", "ccnb")
print(sorted({"docker", "pandas", "matplotlib", "ccnb.runner.api"} & set(sys.modules)))
"""


def test_loading_does_nothing_else(home):
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert list(home.iterdir()) == []


def test_a_token_is_told_and_not_shown(shell, monkeypatch):
    token = "sk-ant-api03-" + "Ab1_" * 12
    monkeypatch.setenv("ANTHROPIC_API_KEY", token)
    ran = shell.run("%cc_token")
    assert ran.value.variable == "ANTHROPIC_API_KEY"
    assert "API key" in ran.out
    assert token not in ran.out
