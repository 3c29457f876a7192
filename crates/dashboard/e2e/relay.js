// Relays and nodes as processes. Each ends with `stop`, and all with this program.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

// A debug build on a machine that is busy with other tests.
const START_WITHIN_MS = 60000;

const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

export function folder() {
  const path = mkdtempSync(join(tmpdir(), "dashboard-"));
  process.on("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
}

// A program, once its output matches `ready`.
async function start(exe, args, env, ready) {
  const child = spawn(exe, args, { env: { ...process.env, NO_COLOR: "1", ...env }, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  const ended = new Promise((resolve) => { child.once("exit", () => { running.delete(child); resolve(); }); });
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${exe} is not ready: ${output}`)), START_WITHIN_MS);
    const read = (data) => {
      // What follows is not needed, and there may be much of it.
      if (output.length < 100000) output += data;
      if (ready.test(output)) { clearTimeout(timer); resolve(); }
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    ended.then(() => { clearTimeout(timer); reject(new Error(`${exe} ended: ${output}`)); });
  });
  return { child, stop: async () => { child.kill("SIGTERM"); await ended; } };
}

// A relay with these settings (names of environment variables without their prefix), on ports that it keeps.
export class Relay {
  constructor(settings, args = []) {
    this.settings = settings;
    this.args = args;
    this.data = folder();
  }

  async start({ ready = / ready / } = {}) {
    this.http ??= await freePort();
    this.ws ??= await freePort();
    const env = { SDK_RELAY_WS_URL: `127.0.0.1:${this.ws}`, SDK_RELAY_HTTP_URL: `127.0.0.1:${this.http}` };
    for (const [name, value] of Object.entries(this.settings)) env[`SDK_RELAY_${name}`] = value;
    this.process = await start(process.env.RELAY_EXE, ["--data-dir", this.data, ...this.args], env, ready);
    this.url = `http://127.0.0.1:${this.http}`;
    return this;
  }

  async stop() {
    await this.process?.stop();
    this.process = undefined;
  }

  async get(path, headers = {}) {
    const response = await fetch(this.url + path, { headers });
    return response.json();
  }

  async post(path, body) {
    const response = await fetch(this.url + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
    return response.json();
  }
}

export const standalone = (settings = {}) => new Relay(settings, ["--standalone"]);

// A regtest node, for what the development chain does not have: a mesh.
export class Node {
  async start() {
    const data = folder();
    this.rpc = await freePort();
    this.zmq = await freePort();
    const args = [`-datadir=${data}`, "-regtest", "-server", "-listen=0", "-dnsseed=0", "-fallbackfee=0.0001", `-rpcport=${this.rpc}`,
      "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1", "-rpcuser=relay", "-rpcpassword=relay", "-printtoconsole", ...["sequence", "rawtx", "hashblock"].map((topic) => `-zmqpub${topic}=tcp://127.0.0.1:${this.zmq}`)];
    this.process = await start(process.env.BITCOIND_EXE, args, {}, /init message: Done loading/);
    return this;
  }

  // Settings of a relay on this node.
  settings() {
    return {
      NETWORK: "regtest", BITCOIN_CORE__URL: `http://127.0.0.1:${this.rpc}`, BITCOIN_CORE__USER: "relay", BITCOIN_CORE__PASSWORD: "relay",
      BITCOIN_CORE__ZMQ_URL: `tcp://127.0.0.1:${this.zmq}`,
    };
  }

  async call(method, params = [], wallet = "") {
    const headers = { authorization: `Basic ${Buffer.from("relay:relay").toString("base64")}`, "content-type": "application/json" };
    const body = JSON.stringify({ jsonrpc: "1.0", id: 1, method, params });
    const response = await fetch(`http://127.0.0.1:${this.rpc}/${wallet && `wallet/${wallet}`}`, { method: "POST", headers, body });
    const answer = await response.json();
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  }

  async stop() {
    await this.process?.stop();
  }
}
