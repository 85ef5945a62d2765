// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

const PATHS = {
  take: "M3 8h9M8 4l4 4-4 4",
  config: "M2 5h7M13 5h1M2 11h1M7 11h7M11 3v4M5 9v4",
  memory: "M3 5h10v6H3zM5 11v2M8 11v2M11 11v2M5 5V3M8 5V3M11 5V3",
  copy: "M6 6h7v7H6zM10 6V3H3v7h3",
  save: "M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10",
  reset: "M6 3L3 6l3 3M3 6h6.500a3.500 3.500 0 010 7H6",
  error: "M4 4l8 8M12 4l-8 8",
  danger: "M8 2L14.500 13.500H1.500zM8 6.500v3M8 11.300v.4",
  info: "M8 1.800a6.200 6.200 0 100 12.400A6.200 6.200 0 008 1.800M8 7.300v4M8 4.800v.4",
  done: "M3 8.500l3.500 3.500L13 4.500",
  eye: "M1.500 8S4 3.500 8 3.500 14.500 8 14.500 8 12 12.500 8 12.500 1.500 8 1.500 8M8 6a2 2 0 100 4 2 2 0 000-4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
