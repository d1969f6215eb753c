// A receiver with Node.js and nothing else. Each event becomes a file in ./inbox, once.
// Run it: WEBHOOK_SECRET=whsec_... node receiver.mts (22.18 or later; before that, compile it)

import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { link, mkdir, open, unlink } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

type Event = {
  type: string;
  timestamp: string;
  data: { message_id: string; user_id: string; conversation_id: string; content: unknown };
};

const secret = Buffer.from((process.env.WEBHOOK_SECRET ?? "").replace(/^whsec_/, ""), "base64");
const tolerance = 300; // seconds that the clocks may differ, and that a request may be old

/** Verify a request by Standard Webhooks: the signature, then the time that it covers. */
function isGenuine(headers: IncomingHttpHeaders, body: Buffer): boolean {
  const start = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`;
  const expected = createHmac("sha256", secret).update(start).update(body).digest();
  // There may be several, one for each secret of the relay: any one that matches is enough.
  const matches = String(headers["webhook-signature"]).split(" ").some((signature: string) => {
    const [version, value] = signature.split(",");
    const given = Buffer.from(value ?? "", "base64");
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
  });
  return matches && Math.abs(Date.now() / 1000 - Number(headers["webhook-timestamp"])) <= tolerance;
}

/** Write an event down; false if it was there already. Safe against a crash at any moment. */
async function writeDown(id: string, body: Buffer): Promise<boolean> {
  const draft = `inbox/${randomUUID()}.draft`;
  const file = await open(draft, "wx");
  try {
    await file.writeFile(body);
    await file.sync();
    await link(draft, `inbox/${id}.json`); // fails if there is one: the id is the message's
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await file.close();
    await unlink(draft);
  }
}

/** Verify, write down, answer with a status. */
async function receive(request: IncomingMessage): Promise<number> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks); // the bytes as they came: the signature is over them
  if (!isGenuine(request.headers, body)) return 401;
  const isNew = await writeDown(String(request.headers["webhook-id"]), body);
  const event = JSON.parse(body.toString()) as Event;
  if (isNew && event.type.startsWith("message.")) { // relay.test comes from `relay check --connect`
    console.log(`${event.data.user_id}: ${event.data.content}`);
  }
  return 204;
}

await mkdir("inbox", { recursive: true });
const server = createServer((request, response) => {
  receive(request).then(
    (status: number) => response.writeHead(status).end(),
    () => response.writeHead(500).end(), // not written down: it comes again
  );
});
server.keepAliveTimeout = 60_000; // milliseconds that an idle connection stays open
server.listen(Number(process.env.PORT ?? "8000"), "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  console.log(`listening on http://127.0.0.1:${port}/hooks/mixin`);
});
