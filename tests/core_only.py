"""The plugin record of the core's own components, without those of any other plugin.

A registry of toys needs it, because each recipe has an optimizer and a schedule.
"""

from __future__ import annotations

from ganzoo.plugin_system.discovery import discover

CORE_ONLY = [
    record
    for record in discover(environ={"GANZOO_PLUGIN_AUTOLOAD": "0"})
    if record.namespace == "ganzoo"
]
