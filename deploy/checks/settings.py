"""Reads what the files of deploy/ have to agree on with the nodes' settings."""

import re
import tomllib
from pathlib import Path

DEFAULTS = Path(__file__).resolve().parents[2] / "cluster.toml"
# What a node allows itself for closing up, besides its timeouts.
STOP_MARGIN_S = 1.0
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(duration: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(ms|s|m|h)", duration).groups()
    return float(number) * UNITS_S[unit]


def stop_seconds(file: Path) -> float:
    """Tells how long a node with these settings takes at most from SIGTERM to its end."""
    timeouts = tomllib.loads(DEFAULTS.read_text())["timeouts"]
    timeouts |= tomllib.loads(file.read_text()).get("timeouts", {})
    return seconds(timeouts["drain_notice"]) + seconds(timeouts["drain"]) + STOP_MARGIN_S
