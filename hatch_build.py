"""Hatchling's way to the web app: before a wheel, an editable install or an sdist is made, `web_build.py` runs."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))

import web_build


class WebAppBuildHook(BuildHookInterface[Any]):
    """Builds the web app into the package when its sources have changed."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the plugin's signature
        """Build, or stop the whole build with a sentence that says what to do."""
        try:
            self.app.display_info(web_build.build(Path(self.root)))
        except web_build.WebBuildError as error:
            self.app.abort(str(error))
