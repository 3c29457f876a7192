"""Metrics, alert rules and dashboard against a real Prometheus. scripts/monitoring runs it."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import urllib.error

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from websockets.sync.client import connect

from processes import ADMIN_TOKEN, DEADLINE, Failed, Node, Relay, end_all, until
from queries import Prometheus, dashboard

OPENMETRICS = "application/openmetrics-text"
TEXT = "text/plain"
# Keys of docs/API.md.
WATCH = {
    "type": "watch",
    "scan_private_key": "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c",
    "spend_public_key": "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36",
}
# A transaction that spends an output which does not exist: the node is asked, and refuses it.
UNFUNDED = "0200000001" + "11" * 32 + "0000000000ffffffff01e8030000000000000151" + "00000000"
# Histograms, and a label, of which this scene has measured something.
MEASURED = [
    "sdk_relay_event_delay_seconds_count",
    "sdk_relay_commit_seconds_count",
    'sdk_relay_scan_seconds_count{of="mempool"}',
    'sdk_relay_scan_seconds_count{of="block"}',
    'sdk_relay_rpc_seconds_count{request="getblockchaininfo"}',
    "sdk_relay_rpc_broadcast_seconds_count",
]


def samples(families):
    return {sample.name for family in families for sample in family.samples}


def check_formats(relay):
    """Both texts are valid and have the same samples. Returns the names."""
    text = relay.metrics(TEXT)
    promtool = pathlib.Path(os.environ["PROMETHEUS_EXE"]).parent / "promtool"
    checked = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    if checked.returncode or checked.stdout or checked.stderr:
        raise Failed(f"promtool check metrics: {checked.stdout}{checked.stderr}")
    try:
        names = samples(parse_openmetrics(relay.metrics(OPENMETRICS)))
    except ValueError as error:
        raise Failed(f"the OpenMetrics text is invalid: {error}") from error
    if names != samples(parse_text(text)):
        raise Failed(f"the texts differ: {names ^ samples(parse_text(text))}")
    return names


@contextlib.contextmanager
def client(relay):
    """A WebSocket client that receives events."""
    handshake = {"type": "handshake", "client_id": "monitoring", "version": "1.0.0", "capabilities": ["notifications"]}
    with connect(f"wss://localhost:{relay.ws}", ssl=relay.context, open_timeout=DEADLINE) as socket:
        socket.send(json.dumps(handshake | {"token": ADMIN_TOKEN}))
        answer = json.loads(socket.recv(DEADLINE))
        if answer.get("status") != "accepted":
            raise Failed(f"the handshake: {answer}")
        yield socket


def act(relay, other, node):
    """Payments, blocks, clients, a watch and a broadcast: each histogram measures something."""
    with client(relay) as listening, client(relay) as watching:
        watching.send(json.dumps(WATCH))
        until("the watch", lambda: json.loads(watching.recv(DEADLINE)).get("watch_id"))
        address = json.loads(relay.ask("/config"))["silent_payment_address"]
        relay.ask("/dev/pay", {"address": address, "amount": "0.5"})
        relay.ask("/dev/mine", {"blocks": 1})
        for socket in (listening, watching):
            until("the block", lambda: "block_mined" in socket.recv(DEADLINE))
    node.mine(2)
    try:
        other.ask("/tx", {"hex": UNFUNDED})
        raise Failed("the node accepts a transaction without inputs")
    except urllib.error.HTTPError as error:
        if error.code != 422:
            raise Failed(f"POST /tx: {error.code} {error.read().decode()}") from error


def check_names(prometheus, names, title, expression):
    """Every metric of the expression is one of the relays."""
    for name, _ in prometheus.selectors(expression):
        if name != "up" and name not in names:
            raise Failed(f"{title}: there is no metric {name}: {expression}")


def check_queries(prometheus, names):
    """Every expression is valid, has no warning, names existing metrics and has series. Returns the number of them.

    An alert rule has no series while nothing is wrong, but each of its selectors has.
    """
    expressions, variables = dashboard()
    rules = prometheus.rules()
    for title, expression in expressions + rules:
        check_names(prometheus, names, title, expression)
        prometheus.query(expression)
        for _, selector in prometheus.selectors(expression):
            until(f"{title}: a series of {selector}", lambda: prometheus.query(selector))
    for title, expression in expressions:
        until(f"panel {title}: {expression}", lambda: prometheus.query(expression))
    for selector, label in variables:
        until(f"values of {label}", lambda: any(label in s for s in prometheus.ask("series", **{"match[]": selector})))
    return len(expressions), len(rules)


def check_the_check(prometheus, names):
    """Wrong names, labels, types and syntax are found."""
    for wrong in ("sdk_relay_readiness", 'sdk_relay_health{status="ill"}', "rate(sdk_relay_ready[1m])", "sum("):
        try:
            check_names(prometheus, names, "planted", wrong)
            is_found = not prometheus.query(wrong)
        except Failed:
            is_found = True
        if not is_found:
            raise Failed(f"this check accepts {wrong}")


def check(home):
    node = Node(home)
    until("the node", lambda: node.mine(3))
    relay, other = Relay(home, "alone"), Relay(home, "on-a-node", node.settings())
    for started in (relay, other):
        started.wait()
    prometheus = Prometheus(home, [relay, other])
    until("both relays are up", lambda: prometheus.query('count(up{job="sdk_relay"} == 1) == 2'))
    act(relay, other, node)
    for measured in MEASURED:
        until(f"{measured} is measured", lambda: prometheus.query(f"{measured} > 0"))
    until("the height of the node", lambda: prometheus.query("sdk_relay_node_block_height == sdk_relay_index_height"))
    names = check_formats(relay) | check_formats(other)
    panels, rules = check_queries(prometheus, names)
    check_the_check(prometheus, names)
    print(f"monitoring: {len(names)} names, {panels} expressions of the dashboard and {rules} rules", file=sys.stderr)


def main():
    # So that what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("scripts/monitoring: ended before its end"))
    with tempfile.TemporaryDirectory(prefix="sdk-relay-monitoring-") as home:
        try:
            check(home)
        except Failed as failed:
            sys.exit(f"scripts/monitoring: {failed}")
        finally:
            end_all()


main()
