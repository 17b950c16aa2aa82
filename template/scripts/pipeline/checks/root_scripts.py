"""What Octopus would do with the files at a package's root: run others than ours, or change ours.

It looks for a script by its stem in any case and takes one of several languages (Calamari,
PackagedScriptRunner.cs, ScriptSyntaxHelper.cs), and evaluates `#{...}` in the source of a script
it runs from a package. Files in folders, and modules that a script imports, are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..core.names import DEPLOY_SCRIPT

_SCRIPTS = (".sh", ".py", ".csx", ".ps1")
_STAGES = ("predeploy", "deploy", "postdeploy", "deployfailed")


def script_reasons(scripts: Mapping[str, bytes]) -> list[str]:
    """Return what is wrong with the scripts at the root that Octopus would run, by their names."""
    reasons = []
    for name, source in sorted(scripts.items()):
        if name != DEPLOY_SCRIPT:
            how = "instead of" if name.lower().startswith("deploy.") else "beside"
            reasons.append(
                f"Octopus would run {name}, at the package's root, {how} {DEPLOY_SCRIPT}: "
                "give it another name or a folder of its own in the nuspec"
            )
        if found := re.search(rb"#\{[^\n]{0,40}", source):
            line = source.count(b"\n", 0, found.start()) + 1
            text = found[0].partition(b"}")[0].decode("utf-8", "replace")
            reasons.append(
                f"{name}:{line} holds {text}}}: Octopus replaces that in a script before it runs "
                "it; read the variable there with get_octopusvariable"
            )
    if DEPLOY_SCRIPT not in scripts:
        reasons.append(
            f"there is no {DEPLOY_SCRIPT} at the package's root for Octopus to run: "
            'keep <file src="$stage$/**" target="" /> in the nuspec'
        )
    return reasons


def is_stage(name: str) -> bool:
    """Tell whether Octopus runs a file of that name when it lies at a package's root."""
    stem, dot, extension = name.lower().rpartition(".")
    return stem in _STAGES and f"{dot}{extension}" in _SCRIPTS
