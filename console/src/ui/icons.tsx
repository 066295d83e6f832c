// Drawn on a 24 grid with one stroke, so that they sit beside text.
const PATHS = {
  overview: "M3 12l9-8 9 8M5 10v10h5v-6h4v6h5V10",
  services: "M12 3l8 4.5v9L12 21l-8-4.5v-9L12 3zM4 7.5l8 4.5 8-4.5M12 12v9",
  configuration: "M7 3h8l4 4v14H7a2 2 0 01-2-2V5a2 2 0 012-2zM14 3v5h5M9 13h6M9 17h4",
  proxies: "M4 5h16v6H4zM4 13h16v6H4zM7.5 8h.01M7.5 16h.01M12 8h5M12 16h5",
  graph: "M5 9.5a2.5 2.5 0 110 5 2.5 2.5 0 010-5zM19 3.5a2.5 2.5 0 110 5 2.5 2.5 0 010-5zM19 15.5a2.5 2.5 0 110 5 2.5 2.5 0 010-5zM7.2 10.8l9.4-3.6M7.2 13.2l9.4 3.6",
  traces: "M3 5h10M7 10h10M9 15h6M13 20h8",
  security: "M12 3l7.5 3v5.5c0 4.5-3 8-7.5 9.5-4.5-1.5-7.5-5-7.5-9.5V6L12 3zM8.5 12l2.5 2.5 4.5-4.5",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  search: "M11 4a7 7 0 110 14 7 7 0 010-14zM16.2 16.2L21 21",
  check: "M5 12.5l4.5 4.5L19 7.5",
  warn: "M12 4l9 16H3L12 4zM12 10v4M12 17h.01",
  bad: "M12 3a9 9 0 110 18 9 9 0 010-18zM9 9l6 6M15 9l-6 6",
  info: "M12 3a9 9 0 110 18 9 9 0 010-18zM12 11v5M12 8h.01",
  chevron: "M9 6l6 6-6 6",
  sun: "M12 8a4 4 0 110 8 4 4 0 010-8zM12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  moon: "M20 14.5A8.5 8.5 0 019.5 4 8.5 8.5 0 1020 14.5z",
  wait: "M12 3a9 9 0 110 18 9 9 0 010-18zM12 7v5l3 2",
  plus: "M12 5v14M5 12h14",
  back: "M9 14L4 9l5-5M4 9h10a6 6 0 010 12h-3",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 017 0v3",
  thread: "M11 3a8 8 0 110 16 8 8 0 010-16zM4 8c5 0 10 3 13 8M8 4c1 5 5 9 11 9M17 17l4 4",
};

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor"
      stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
