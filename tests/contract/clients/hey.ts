// A whole upload by what @hey-api/openapi-ts makes of docs/openapi.json.
import { createClient } from "./generated/hey/client/index.js";
import { client } from "./generated/hey/client.gen.js";
import {
  changeFile, completeFile, createCapability, createDrop, createFile, deleteDrop, deleteFile, digestBody, getContent,
  getDrop, getEvents, getFile, getHealth, listDrops, listFiles, listParts, putSmallFile,
} from "./generated/hey/sdk.gen.js";
import { api, bytes, capability, check, put, sha256, stream, token } from "./journey.js";

client.setConfig({ baseUrl: api, auth: () => token });
const streams = createClient({ baseUrl: stream });

check((await getHealth({ throwOnError: true })).data.status === "ok", "healthy");

const created = (await createFile({ body: { filename: "hey.bin", size: bytes.length }, throwOnError: true })).data;
const path = { id: created.id };
await put(created.parts[0]!);
const left = (await listParts({ path, throwOnError: true })).data;
check(left.received.length === 1, "one part has arrived");
await Promise.all(left.parts.map(put));
const completed = (await completeFile({ path, throwOnError: true })).data;

const events = await getEvents({ client: streams, path, query: { capability: capability(completed.links.events) } });
let last: unknown;
for await (const data of events.stream) last = data;
check((last as { status: string }).status === "ready", `ready, not ${JSON.stringify(last)}`);

const file = (await getFile({ path, throwOnError: true })).data;
check(file.digests["sha-256"] === sha256(bytes), "the digest is that of the bytes");
const query = { capability: capability(file.links.content) };
const content = (await getContent({ client: streams, path, query, parseAs: "blob", throwOnError: true })).data;
check(sha256(new Uint8Array(await (content as Blob).arrayBuffer())) === sha256(bytes), "the bytes come back");

const hello = new Blob(["hello"]);
const small = (await putSmallFile({ path: { filename: "small.txt" }, body: hello, throwOnError: true })).data;
check(small.size === 5, "a small file has its size");
const digested = (await digestBody({ body: hello, throwOnError: true })).data;
check(digested.digests["sha-256"] === small.digests["sha-256"], "the same bytes have the same digest");

const drop = (await createDrop({ body: { max_files: 1, expires_in: 60 }, throwOnError: true })).data;
const guest = createClient({ baseUrl: api, auth: () => drop.capability });
const guests = (await createFile({ client: guest, body: { filename: "a", size: 1 }, throwOnError: true })).data;
check(guests.links.content === undefined, "a guest has no link to the content");
const shown = (await getDrop({ path: { id: drop.id }, throwOnError: true })).data;
check("files" in shown && shown.files === 1, "the drop has one file");
const rules = (await getDrop({ client: guest, path: { id: drop.id }, throwOnError: true })).data;
check("files_left" in rules && rules.files_left === 0, "and no room for another");
check((await listDrops({ throwOnError: true })).data.items.some((one) => one.id === drop.id), "the drop is listed");
await deleteDrop({ path: { id: drop.id }, throwOnError: true });
check((await createCapability({ throwOnError: true })).data.capability !== "", "a capability needs no body");

const moved = (await changeFile({ path, body: { folder: "hey/there" }, throwOnError: true })).data;
check(moved.folder === "hey/there" && moved.filename === "hey.bin", "the file is in its folder");
const listed = (await listFiles({ query: { folder: "hey" }, throwOnError: true })).data.items;
check(listed.some((one) => one.id === file.id), "the file is listed");
await deleteFile({ path, throwOnError: true });
const gone = await getFile({ path });
check(gone.error?.code === "file_not_found", "a problem has its code");
