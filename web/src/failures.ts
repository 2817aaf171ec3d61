/** What goes wrong on a file's way to S3, besides what the API explains (api.ts) and a lost connection (patience.ts). */

/** S3 answered that it does not take it. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(`S3 refused: ${status} ${code}`);
  }
}

/** S3 got other bytes than were sent, each time. */
export class Altered extends Error {
  constructor(readonly times: number) {
    super(`altered ${times} times on the way`);
  }
}

/** The bytes on the disk are not those that were chosen, or are not there any more. */
export class Changed extends Error {}

/** Somebody gave the upload up, at another device or past this page. */
export class Withdrawn extends Error {}

/** The worker does not run. */
export class Broken extends Error {}
