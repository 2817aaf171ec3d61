/** The owner's drops. */

import type { Api } from "../api";

export function Drops({ api }: { api: Api }) {
  return <h1>Drops {api.bearer.length > 0}</h1>;
}
