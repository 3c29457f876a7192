// All tests, with one browser.

import { after, before } from "node:test";

import { close, open } from "./browser.js";

before(open);
after(close);

await import("./panels.test.js");
await import("./watch.test.js");
await import("./outages.test.js");
await import("./reach.test.js");
await import("./mesh.test.js");
await import("./webhooks.test.js");
await import("./docs.test.js");
