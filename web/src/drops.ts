/** What drops are called, for files that came through one. Each is asked for once. */

import { type Signal, signal } from "@preact/signals";
import { type Api, Problem } from "./api";
import { t } from "./i18n";

export class Drops {
  private readonly titles = new Map<string, Signal<string | null>>();

  constructor(private readonly api: Api) {}

  /** In words. Reading it follows it, until its title is known. */
  title(id: string): string {
    const title = (this.titles.get(id) ?? this.ask(id)).value;
    return title === null ? t("row.a_drop") : t("row.drop", { title });
  }

  private ask(id: string): Signal<string | null> {
    const title: Signal<string | null> = signal(null);
    this.titles.set(id, title);
    this.api.drop(id).then(
      (drop) => (title.value = drop.title),
      (error: unknown) => {
        // One that has ended tells its title to nobody. Whatever else failed is asked once more another time.
        if (!(error instanceof Problem && error.code === "drop_not_found")) this.titles.delete(id);
      },
    );
    return title;
  }
}
