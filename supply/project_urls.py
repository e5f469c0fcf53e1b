"""The project's URLs in the metadata of sdist and wheel, from SYNCD_PROJECT_URL: where it is hosted is not in the code."""

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "SYNCD_PROJECT_URL"


class CustomMetadataHook(MetadataHookInterface):
    """What hatchling calls while it builds."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the URLs, if the variable names the repository."""
        home = os.environ.get(VARIABLE, "").rstrip("/")
        metadata["urls"] = (
            {
                "Homepage": home,
                "Documentation": f"{home}/blob/main/docs/index.md",
                "Changelog": f"{home}/blob/main/CHANGELOG.md",
                "Source": home,
                "Issues": f"{home}/issues",
                "Security": f"{home}/security/policy",
            }
            if home
            else {}
        )
