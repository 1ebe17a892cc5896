"""Hold mode `sandbox` to the conformance suite on this machine's own Docker sandboxes, and write a report.

    python tools/sandbox_report.py [--live] [PYTEST-OPTION...]

Saves a template whose `claude` is the suite's obedient double and runs the suite in sandboxes made from it.
With `--live` a real model is asked once, with the credential that Docker's proxy adds; it
costs a few cents. The report has versions, outcomes and messages, and no names of yours.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from ccnb.errors import CcnbError
from ccnb.mode._docker_sandbox import DockerSandbox
from ccnb.mode._sandbox_choice import chosen
from ccnb.mode._sandbox_program import SandboxProgram

ROOT = Path(__file__).resolve().parents[1]
REPORT = Path("sandbox-report.txt")
TEMPLATE = "ccnb-conformance-agent:1"
PARTS = ("modes", "attach", "choices", "forward", "budget", "credential", "hostile", "sandbox_network")
SUITE = [f"tests/conformance/test_{name}.py" for name in PARTS]
LIVE = "tests/conformance/test_sandbox_live.py"


def main(options: list[str]) -> int:
    """Run the suite and return its exit code."""
    try:
        program = chosen()
        version = program.examine()
        make_template(program)
    except CcnbError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    facts = [f"{program.name} {version}", platform.platform(), f"Python {platform.python_version()}"]
    live = "--live" in options
    arguments = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=short", "-p", "no:cacheprovider"]
    arguments += [*SUITE, *([LIVE] if live else []), "-k", "sandbox", *options]
    under_test = {"sandbox": {"image": TEMPLATE}}
    env = os.environ | {"CCNB_MODES_UNDER_TEST": json.dumps(under_test)}
    with subprocess.Popen(
        arguments, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as suite:
        lines = []
        for line in suite.stdout or ():
            sys.stdout.write(line)
            lines.append(line)
    REPORT.write_text(nameless("\n".join(facts) + "\n\n" + "".join(lines)))
    sys.stdout.write(f"\nThe report is in {REPORT}; look through it, then send it.\n")
    return suite.returncode


def make_template(program: SandboxProgram) -> None:
    """Save a sandbox as a template in which `claude` does what the suite's tests say."""
    doubles = str(ROOT / "tests" / "doubles" / "agent")
    save = ["save"] if isinstance(program, DockerSandbox) else ["template", "save"]
    with tempfile.TemporaryDirectory() as workspace:
        name = "ccnb-conformance"
        program.create(name, [workspace, doubles], image=None)
        try:
            install = (
                f"install -m 755 '{doubles}/claude' \"$(command -v claude || echo /usr/local/bin/claude)\""
            )
            for call in (["exec", "-u", "root", name, "sh", "-c", install], [*save, name, TEMPLATE]):
                program.expect(program.call(*call, looks=40), call[0])
        finally:
            program.remove(name)


def nameless(text: str) -> str:
    """Take the person's home and name out of a report."""
    return text.replace(str(Path.home()), "~").replace(f"/{getpass.getuser()}", "/USER")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
