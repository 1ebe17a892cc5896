"""What can't be done is one sentence with the next action, and leaves nothing behind."""

from __future__ import annotations

import re

import pytest

from ccnb.store import Store

SCRIPTED = ("--api", "script:demo")
MISTAKE = "- say: One\n- say: Two\n- say: Three\n- say: Four\n- say: Five\n- say: Six\n- sya: Seven\n"
DEAD = "unix:///nowhere/docker.sock"


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["run", "x", "-m", "dokcer", *SCRIPTED], "unknown mode 'dokcer'; did you mean 'docker'?", 2),
        (["run", "x", "-m", "local,moon", *SCRIPTED], "unknown mode 'moon'; known are auto, docker", 2),
        (["run", "x", "-m", ",", *SCRIPTED], "--mode is empty; leave it out", 2),
        (["run", "x", "-w", "/not/there", *SCRIPTED], "--workspace /not/there isn't there; make it", 2),
        (["run", "x", "-w", "/etc/passwd", *SCRIPTED], "--workspace /etc/passwd is a file; name a folder", 2),
        (["run", "x", "-m", "docker,local", "-w", "/tmp", *SCRIPTED], "each other's files; add --copy", 2),
        (["run", "x", "--copy", *SCRIPTED], "--copy needs a workspace to copy; name one", 2),
        (["run", "", *SCRIPTED], "prompt is empty; say what the agent should do", 2),
        (["run", "-", *SCRIPTED], "prompt is empty; say what the agent should do", 2),
        (["run", "x", "--timeout", "0", *SCRIPTED], "--timeout must be a number above zero, not 0", 2),
        (["run", "x", "--timeout", "soon", *SCRIPTED], "'--timeout'", 2),
        (["run", "x", "--max-turns", "-1", *SCRIPTED], "--max-turns must be a whole number above zero", 2),
        (["run", "x", "--budget-usd", "nan", *SCRIPTED], "--budget-usd must be a number above zero", 2),
        (["run", "x", "--budget-tokens", "0", *SCRIPTED], "--budget-tokens must be a whole number", 2),
        (["run", "x", "--permission-mode", "paln", *SCRIPTED], "did you mean 'plan'?", 2),
        (["run", "x", "--network", "opne", *SCRIPTED], "did you mean 'open'?", 2),
        (["run", "x", "--network", "https://a.org/", *SCRIPTED], "a URL; list the host alone, 'a.org'", 2),
        (["run", "x", "--network", "a.org,none", *SCRIPTED], "--network has 'none' in a list of hosts", 2),
        (["run", "x", "--network", "a.org", "--network", "*", *SCRIPTED], "which is every host", 2),
        (["run", "x", "--resume", "yesterday", *SCRIPTED], "--resume must be a session id", 2),
        (["run", "x", "--env", "NAME", *SCRIPTED], "--env takes NAME=VALUE, not 'NAME'", 2),
        (["run", "x", "--env", "a-b=1", *SCRIPTED], "--env has 'a-b'", 2),
        (["run", "x", "--secret-env", "NOT_SET", *SCRIPTED], "--secret-env NOT_SET: no such variable", 2),
        (["run", "x", "--api", "scirpt:demo"], "did you mean 'script'?", 2),
        (["run", "x", "--api", "script:dmeo"], "no script is named 'dmeo' (shipped: demo); did you mean", 2),
        (["run", "x", "--api", "script:/not/there.yaml"], "can't read the script /not/there.yaml", 2),
        (["run", "x", "-m", "local"], "no token found", 4),
        (["run", "x", "--tiemout", "3"], "--timeout", 2),
        (["rnu"], "Did you mean 'run'?", 2),
        (["attach", "nothing"], "no run has the id 'nothing'; `ccnb runs` lists them", 2),
        (["show", "nothing"], "no run has the id 'nothing'", 2),
        (["shell", "nothing"], "no run has the id 'nothing'", 2),
        (["runs", "rm", "nothing"], "no run has the id 'nothing'", 2),
        (["runs", "rm"], "name runs, or give one of --older-than and --all-finished", 2),
        (["runs", "rm", "--older-than", "yesterday"], "--older-than must be a time such as", 2),
        (["sweep", "--older-than", "7x"], "--older-than must be a time such as", 2),
        (["demo", "-m", "mars"], "unknown mode 'mars'", 2),
        (["image", "build", "--engine", "dcoker"], "did you mean 'docker'?", 2),
        (["image", "build", "--extra-ca", "/not/there.pem"], "can't be read (No such file", 3),
    ],
)
def test_one_sentence_and_nothing_left(cli, home, arguments, words, code):
    done = cli(*arguments)
    assert_complaint(done, words, code)
    assert Store(home).runs() == []
    assert list(home.glob("runs/*")) == []


def test_a_script_with_a_mistake_names_its_line(cli, home, tmp_path):
    script = tmp_path / "seven.yaml"
    script.write_text(MISTAKE)
    done = cli("run", "x", "--api", f"script:{script}")
    assert_complaint(done, "seven.yaml, line 7: unknown key 'sya' in a turn; did you mean 'say'?", 2)
    assert Store(home).runs() == []


STARTS = {"docker": "start Docker Desktop", "podman": "`podman machine start`"}
VARIABLES = {"docker": "DOCKER_HOST", "podman": "CONTAINER_HOST"}
both_engines = pytest.mark.parametrize("engine", ["docker", "podman"])


@both_engines
@pytest.mark.parametrize("arguments", [["run", "x", "-m", "{}", *SCRIPTED], ["demo", "-m", "{}"]])
def test_no_engine(cli, home, engine, arguments):
    done = cli(*(word.format(engine) for word in arguments), **{VARIABLES[engine]: DEAD})
    assert_complaint(done, f"no {engine} engine answers; tried {DEAD} ({VARIABLES[engine]})", 3)
    assert STARTS[engine] in done.err
    assert_nothing_goes_on(home)


@both_engines
def test_no_engine_to_build_with(cli, engine):
    done = cli("image", "build", "--engine", engine, **{VARIABLES[engine]: DEAD})
    assert_complaint(done, f"no {engine} engine answers", 3)
    assert STARTS[engine] in done.err


def test_an_image_that_is_not_there(cli, home, places, engine_mode):
    done = cli("run", "x", "-m", engine_mode, "--image", "nobody/nothing:0", *SCRIPTED)
    assert_complaint(done, "image 'nobody/nothing:0' isn't on this engine", 3)
    assert "check its name" in done.err
    assert_nothing_goes_on(home)
    assert places(engine_mode) == []


def test_a_short_secret_is_not_told(cli):
    done = cli("run", "x", "--secret-env", "SHORT", *SCRIPTED, SHORT="abc12")
    assert_complaint(done, "a secret of 5 characters can't be kept out of outputs", 2)
    assert "abc12" not in done.err


def test_a_secret_on_the_command_line_is_refused_and_not_told(cli):
    done = cli("run", "x", "--secret-env", "TOKEN=hunter2hunter2", *SCRIPTED)
    assert_complaint(done, "--secret-env takes a name alone", 2)
    assert "hunter2" not in done.err


@pytest.mark.parametrize("where", ["a file", "a folder that can't be made"])
def test_a_store_that_cannot_be_used(cli, tmp_path, where):
    (tmp_path / "file").touch()
    done = cli("runs", CCNB_HOME=str(tmp_path / "file" / ("" if where == "a file" else "below")))
    assert_complaint(done, "set CCNB_HOME to another", 3)


def assert_complaint(done, words, code):
    """See that there is one sentence, on standard error, with a next action, and no traceback."""
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert words in line
    assert re.search(r"; |: |\?|\(see `", line), "no next action"
    assert "Traceback" not in done.err
    assert done.code == code


def assert_nothing_goes_on(home):
    """See that the run, of which a record is kept, has ended, and holds nothing."""
    for row in Store(home).runs():
        assert row.state == "done"
        assert row.outcome == "infrastructure"
        assert Store(home).place(row.run_id) is None
