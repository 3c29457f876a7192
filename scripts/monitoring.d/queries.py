"""Prometheus, and the expressions that it is asked for."""

import json
import os
import pathlib
import re
import subprocess
import urllib.error
import urllib.parse

from processes import ADMIN_TOKEN, Failed, fetch, free_ports, start, until

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"
SCRAPE = DEPLOY / "prometheus" / "scrape.yml"
RULES = DEPLOY / "prometheus" / "sdk_relay.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "sdk_relay.json"
# What Grafana puts in. The relays are scraped every second.
VARIABLES = {"$__rate_interval": "1m", "$job": ".+", "$instance": ".+"}


class Prometheus:
    """A Prometheus with the delivered scrape job and rules."""

    def __init__(self, home, relays):
        self.home = pathlib.Path(home) / "prometheus"
        self.home.mkdir()
        (self.home / RULES.name).write_text(RULES.read_text())
        (self.home / "token").write_text(ADMIN_TOKEN)
        (self.home / "relays.crt").write_text("".join(relay.certificate.read_text() for relay in relays))
        config = self.home / "prometheus.yml"
        config.write_text(configuration(SCRAPE.read_text(), self.home, relays))
        promtool = pathlib.Path(os.environ["PROMETHEUS_EXE"]).parent / "promtool"
        subprocess.run([promtool, "check", "config", config], check=True, stdout=subprocess.DEVNULL)
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        data = f"--storage.tsdb.path={self.home / 'data'}"
        listen = f"--web.listen-address=127.0.0.1:{port}"
        self.log = self.home / "log"
        start(self.log, [os.environ["PROMETHEUS_EXE"], f"--config.file={config}", data, listen, "--log.level=warn"])
        until("Prometheus is ready", lambda: fetch(f"{self.url}/-/ready"))

    def ask(self, path, **parameters):
        """The data of an answer of the API. An error, a warning or a note fails."""
        try:
            answer = json.loads(fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))
        except urllib.error.HTTPError as error:
            raise Failed(f"{path} {parameters}: {error.read().decode()}") from error
        for notes in ("warnings", "infos"):
            if answer.get(notes):
                raise Failed(f"{parameters}: {answer[notes]}")
        return answer["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]

    def rules(self):
        """Name and expression of each rule. One that cannot be evaluated fails."""
        (group,) = self.ask("rules")["groups"]
        for rule in group["rules"]:
            if rule["health"] == "err":
                raise Failed(f"{rule['name']}: {rule['lastError']}")
        return [(rule["name"], rule["query"]) for rule in group["rules"]]

    def selectors(self, expression):
        """Name and matchers of each selector of an expression."""
        found = []

        def walk(node):
            if isinstance(node, dict):
                if node.get("type") in ("vectorSelector", "matrixSelector"):
                    matchers = [f"{m['name']}{m['type']}{json.dumps(m['value'])}" for m in node["matchers"]]
                    # The name is among the matchers.
                    found.append((node["name"], "{" + ",".join(matchers) + "}"))
                for value in node.values():
                    walk(value)
            elif isinstance(node, list):
                for value in node:
                    walk(value)

        walk(self.ask("parse_query", query=expression))
        return found


def configuration(example, home, relays):
    """The delivered scrape job with its comments in force, for these relays."""
    options = r"(authorization:|  credentials_file:|scheme:|tls_config:|  ca_file:|  server_name:)"
    text, switched = re.subn(rf"^    # {options}", r"    \1", example, flags=re.MULTILINE)
    # The explanations between the options are comments in either case.
    values = {
        "scrape_interval: 15s": "scrape_interval: 1s",
        '["127.0.0.1:8091"]': json.dumps([f"127.0.0.1:{relay.http}" for relay in relays]),
        "/etc/prometheus/sdk_relay.token": str(home / "token"),
        "/etc/prometheus/sdk_relay.crt": str(home / "relays.crt"),
        "relay.example.com": "localhost",
    }
    missing = [old for old in values if old not in text]
    if switched != 6 or missing:
        raise Failed(f"{SCRAPE.name}: {switched} options of 6, and without {missing}")
    for old, new in values.items():
        text = text.replace(old, new)
    # Rules are evaluated as often as the relays are scraped.
    return "global: { evaluation_interval: 1s }\n" + text


def substituted(expression):
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    if "$" in expression:
        raise Failed(f"a variable that Grafana does not have: {expression}")
    return expression


def dashboard():
    """The panels, each with its expressions, and the metrics of its variables."""
    board = json.loads(DASHBOARD.read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) != len(ids):
        raise Failed("two panels have one id")
    for panel in panels:
        defaults = panel["fieldConfig"]["defaults"]
        sources = {source["uid"] for source in (panel["datasource"], *(t["datasource"] for t in panel["targets"]))}
        if not panel.get("description") or not defaults.get("unit") or sources != {"${datasource}"}:
            raise Failed(f"panel {panel['title']}: it lacks a description, a unit or the variable of the data source")
    expressions = [(panel["title"], substituted(t["expr"])) for panel in panels for t in panel["targets"]]
    variables = [v["definition"] for v in board["templating"]["list"] if v["type"] == "query"]
    labels = [re.fullmatch(r"label_values\((.+), (\w+)\)", definition).groups() for definition in variables]
    return expressions, [(substituted(selector), label) for selector, label in labels]
