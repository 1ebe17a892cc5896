"""From a registration to the source that answers its run."""

from __future__ import annotations

from pathlib import Path

from ccnb.gateway import cassette, registration
from ccnb.gateway.forward import ForwardSource, Vault
from ccnb.gateway.matching import Paths
from ccnb.gateway.record import RecordSource
from ccnb.gateway.registration import Registration
from ccnb.gateway.replay import ReplaySource
from ccnb.gateway.script import load_script
from ccnb.gateway.sources import ScriptSource, Source
from ccnb.redact import Redactor


def open_source(known: Registration, folder: Path, vault: Vault) -> Source:
    """Open the source that a registration names; `folder` is the run's.

    Raises
    ------
    CassetteError, ScriptError, SpecError
        It can't be read.
    """
    kind, name = registration.split_api(known.api)
    if kind == "script":
        return ScriptSource(load_script(name), known.run_id, known.workspace)
    # What a person gave the place as a secret must not be written down here either.
    secrets = [known.key, *(registration.read_json(folder / "secrets") or {}).values()]
    paths = Paths(known.workspace, known.run_folder)
    if kind == "replay":
        file, slow = cassette.split_pace(name)
        return ReplaySource(cassette.load(file), paths, Redactor(secrets), in_original_time=slow)
    forward = ForwardSource(known.run_id, vault, secrets)
    return RecordSource(forward, cassette.Writer(Path(name)), paths) if kind == "record" else forward
