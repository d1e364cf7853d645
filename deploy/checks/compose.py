"""Checks that what compose.yaml mounts speaks of its services, and fits its settings.

Compose itself reads none of the files that it mounts: a target that no service is, or a
variable that nobody sets, shows only when the containers run.
"""

import re
import sys
from pathlib import Path

import yaml

from settings import seconds, stop_seconds

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"

broken: list[str] = []


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        broken.append(otherwise)


def environment(service: dict) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def mounts(service: dict) -> dict[str, Path]:
    """Maps paths in the container to the files and directories of the repository."""
    parts = [volume.split(":") for volume in service.get("volumes", [])]
    return {inside: (DEPLOY / source).resolve() for source, inside, *_ in parts if source.startswith(".")}


def outside(service: dict, path: str) -> Path | None:
    """Finds the repository's file behind a path in the container."""
    for inside, file in mounts(service).items():
        if path == inside or path.startswith(inside + "/"):
            return file / path[len(inside) :].lstrip("/")
    return None


def ports(name: str, service: dict) -> set[str]:
    """Lists the ports on which a service listens, as far as this repository says."""
    published = {port.rsplit(":", 1)[-1] for port in service.get("ports", [])}
    if "build" in service:
        exposed = re.search(r"^EXPOSE (.+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
        published |= set(exposed[1].split())
    if name == "nats":
        conf = (DEPLOY / "nats/nats.conf").read_text()
        published |= set(re.findall(r"^(?:http_)?port: (\d+)$", conf, re.MULTILINE))
    if name == "postgres":
        published.add("5432")
    return published


def expect_address(address: str, services: dict, whose: str) -> None:
    host, _, port = address.partition(":")
    is_there = host in services and port in ports(host, services[host])
    expect(is_there, f"{whose}: nobody listens on {address}")


def check_mounts(name: str, service: dict) -> None:
    for inside, file in mounts(service).items():
        # Secrets apart, which are made.
        expect(file.exists(), f"{name}: {inside} is {file}, which is not there")


def check_urls(name: str, service: dict, services: dict) -> None:
    for variable, value in environment(service).items():
        url = re.fullmatch(r"\w+://([^/@]+)/?", value)
        if url:
            expect_address(url[1], services, f"{name}: {variable}")


def check_prometheus(service: dict, services: dict) -> None:
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in service["command"] if "=" in flag)
    file = outside(service, flags["config.file"])
    expect(file is not None and file.is_file(), "prometheus: its configuration is not mounted")
    config = yaml.safe_load(file.read_text())
    jobs = config["scrape_configs"] + config["alerting"]["alertmanagers"]
    targets = [target for job in jobs for group in job["static_configs"] for target in group["targets"]]
    for target in targets:
        expect_address(target, services, f"prometheus: {file.name}")
    for name, node in services.items():
        if "HOLDFAST_NODE_NAME" in environment(node):
            expect(f"{name}:9080" in targets, f"prometheus: {name} is not scraped")
    runbooks = outside(service, flags["web.user-assets"])
    expect(runbooks == REPOSITORY / "docs/runbooks", "prometheus: the runbooks are not mounted")


def check_grafana(service: dict) -> None:
    given = environment(service)
    provisioning = outside(service, "/etc/grafana/provisioning")
    expect(provisioning is not None, "grafana: nothing is provisioned")
    for file in sorted(provisioning.rglob("*.yaml")):
        for line in file.read_text().splitlines():
            for variable in re.findall(r"\$\{?(\w+)", line.split("#")[0]):
                expect(variable in given, f"grafana: {file.name} wants {variable}, which is not set")
    dashboards = outside(service, given.get("HOLDFAST_DASHBOARDS", ""))
    is_there = dashboards is not None and any(dashboards.glob("*.json"))
    expect(is_there, "grafana: HOLDFAST_DASHBOARDS has no dashboards")


def check_stop(name: str, service: dict) -> None:
    grace = seconds(service.get("stop_grace_period", "10s"))
    needed = stop_seconds(REPOSITORY / "cluster.toml")
    expect(grace > needed, f"{name}: killed after {grace} s, though it may take {needed} s to stop")


def check_volumes(name: str, service: dict) -> None:
    spool = environment(service).get("HOLDFAST_MAIL__SPOOL_DIR")
    if spool:
        volumes = [volume.split(":")[1] for volume in service["volumes"]]
        expect(spool in volumes, f"{name}: the spool is no volume, and the root is read-only")
        made = f" {spool}\n" in (REPOSITORY / "Dockerfile").read_text()
        expect(made, f"{name}: the image does not give {spool} its owner")


def main() -> int:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        check_mounts(name, service)
        check_urls(name, service, services)
        if "HOLDFAST_NODE_NAME" in environment(service):
            check_stop(name, service)
            check_volumes(name, service)
    check_prometheus(services["prometheus"], services)
    check_grafana(services["grafana"])
    for what in broken:
        print(what, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
