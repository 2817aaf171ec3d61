/** The shares that hold a file. */

export function HeldBy({ id }: { id: string }) {
  return <div hidden data-held-by={id} />;
}
