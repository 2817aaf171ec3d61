/** What drops are called, for files that came through one. One request for most of them, and one for each that its answer lacks. */

import { type Signal, signal } from "@preact/signals";
import { type Api, Problem } from "./api";
import { t } from "./i18n";

export class Drops {
  private readonly titles = new Map<string, Signal<string | null>>();
  private listed: Promise<ReadonlyMap<string, string | null>> | null = null;

  constructor(private readonly api: Api) {}

  /** In words. Reading it follows it, until its title is known. */
  title(id: string): string {
    const title = (this.titles.get(id) ?? this.ask(id)).value;
    return title === null ? t("row.a_drop") : t("row.drop", { title });
  }

  private ask(id: string): Signal<string | null> {
    const title: Signal<string | null> = signal(null);
    this.titles.set(id, title);
    this.find(id).then(
      (found) => (title.value = found),
      (error: unknown) => {
        // One that has ended tells its title to nobody. Whatever else failed is asked once more another time.
        if (!(error instanceof Problem && error.code === "drop_not_found")) this.titles.delete(id);
      },
    );
    return title;
  }

  private async find(id: string): Promise<string | null> {
    this.listed ??= this.newest();
    const listed = await this.listed.catch((error: unknown) => {
      this.listed = null;
      throw error;
    });
    const found = listed.get(id);
    return found === undefined ? (await this.api.drop(id)).title : found;
  }

  /** Those of the first page of the list: whoever has more of them seldom meets the others. */
  private async newest(): Promise<ReadonlyMap<string, string | null>> {
    const { items } = await this.api.drops();
    return new Map(items.map(({ id, title }) => [id, title]));
  }
}
