"""Programs that the check starts on loopback addresses. All of them end with it."""

import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import time
import urllib.request

# A debug build on a machine that is busy with other tests.
DEADLINE = 60
ADMIN_TOKEN = "an-administrator-of-this-test"

running = []


class Failed(Exception):
    """What is wrong with the product, as a sentence."""


def until(what, condition):
    """The first true value of the condition. An answer that is refused or cut off counts as none."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            reason, value = "not yet", condition()
        except (OSError, http.client.HTTPException) as error:
            reason, value = error, None
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: {reason} within {DEADLINE} s")
        time.sleep(0.1)


def free_ports(number):
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [server.getsockname()[1] for server in taken]
    for server in taken:
        server.close()
    return ports


def start(log, command, settings=None):
    """Starts a program whose output goes to the file `log`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SDK_RELAY_")}
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=inherited | (settings or {}) | {"NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running.append(process)
    return process


def end_all():
    """Ends the programs in the reverse order of their start: a relay before its node."""
    for process in reversed(running):
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def fetch(url, body=None, headers=None, context=None):
    """The body of an answer. An error status raises `HTTPError`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"} | (headers or {}))
    with urllib.request.urlopen(request, timeout=DEADLINE, context=context) as answer:
        return answer.read().decode()


class Relay:
    """A relay with TLS and an administrator's token, on a development chain or with the settings of a node."""

    def __init__(self, home, name, settings=None):
        self.home = pathlib.Path(home) / name
        self.home.mkdir()
        self.ws, self.http = free_ports(2)
        self.log = self.home / "log"
        of_this = {
            "WS_URL": f"127.0.0.1:{self.ws}",
            "HTTP_URL": f"127.0.0.1:{self.http}",
            "AUTH__ADMIN_TOKEN": ADMIN_TOKEN,
        }
        settings = of_this | (settings or {"STANDALONE": "true"})
        command = [os.environ["RELAY_EXE"], "--data-dir", self.home / "data", "--tls-self-signed"]
        self.process = start(self.log, command, {f"SDK_RELAY_{key}": value for key, value in settings.items()})

    def wait(self):
        def is_ready():
            if self.process.poll() is not None:
                raise Failed(f"the relay ended: {self.log.read_text()}")
            return " ready " in self.log.read_text()

        until("the relay is ready", is_ready)
        self.certificate = self.home / "data" / "tls-self-signed.crt"
        self.context = ssl.create_default_context(cafile=str(self.certificate))

    def ask(self, path, body=None, **headers):
        return fetch(f"https://localhost:{self.http}{path}", body, headers, self.context)

    def metrics(self, accept):
        return self.ask("/metrics", accept=accept, authorization=f"Bearer {ADMIN_TOKEN}")


class Node:
    """A regtest node with ZMQ."""

    def __init__(self, home):
        data = pathlib.Path(home) / "node"
        data.mkdir()
        self.rpc, self.zmq = free_ports(2)
        topics = [f"-zmqpub{topic}=tcp://127.0.0.1:{self.zmq}" for topic in ("sequence", "rawtx", "hashblock")]
        options = ["-regtest", "-server", "-rest=1", "-listen=0", "-connect=0", "-dnsseed=0", "-disablewallet=1"]
        access = ["-rpcuser=relay", "-rpcpassword=relay", f"-rpcport={self.rpc}"]
        start(data / "log", [os.environ["BITCOIND_EXE"], f"-datadir={data}", *options, *access, *topics])

    def call(self, method, *params):
        credentials = {"authorization": "Basic cmVsYXk6cmVsYXk="}
        body = {"jsonrpc": "1.0", "id": 1, "method": method, "params": params}
        return json.loads(fetch(f"http://127.0.0.1:{self.rpc}/", body, credentials))["result"]

    def mine(self, blocks):
        return self.call("generatetodescriptor", blocks, "raw(51)#8lvh9jxk")

    def settings(self):
        return {
            "NETWORK": "regtest",
            "BITCOIN_CORE__URL": f"http://127.0.0.1:{self.rpc}",
            "BITCOIN_CORE__USER": "relay",
            "BITCOIN_CORE__PASSWORD": "relay",
            "BITCOIN_CORE__ZMQ_URL": f"tcp://127.0.0.1:{self.zmq}",
            # Its metrics exist whether it answers or not.
            "BLINDBIT__URL": "http://127.0.0.1:1",
        }
