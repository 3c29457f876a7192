// The pictures of docs/dashboard.md, from real relays. Run by `scripts/dashboard-test --screenshots`.

import { statSync, writeFileSync } from "node:fs";

import { close, open, said, until, visit } from "./browser.js";
import { Relay } from "./relay.js";
import { startMesh } from "./scene.js";

// A page of documentation must not become heavy by its pictures.
const MOST_BYTES = 150000;
const IMAGES = new URL("../../../docs/images/", import.meta.url);

// Payments and blocks as on a busy morning.
async function fill(scene) {
  const [relay] = scene.relays;
  const { silent_payment_address: address } = await relay.get("/config");
  // The wallet of the relay's configuration is watched: others pay others.
  await scene.node.call("createwallet", ["other"]);
  const other = await scene.node.call("getnewaddress", [], "other");
  for (const [amounts, spends] of [[["0.0125"], 3], [["0.3", "0.00042"], 8], [["0.0021"], 5], [[], 1], [["0.05"], 12]]) {
    for (const amount of amounts) await relay.post("/dev/pay", { address, amount });
    for (let spend = 0; spend < spends; spend++) await scene.node.call("sendtoaddress", [other, "0.01"], "faucet");
    await scene.node.call("generatetoaddress", [1, other]);
  }
  await relay.post("/dev/pay", { address, amount: "0.0042" });
}

async function picture(page, name) {
  const path = new URL(`${name}.webp`, IMAGES).pathname;
  const session = await page.context().newCDPSession(page);
  const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality: 80 });
  writeFileSync(path, Buffer.from(data, "base64"));
  const { size } = statSync(path);
  console.log(`${path}: ${size} bytes`);
  if (size > MOST_BYTES) throw new Error(`${name} has ${size} bytes: more than ${MOST_BYTES}`);
}

async function main() {
  await open();
  const scene = await startMesh();
  try {
    const [relay] = scene.relays;
    // Some clients, and samples of all that follows.
    const clients = [relay, relay, relay].map((one) => new WebSocket(`ws://127.0.0.1:${one.ws}/`));
    for (const client of clients) {
      client.onopen = () => client.send(JSON.stringify({ type: "handshake", client_id: "app", version: "1.0.0", capabilities: ["notifications"] }));
    }
    const pages = [
      ["dashboard-light", await visit(relay.url, { size: { width: 1280, height: 1830 }, motion: "reduce" })],
      ["dashboard-dark", await visit(relay.url, { size: { width: 1280, height: 1180 }, motion: "reduce", scheme: "dark" })],
      ["dashboard-phone", await visit(relay.url, { size: { width: 390, height: 1400 }, motion: "reduce", locale: "fr-FR" })],
    ];
    await fill(scene);
    for (const [name, page] of pages) {
      await until("the newest payment", async () => (await page.locator("#way tbody tr", { hasText: /0[.,]0042/ }).count()) === 1);
      await page.waitForFunction(() => document.querySelectorAll("canvas").length === 2);
      // The charts begin to say something after some samples.
      await until("samples", () => page.evaluate(() => performance.now() > 30000), 60000);
      await picture(page, name);
    }
    clients.forEach((client) => client.close());
    const broken = new Relay({
      ...scene.node.settings(), RELAY_ID: "lima", BITCOIN_CORE__PASSWORD: "wrong", MESH__PEERS: "ws://127.0.0.1:1", MESH__ALLOW_PRIVATE: "yes",
    });
    await broken.start({ ready: / listening / });
    const page = await visit(broken.url, { size: { width: 1280, height: 760 }, motion: "reduce" });
    await until("the trouble", async () => /cannot serve/.test(await said(page)));
    await until("all problems", async () => (await page.locator("#problems li").count()) === 2, 60000);
    await picture(page, "dashboard-trouble");
    await broken.stop();
  } finally {
    await scene.stop();
    await close();
  }
}

await main();
