// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// What the user has chosen, and what each action makes of it. Handlers only send actions: none of them holds an old state.

import { EMPTY, type IfRunning } from "./compose";
import { type Quiesce, troubleOf, type Wanted } from "./create";
import { type Composition, EXCLUDED, RESERVED, type Vm, same } from "./model";

export type Mode = "compose" | "create";
export type Tab = "task" | "restore" | "play" | "vars" | "commit" | "undo" | "create";

export interface Profile {
  disks: readonly string[];
  memory: boolean;
  quiesce: Quiesce;
}

export interface State {
  mode: Mode;
  shows: Composition;
  /** Risks that were accepted for exactly this composition. */
  accepted: { memory: boolean; removal: boolean };
  ifRunning: IfRunning;
  /** What "take this row" does with attached disks that the row lacks. */
  missing: "keep" | "exclude";
  snapshot: Wanted;
  profile: string;
  filter: string;
  compact: boolean;
  theme: "auto" | "light" | "dark";
  tab: Tab;
}

export type Action =
  | { do: "config"; value: string | null }
  | { do: "memory"; value: boolean }
  | { do: "disk"; disk: string; value: string }
  | { do: "exclude"; disk: string; value: boolean }
  | { do: "row"; value: string | null }
  | { do: "reset" }
  | { do: "load"; hash: string }
  | { do: "accept"; what: "memory" | "removal"; value: boolean }
  | { do: "include"; disk: string; value: boolean }
  | { do: "profile"; name: string; profile: Profile | null }
  | { do: "snapshot"; value: Partial<Wanted> }
  | { do: "set"; value: Partial<Pick<State, "mode" | "ifRunning" | "missing" | "filter" | "compact" | "theme" | "tab">> };

const NOTHING_ACCEPTED = { memory: false, removal: false };
/** From so many rows on, they are low. */
const MANY_ROWS = 40;
export const KEPT = "";

export function initial(vm: Vm, hash: string): State {
  const state: State = {
    mode: "compose",
    shows: EMPTY,
    accepted: NOTHING_ACCEPTED,
    ifRunning: "fail",
    missing: "keep",
    snapshot: { name: "", description: "", disks: able(vm), memory: false, quiesce: "preferred", allow_partial_memory: false },
    profile: "",
    filter: "",
    compact: vm.snapshots.length > MANY_ROWS,
    theme: "auto",
    tab: vm.preview ? "commit" : "task",
  };
  return reduce(vm, state, { do: "load", hash });
}

export function reduce(vm: Vm, state: State, action: Action): State {
  switch (action.do) {
    case "config":
      // Memory belongs to its own configuration.
      return composed(vm, state, { ...state.shows, config: action.value, memory: false });
    case "memory":
      return composed(vm, state, { ...state.shows, memory: action.value });
    case "disk":
      return composed(vm, state, withDisk(state.shows, vm, action.disk, action.value));
    case "exclude":
      return composed(vm, state, withDisk(state.shows, vm, action.disk, action.value ? EXCLUDED : KEPT));
    case "row":
      return composed(vm, state, action.value === null ? EMPTY : ofRow(vm, action.value, state.missing));
    case "reset":
      return { ...composed(vm, state, EMPTY), filter: "" };
    case "load":
      return vm.preview ? state : composed(vm, state, fromHash(vm, action.hash));
    case "accept":
      return { ...state, accepted: { ...state.accepted, [action.what]: action.value } };
    case "include": {
      const chosen = new Set(state.snapshot.disks);
      if (action.value) chosen.add(action.disk);
      else chosen.delete(action.disk);
      const disks = vm.disks.map((disk) => disk.id).filter((disk) => chosen.has(disk));
      return { ...state, profile: "", snapshot: { ...state.snapshot, disks, allow_partial_memory: false } };
    }
    case "profile":
      return {
        ...state,
        profile: action.name,
        snapshot: { ...state.snapshot, ...(action.profile ?? { disks: able(vm), memory: false, quiesce: "preferred" }), allow_partial_memory: false },
      };
    case "snapshot":
      return { ...state, snapshot: { ...state.snapshot, ...action.value } };
    case "set": {
      const mode = action.value.mode ?? state.mode;
      const tab: Tab = mode === state.mode ? state.tab : mode === "create" ? "create" : "task";
      return { ...state, tab, ...action.value };
    }
  }
}

function composed(vm: Vm, state: State, wanted: Composition): State {
  const shows = { ...wanted, disks: new Map([...wanted.disks].filter(([disk, source]) => source !== EXCLUDED || canBeLeftOut(vm, wanted, disk))) };
  return same(state.shows, shows) ? state : { ...state, shows, accepted: NOTHING_ACCEPTED };
}

/** A disk that is unplugged is out already, unless another configuration plugs it in again. */
export function canBeLeftOut(vm: Vm, shows: Composition, id: string): boolean {
  const disk = vm.disk(id);
  return vm.attached(id) && !disk.fixed && (disk.plugged || shows.config !== null);
}

/** Disks that take part in a snapshot by themselves. */
export function able(vm: Vm): string[] {
  return vm.disks.filter((disk) => !troubleOf(vm, disk)).map((disk) => disk.id);
}

/** The composition in the order of the columns, so that one composition is always the same text. */
function withDisk(shows: Composition, vm: Vm, disk: string, source: string): Composition {
  const disks = new Map(shows.disks);
  if (source === KEPT) disks.delete(disk);
  else disks.set(disk, source);
  return { ...shows, disks: inOrder(vm, disks) };
}

function inOrder(vm: Vm, disks: ReadonlyMap<string, string>): Map<string, string> {
  return new Map(columns(vm).flatMap((disk) => (disks.has(disk) ? [[disk, disks.get(disk)!]] : [])));
}

function ofRow(vm: Vm, id: string, missing: State["missing"]): Composition {
  const snapshot = vm.snapshot(id);
  const fixed = new Set(vm.disks.filter((disk) => disk.fixed).map((disk) => disk.id));
  const disks = new Map<string, string>([...snapshot.images.keys()].filter((disk) => !fixed.has(disk)).map((disk) => [disk, id]));
  if (missing === "exclude") {
    for (const disk of vm.disks) if (!disk.removable && !disk.fixed && !snapshot.images.has(disk.id)) disks.set(disk.id, EXCLUDED);
  }
  return { config: snapshot.has_config ? id : null, memory: false, disks: inOrder(vm, disks) };
}

/** The disks that have a column: those of the VM, and those that only snapshots hold. */
export function columns(vm: Vm): string[] {
  const ids = new Set(vm.disks.filter((disk) => !disk.removable).map((disk) => disk.id));
  for (const snapshot of vm.snapshots) for (const disk of snapshot.images.keys()) ids.add(disk);
  for (const disk of vm.preview?.shows.disks.keys() ?? []) ids.add(disk);
  const target = (id: string) => vm.disk(id).target;
  const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);
  return [...ids].sort((a, b) => target(a).length - target(b).length || compare(target(a), target(b)) || compare(vm.label(a), vm.label(b)) || compare(a, b));
}

export function toHash(shows: Composition): string {
  const parts = new URLSearchParams();
  if (shows.config !== null) parts.set("c", shows.config);
  if (shows.memory) parts.set("m", "1");
  for (const [disk, source] of shows.disks) parts.set(`d.${disk}`, source);
  const text = parts.toString();
  return text ? `#${text}` : "";
}

/** A composition from a link. What the VM does not have is left out. */
export function fromHash(vm: Vm, hash: string): Composition {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const usable = (id: string | null): id is string => id !== null && vm.hasSnapshot(id) && !RESERVED.includes(id) && !vm.snapshot(id).unusable;
  const given = parts.get("c");
  const config = usable(given) && vm.snapshot(given).has_config ? given : null;
  const disks = new Map<string, string>();
  for (const disk of columns(vm)) {
    const source = parts.get(`d.${disk}`);
    if (vm.disk(disk).fixed) continue;
    if (source === EXCLUDED ? vm.attached(disk) : usable(source) && vm.snapshot(source).images.has(disk)) disks.set(disk, source!);
  }
  return { config, memory: config !== null && parts.get("m") === "1" && vm.snapshot(config).memory, disks };
}
