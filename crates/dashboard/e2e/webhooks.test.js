// The panel of the webhooks, with an endpoint that fails, works, and is gone.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";

import { faults, until, visit } from "./browser.js";
import { standalone } from "./relay.js";

describe("webhooks", () => {
  let status = 500;
  const endpoint = createServer((request, response) => {
    request.resume();
    response.writeHead(status).end();
  });
  let relay;
  let page;

  before(async () => {
    await new Promise((resolve) => { endpoint.listen(0, "127.0.0.1", resolve); });
    const url = `http://127.0.0.1:${endpoint.address().port}/hook/path-s3cret`;
    relay = await standalone({
      WEBHOOKS__SHOP__URL: url, WEBHOOKS__SHOP__EVENTS: "block.*", WEBHOOKS__SHOP__SECRET: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    }).start();
    page = await visit(relay.url);
  });

  after(async () => {
    assert.deepEqual(faults(page), []);
    await page.context().close();
    await relay.stop();
    endpoint.closeAllConnections();
    endpoint.close();
  });

  test("it shows the state of an endpoint, what waits, and why", async () => {
    const row = page.locator("#webhooks tbody tr");
    const says = (what, words) => until(what, async () => (await row.allInnerTexts()).some((text) => words.test(text)));
    const cells = () => row.locator("td").allInnerTexts();
    await relay.post("/dev/mine", { blocks: 3 });
    await says("a failure", /failing[\s\S]*status 500/);
    await until("the events that wait", async () => Number((await cells())[2]) >= 3);
    assert.ok(!(await page.locator("#webhooks").innerHTML()).includes("s3cret"));

    status = 204;
    await relay.post("/webhooks/shop/enable", {});
    await says("the deliveries", /active/);
    await until("nothing waits", async () => (await cells())[2] === "0" && Number((await cells())[3]) >= 3);
    assert.match((await cells())[5], /ago/);

    status = 410;
    await relay.post("/dev/mine", { blocks: 1 });
    await says("the reason", /disabled[\s\S]*status 410/);
    await until("what to do", async () => (await page.locator("#problems li").allInnerTexts()).some((text) => /shop is disabled[\s\S]*correct the endpoint/.test(text)));
  });
});
