/** A link as a picture that a phone reads. What draws it is loaded when somebody wants to see one. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "../i18n";

const QUIET = 4; // modules of ground around it, as ISO/IEC 18004 wants

interface Drawn {
  size: number;
  path: string;
}

async function drawn(text: string): Promise<Drawn> {
  const [{ generate }, { toSvgPath }] = await Promise.all([import("lean-qr"), import("lean-qr/extras/svg")]);
  const code = generate(text);
  return { size: code.size, path: toSvgPath(code) };
}

/** `text` is a URL, which stands beside it as text. */
export function Qr({ text }: { text: string }) {
  const code = useSignal<Drawn | null>(null);
  const failed = useSignal(false);
  useEffect(() => {
    drawn(text).then(
      (made) => (code.value = made),
      () => (failed.value = true),
    );
  }, [text]);
  if (failed.value) return <p class="muted">{t("link.no_qr")}</p>;
  const { size, path } = code.value ?? { size: 0, path: "" };
  const whole = size + 2 * QUIET;
  return (
    <svg
      class="qr"
      role="img"
      aria-label={t("link.qr")}
      viewBox={`${-QUIET} ${-QUIET} ${whole} ${whole}`}
      shape-rendering="crispEdges"
    >
      <path d={path} fill="currentColor" />
    </svg>
  );
}
