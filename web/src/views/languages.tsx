/** The choice of a language, each in its own words. */

import { choose, language, languages, missing, t } from "../i18n";

export function Languages() {
  return (
    <>
      <label class="languages">
        <span class="unseen">{t("app.language")}</span>
        <select value={language.value} onChange={(event) => void change(event.currentTarget)}>
          {languages.map((code) => (
            <option key={code} value={code} lang={code}>
              {nameOf(code, code)}
            </option>
          ))}
        </select>
      </label>
      {missing.value !== null && (
        <p class="notice" role="alert">
          {t("app.no_language", {
            wanted: nameOf(missing.value, language.value),
            spoken: nameOf(language.value, language.value),
          })}
        </p>
      )}
    </>
  );
}

async function change(field: HTMLSelectElement): Promise<void> {
  await choose(field.value);
  field.value = language.value; // one that could not be loaded is not spoken
}

function nameOf(code: string, inLanguage: string): string {
  return new Intl.DisplayNames([inLanguage], { type: "language" }).of(code) ?? code;
}
