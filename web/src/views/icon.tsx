/** Small pictures, drawn with the colour of the text around them. What they mean is said beside them. */

const PATHS = {
  image: "M4 5h16v14H4zM4 16l4.500-4.500 4 4 2.500-2.500 5 5M15.500 9.500h.01",
  audio:
    "M9 18V6l10-2v12M9 18a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0M19 16a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0",
  video: "M4 5h16v14H4zM10 9v6l5-3z",
  pdf: "M6 3h8l5 5v13H6zM14 3v5h5M9 13h7M9 17h7M9 9h2",
  text: "M6 3h8l5 5v13H6zM14 3v5h5M9 12h7M9 16h5",
  archive: "M4 8h16v12H4zM3 4h18v4H3zM10 12h4",
  other: "M6 3h8l5 5v13H6zM14 3v5h5",
  folder: "M3 6h6l2 2.500h10V19H3z",
  chevron: "M9 6l6 6-6 6",
  download: "M12 4v11M7 10.500l5 5 5-5M5 20h14",
  pause: "M9 5v14M15 5v14",
  resume: "M8 5l11 7-11 7z",
  cross: "M6 6l12 12M18 6L6 18",
  tick: "M5 12.500l4.500 4.500L19 7.500",
  hashed: "M9 4L7 20M17 4l-2 16M4 9h17M3 15h17",
  again: "M5 12a7 7 0 1 0 2.500-5.400M5 4v4.500h4.500",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14M16 16l5 5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      class={`icon-${name}`}
      viewBox="0 0 24 24"
      width={size}
      height={size}
      aria-hidden="true"
      fill="none"
      stroke="currentColor"
      stroke-width="1.750"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
