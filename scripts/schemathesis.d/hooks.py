"""What the run needs to survive its own requests: some of them change the relay that answers."""

import os
import time

import schemathesis

LOG = os.environ["RELAY_LOG"]
# A restart takes 50 ms; more on a busy machine.
BACK_WITHIN = 30.0


# How often the relay had got ready before it was asked to restart.
ready_before = 0


def times_ready():
    with open(LOG, encoding="utf-8", errors="replace") as log:
        return sum(" ready ws=" in line for line in log)


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.operation.label == "POST /restart":
        global ready_before
        ready_before = times_ready()
    # A connection that has become a WebSocket is none for the next request.
    if case.operation.label == "GET /ws":
        kwargs["hooks"] = {"response": lambda response, **_: response.connection.close()}
    # The one thing that is kept from the relay: after the next restart it would listen elsewhere, and the run would talk to nobody.
    if case.operation.label == "PUT /config" and isinstance(case.body, dict):
        for key in ("ws_url", "http_url"):
            if isinstance(case.body.get(key), str):
                case.body[key] = os.environ["SDK_RELAY_" + key.upper()]
        # A standalone relay, as this one is, has a chain that no Oracle knows.
        if isinstance(case.body.get("blindbit"), dict) and isinstance(case.body["blindbit"].get("url"), str):
            case.body["blindbit"]["url"] = ""


@schemathesis.hook
def after_call(context, case, response):
    """A restart has been answered: the next request waits until the relay serves again."""
    if case.operation.label != "POST /restart" or response.request.method != "POST" or response.status_code != 200:
        return
    end = time.monotonic() + BACK_WITHIN
    while times_ready() == ready_before:
        if time.monotonic() > end:
            raise AssertionError(f"the relay is not back {BACK_WITHIN:.0f} s after POST /restart")
        time.sleep(0.02)
