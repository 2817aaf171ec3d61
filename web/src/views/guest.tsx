/** What somebody sees who was given a link. */

export function Guest({ capability }: { capability: string }) {
  return <h1>{capability.length}</h1>;
}
