// A small world: a regtest node with a wallet, and three relays in a mesh.

import { until } from "./browser.js";
import { Node, Relay, freePort } from "./relay.js";

const NAMES = ["lyon", "tokyo", "oslo"];

export async function startMesh() {
  const node = await new Node().start();
  await node.call("createwallet", ["faucet"]);
  // The reward of the first block can be spent, and the logs of the relays begin after it.
  await node.call("generatetoaddress", [101, await node.call("getnewaddress", [], "faucet")]);
  const relays = [];
  const stop = async () => {
    await Promise.all(relays.map((relay) => relay.stop()));
    await node.stop();
  };
  try {
    for (const name of NAMES) {
      const relay = new Relay({
        ...node.settings(), RELAY_ID: name, DEV_MODE: "true", BITCOIN_CORE__WALLET: "faucet", MESH__ALLOW_PRIVATE: "yes",
        SYNC__INTERVAL: "1", SYNC__HEALTH_INTERVAL: "1", SYNC__METRICS_INTERVAL: "1",
      });
      relay.ws = await freePort();
      relay.settings.MESH__ADVERTISE = `ws://127.0.0.1:${relay.ws}`;
      relay.settings.MESH__PEERS = relays.map((other) => `ws://127.0.0.1:${other.ws}`).join(",");
      relays.push(await relay.start());
    }
    await until("the mesh", async () => (await relays[0].get("/relays")).healthy === NAMES.length);
  } catch (error) {
    await stop();
    throw error;
  }
  return { node, relays, stop };
}
