/** Letting the browser save what a link leads to. */

// A streamed answer of Lambda is slowed down to 2 MB/s after 6 MB; S3 itself is not.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
export const STREAMED_BYTES = 6_000_000;

/** Whoever calls this has asked whether the link works: one that answers with an error takes the page's place. */
export function save(link: string): void {
  Object.assign(document.createElement("a"), { href: link, rel: "noreferrer" }).click();
}
