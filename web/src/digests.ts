/** The digests of a file as people read them. */

const FIRST = "sha-256"; // what people compare

/** Name and value of each, the SHA-256 first. */
export function digestsOf({ digests }: { digests: Record<string, string> }): [name: string, hex: string][] {
  return Object.entries(digests)
    .sort(([one], [other]) => Number(other === FIRST) - Number(one === FIRST))
    .map(([name, hex]) => [name.toUpperCase(), hex]);
}
