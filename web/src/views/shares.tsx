/** The owner's shares. */

import type { Api } from "../api";

export function Shares({ api }: { api: Api }) {
  return <h1>Shares {api.bearer.length > 0}</h1>;
}
