import assert from "node:assert/strict";
import { test } from "node:test";
import { cachingFetch } from "../src/fetch.js";

const refused = () =>
  Promise.reject(new TypeError("fetch failed", { cause: Object.assign(new Error(), { code: "ECONNREFUSED" }) }));

interface Sent {
  url: string;
  body: string;
}

/** A fetch that refuses the instance; what came, in order. */
function provider(sent: Sent[]): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    sent.push({ url: request.url, body: await request.text() });
    return request.url.startsWith("http://instance") ? refused() : new Response("answer");
  };
}

test("a Request whose instance is away reaches the provider with its body", async () => {
  const sent: Sent[] = [];
  const fetch = cachingFetch({ instance: async () => new URL("http://instance/"), direct: provider(sent) });
  const url = "https://provider.example/api/v1/chat/completions?x=1";
  const answer = await fetch(new Request(url, { method: "POST", body: "{}" }));
  assert.equal(await answer.text(), "answer");
  assert.deepEqual(sent, [
    { url: "http://instance/v1/chat/completions?x=1", body: "{}" },
    { url, body: "{}" },
  ]);
  await fetch(url, { method: "POST", body: "[]" });
  assert.deepEqual(sent[2], { url, body: "[]" }, "one that was away is not asked again at once");
});

test("what fails after the instance took it is not sent twice", async () => {
  let calls = 0;
  const direct = () => {
    calls += 1;
    return Promise.reject(
      new TypeError("fetch failed", { cause: Object.assign(new Error(), { code: "ECONNRESET" }) }),
    );
  };
  const fetch = cachingFetch({ instance: async () => new URL("http://instance/"), direct });
  await assert.rejects(fetch("https://provider.example/v1/messages", { method: "POST", body: "{}" }), /fetch failed/);
  assert.equal(calls, 1);
});

test("only endpoints, and only below the bases", async () => {
  const sent: Sent[] = [];
  const direct: typeof fetch = async (input) => {
    sent.push({ url: String(input), body: "" });
    return new Response();
  };
  const bases = ["https://provider.example/v1"];
  const fetch = cachingFetch({ instance: async () => new URL("http://instance/prefix/"), direct, bases });
  for (const path of ["/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/v2/messages", "/v1/x/messages"]) {
    await fetch(`https://provider.example${path}`);
  }
  assert.deepEqual(
    sent.map((one) => one.url),
    [
      "http://instance/prefix/v1/messages",
      "http://instance/prefix/v1/messages/count_tokens",
      "https://provider.example/v1/models",
      "https://provider.example/v2/messages",
      "https://provider.example/v1/x/messages",
    ],
  );
});
