"""Checks that the rendered manifests fit the nodes' settings, and what scrapes the pods fits them.

The argument is what kustomize has made of deploy/kubernetes.
"""

import sys
from pathlib import Path

import yaml

from settings import stop_seconds

DEPLOY = Path(__file__).resolve().parents[1]

broken: list[str] = []


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        broken.append(otherwise)


def check_stop(pod: dict) -> None:
    grace = pod["terminationGracePeriodSeconds"]
    needed = stop_seconds(DEPLOY / "kubernetes/cluster.toml")
    expect(grace > needed, f"a pod is killed after {grace} s, though it may take {needed} s to stop")


def check_migration(pod: dict) -> None:
    node = pod["containers"][0]
    migrate = [container for container in pod["initContainers"] if container["args"][0] == "migrate"]
    expect(len(migrate) == 1, "no container migrates before the node starts")
    expect(all(it["image"] == node["image"] for it in migrate), "the release that migrates is not the node's")


def check_scraping(set_: dict, services: list[dict]) -> None:
    """The SRV records exist only for a named port of the set's headless service."""
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.kubernetes.yml").read_text())
    found = [name for found in config["scrape_configs"][0]["dns_sd_configs"] for name in found["names"]]
    service = next(it for it in services if it["metadata"]["name"] == set_["spec"]["serviceName"])
    expect(service["spec"]["clusterIP"] == "None", "the set's service is not headless")
    name, namespace = service["metadata"]["name"], service["metadata"].get("namespace", "holdfast")
    records = [f"_{port['name']}._tcp.{name}.{namespace}.svc.cluster.local" for port in service["spec"]["ports"]]
    expect(set(found) <= set(records), f"Prometheus looks for {found}; there are {records}")
    expect(all(it.startswith("_ops.") for it in found), f"{found} is not the ops listener")


def check_monitor(template: dict) -> None:
    monitor = yaml.safe_load((DEPLOY / "prometheus/podmonitor.yaml").read_text())["spec"]
    labels = template["metadata"]["labels"]
    wanted = monitor["selector"]["matchLabels"]
    expect(wanted.items() <= labels.items(), f"the monitor selects {wanted}; pods have {labels}")
    expect(labels.get(monitor["jobLabel"]) == "holdfast", "the monitor's job is not called holdfast")
    ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
    asked = {endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]}
    expect(asked <= ports, f"the monitor asks for {asked}; pods have {ports}")


def main() -> int:
    rendered = [it for it in yaml.safe_load_all(Path(sys.argv[1]).read_text()) if it]
    (set_,) = [it for it in rendered if it["kind"] == "StatefulSet"]
    template = set_["spec"]["template"]
    check_stop(template["spec"])
    check_migration(template["spec"])
    check_scraping(set_, [it for it in rendered if it["kind"] == "Service"])
    check_monitor(template)
    for what in broken:
        print(what, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
