/** What somebody sees who was given a link. */

export function Recipient({ capability }: { capability: string }) {
  return <h1>{capability.length}</h1>;
}
