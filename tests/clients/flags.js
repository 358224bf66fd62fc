// Feature flags through OpenFeature's own SDKs and OFREP providers: flags.js BASE_URL; one line "ok NAME" a case.
const assert = require("assert");
const server = require("@openfeature/server-sdk");
const { OFREPProvider } = require("@openfeature/ofrep-provider");
const web = require("@openfeature/web-sdk");
const { OFREPWebProvider } = require("@openfeature/ofrep-web-provider");

const base = process.argv[2];
const onOff = { on: true, off: false };
const flags = {
  plain: { state: "ENABLED", variants: onOff, defaultVariant: "on", metadata: { team: "shop" } },
  text: { state: "ENABLED", variants: { red: "#f00", blue: "#00f" }, defaultVariant: "blue" },
  number: { state: "ENABLED", variants: { one: 1, half: 0.5 }, defaultVariant: "half" },
  object: { state: "ENABLED", variants: { a: { deep: [1, { b: null }] } }, defaultVariant: "a" },
  "a b:c": { state: "ENABLED", variants: onOff, defaultVariant: "on" },
  disabled: { state: "DISABLED", variants: onOff, defaultVariant: "on" },
  targeted: {
    state: "ENABLED", variants: onOff, defaultVariant: "off",
    targeting: { if: [{ ends_with: [{ var: "email" }, "@example.com"] }, "on", null] },
  },
  split: {
    state: "ENABLED", variants: { a: "a", b: "b" }, defaultVariant: "a",
    targeting: { fractional: [["a", 50], ["b", 50]] },
  },
};

async function put(key, flag) {
  const answer = await fetch(`${base}/v1/flags/${encodeURIComponent(key)}`, {
    method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(flag),
  });
  assert.ok(answer.status === 200 || answer.status === 201, `${key}: ${answer.status} ${await answer.text()}`);
}

async function check(name, body) {
  await body();
  console.log(`ok ${name}`);
}

async function checkServer() {
  await server.OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: base }));
  const client = server.OpenFeature.getClient();
  await check("server boolean", async () => {
    const found = await client.getBooleanDetails("plain", false);
    assert.deepStrictEqual([found.value, found.variant, found.reason], [true, "on", "STATIC"]);
    assert.deepStrictEqual(found.flagMetadata, { team: "shop" });
  });
  await check("server string", async () => assert.strictEqual(await client.getStringValue("text", "-"), "#00f"));
  await check("server number", async () => assert.strictEqual(await client.getNumberValue("number", 7), 0.5));
  await check("server object", async () =>
    assert.deepStrictEqual(await client.getObjectValue("object", {}), { deep: [1, { b: null }] }));
  await check("server key with a space", async () => assert.strictEqual(await client.getBooleanValue("a b:c", false), true));
  await check("server targeting", async () => {
    const match = await client.getBooleanDetails("targeted", false, { email: "ann@example.com" });
    assert.deepStrictEqual([match.value, match.reason], [true, "TARGETING_MATCH"]);
    const other = await client.getBooleanDetails("targeted", true, { email: "ann@example.org" });
    assert.deepStrictEqual([other.value, other.reason], [false, "DEFAULT"]);
  });
  await check("server fractional is sticky and splits", async () => {
    const seen = new Set();
    for (let i = 0; i < 40; i++) {
      const context = { targetingKey: `user-${i}` };
      const first = await client.getStringDetails("split", "-", context);
      assert.strictEqual(first.reason, "SPLIT");
      assert.strictEqual(await client.getStringValue("split", "-", context), first.value);
      seen.add(first.value);
    }
    assert.deepStrictEqual([...seen].sort(), ["a", "b"]);
  });
  await check("server targeting key missing", async () => {
    const found = await client.getStringDetails("split", "mine");
    assert.deepStrictEqual([found.value, found.errorCode], ["mine", "TARGETING_KEY_MISSING"]);
  });
  await check("server flag not found", async () => {
    const found = await client.getBooleanDetails("nowhere", true);
    assert.deepStrictEqual([found.value, found.errorCode], [true, "FLAG_NOT_FOUND"]);
  });
  await check("server type mismatch", async () => {
    const found = await client.getStringDetails("plain", "mine");
    assert.deepStrictEqual([found.value, found.errorCode], ["mine", "TYPE_MISMATCH"]);
  });
  await check("server disabled gives the caller's default", async () => {
    assert.strictEqual(await client.getBooleanValue("disabled", true), true);
    assert.strictEqual(await client.getBooleanValue("disabled", false), false);
  });
}

function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("timed out")), milliseconds); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function checkWeb() {
  const statuses = [];
  const fetchImplementation = async (...args) => {
    const answer = await fetch(...args);
    statuses.push(answer.status);
    return answer;
  };
  await web.OpenFeature.setContext({ targetingKey: "user-1", email: "ann@example.com" });
  await web.OpenFeature.setProviderAndWait(
    new OFREPWebProvider({ baseUrl: base, pollInterval: 100, changeDetection: "polling", fetchImplementation }));
  const client = web.OpenFeature.getClient();
  await check("web values from the bulk answer", async () => {
    assert.strictEqual(client.getBooleanValue("plain", false), true);
    assert.strictEqual(client.getStringValue("text", "-"), "#00f");
    assert.strictEqual(client.getNumberValue("number", 7), 0.5);
    assert.strictEqual(client.getBooleanValue("targeted", false), true);
    assert.strictEqual(client.getBooleanDetails("nowhere", true).errorCode, "FLAG_NOT_FOUND");
    assert.strictEqual(client.getBooleanValue("disabled", true), true);
  });
  await check("web polls are answered 304", () => within(20000, (async () => {
    while (!statuses.includes(304)) {
      await new Promise((next) => setTimeout(next, 20));
    }
  })()));
  await check("web change event after a PUT", async () => {
    const changed = new Promise((tell) => client.addHandler(web.ProviderEvents.ConfigurationChanged, tell));
    await put("text", { ...flags.text, defaultVariant: "red" });
    await within(20000, changed);
    assert.strictEqual(client.getStringValue("text", "-"), "#f00");
  });
  await check("web context change", async () => {
    await web.OpenFeature.setContext({ targetingKey: "user-1", email: "ann@example.org" });
    assert.strictEqual(client.getBooleanValue("targeted", true), false);
  });
  await web.OpenFeature.close();
}

(async () => {
  for (const [key, flag] of Object.entries(flags)) {
    await put(key, flag);
  }
  await checkServer();
  await checkWeb();
  await server.OpenFeature.close();
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
