/** The choice of a language, each in its own words. */

import { choose, language, languages, t } from "../i18n";

export function Languages() {
  return (
    <label class="languages">
      <span class="unseen">{t("app.language")}</span>
      <select value={language.value} onChange={(event) => void choose(event.currentTarget.value)}>
        {languages.map((code) => (
          <option key={code} value={code} lang={code}>
            {new Intl.DisplayNames([code], { type: "language" }).of(code)}
          </option>
        ))}
      </select>
    </label>
  );
}
