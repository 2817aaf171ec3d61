// A whole upload by openapi-fetch with the types that openapi-typescript makes of docs/openapi.json.
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/types.js";
import { api, bytes, capability, check, put, sha256, stream, token } from "./journey.js";

type FileInfo = components["schemas"]["FileInfo"];
// With parameters of its own: nothing that the server fills in has to be said.
const wanted: components["schemas"]["CreateFile"] = { filename: "fetch.bin", size: bytes.length };

const client = createClient<paths>({ baseUrl: api, headers: { Authorization: `Bearer ${token}` } });
const streams = createClient<paths>({ baseUrl: stream });

function told<T>(answer: { data?: T; error?: components["schemas"]["Problem"] }): T {
  check(answer.data !== undefined, answer.error?.detail ?? "no answer");
  return answer.data;
}

const created = told(await client.POST("/files", { body: wanted }));
await Promise.all(created.parts.map(put));
const params = { path: { id: created.id } };
const completed: FileInfo = told(await client.POST("/files/{id}/complete", { params }));

const query = { capability: capability(completed.links.events) };
const events = told(await streams.GET("/files/{id}/events", { params: { ...params, query }, parseAs: "text" }));
check(events.includes("event: ready"), events);

const file = told(await client.GET("/files/{id}", { params }));
const reading = { ...params, query: { capability: capability(file.links.content) } };
const content = told(await streams.GET("/files/{id}/content", { params: reading, parseAs: "arrayBuffer" }));
check(sha256(new Uint8Array(content)) === sha256(bytes), "the bytes come back");

const small = await client.PUT("/files/{filename}", {
  params: { path: { filename: "small.txt" } },
  body: "hello",
  bodySerializer: (body) => body,
  headers: { "Content-Type": "text/plain" },
});
check(told(small).content_type === "text/plain", "a small file keeps its type");

check((await client.DELETE("/files/{id}", { params })).response.status === 204, "deleted");
const gone = await client.GET("/files/{id}", { params });
check(gone.error?.code === "file_not_found", "a problem has its code");
