// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// What a commit or an undo destroys: the twin of _engine/losses.py and of what it uses of _engine/changes.py.

import { type Composition, type Disk, type Snapshot, type Vm, excluded, sources } from "./model";

export interface Loss {
  images: string[];
  size: number | null;
  disks: string[];
  left_behind: string[];
  snapshots_removed: string[];
  snapshots_reduced: Record<string, string[]>;
  without_config: string[];
  backup_impact: boolean;
  says: string[];
}

export const NOTHING: Loss = {
  images: [],
  size: 0,
  disks: [],
  left_behind: [],
  snapshots_removed: [],
  snapshots_reduced: {},
  without_config: [],
  backup_impact: false,
  says: [],
};

/** Bytes; null as soon as one is unknown. */
export function sizeOf(vm: Vm, images: Iterable<string>): number | null {
  let total = 0;
  for (const image of images) {
    const size = vm.images.get(image)?.size ?? null;
    if (size === null) return null;
    total += size;
  }
  return total;
}

/** The disks that a commit deletes with all that snapshots hold of them. */
export function destroyed(vm: Vm, shows: Composition): string[] {
  return vm.can.unplugs && shows.config ? excluded(shows) : [];
}

/** Disk id -> the images that a commit deletes. */
export function abandoned(vm: Vm, shows: Composition): Map<string, string[]> {
  const gone = new Map<string, string[]>();
  for (const disk of destroyed(vm, shows)) {
    gone.set(disk, [...vm.images.values()].filter((image) => image.disk === disk).map((image) => image.id));
  }
  for (const [disk, source] of sources(shows)) {
    const keep = new Set(vm.chain(vm.snapshot(source).images.get(disk)));
    const found: string[] = [];
    for (const image of vm.chain(vm.leaf.get(disk))) {
      if (keep.has(image) || isNeeded(vm, image, found.at(-1))) break;
      found.push(image);
    }
    gone.set(disk, found);
  }
  return gone;
}

function isNeeded(vm: Vm, image: string, last: string | undefined): boolean {
  return Boolean(vm.images.get(image)?.users.length) || vm.children(image).some((child) => child !== last);
}

/** Snapshot id -> what the commit makes of it; null when it goes. */
export function afterCommit(vm: Vm, shows: Composition, gone: ReadonlySet<string>): Map<string, Snapshot | null> {
  const found = new Map<string, Snapshot | null>();
  for (const snapshot of vm.snapshots) {
    let kept = reduced(snapshot, gone, shows.config);
    if (vm.can.breaks_newer && shows.config !== null && found.has(shows.config)) {
      kept = kept && kept.images.size ? { ...kept, has_config: false } : null;
    }
    found.set(snapshot.id, kept);
  }
  return found;
}

function reduced(snapshot: Snapshot, gone: ReadonlySet<string>, config: string | null): Snapshot | null {
  const kept = new Map([...snapshot.images].filter(([, image]) => !gone.has(image)));
  if (kept.size === snapshot.images.size) return snapshot;
  return kept.size || snapshot.id === config ? { ...snapshot, images: kept } : null;
}

/** The disks of the VM that the composition shows. */
export function shownDisks(vm: Vm, shows: Composition): Disk[] {
  const config = new Map((shows.config ? vm.snapshot(shows.config).disks : []).map((disk) => [disk.id, disk]));
  const current = new Map(vm.disks.filter((disk) => !disk.removable).map((disk) => [disk.id, disk]));
  const out = excluded(shows);
  const unplugged = vm.can.unplugs && !shows.config ? out : [];
  const ids = [...current.keys()].filter((disk) => !out.includes(disk) || unplugged.includes(disk));
  ids.push(...sources(shows).map(([disk]) => disk).filter((disk) => !current.has(disk)).sort());
  let found = ids.map((disk) => config.get(disk) ?? current.get(disk) ?? vm.disk(disk));
  if (vm.can.boots_by_image) {
    found = found.map((disk) => ({ ...disk, bootable: asInItsImage(vm, disk, shows).bootable }));
  }
  const drives = (shows.config ? [...config.values()] : vm.disks).filter((disk) => disk.removable);
  return [...found.map((disk) => (unplugged.includes(disk.id) ? { ...disk, plugged: false } : disk)), ...drives];
}

function asInItsImage(vm: Vm, disk: Disk, shows: Composition): Disk {
  const source = sources(shows).find(([id]) => id === disk.id)?.[1];
  const disks = source ? vm.snapshot(source).disks : vm.disks;
  return disks.find((found) => found.id === disk.id) ?? disk;
}

/** What a commit destroys, whether the preview is open yet or not. */
export function ofCommit(vm: Vm, shows: Composition): Loss {
  const goneOf = abandoned(vm, shows);
  const gone = [...goneOf.values()].flat();
  const after = afterCommit(vm, shows, new Set(gone));
  const loss: Loss = { ...NOTHING, images: gone, size: sizeOf(vm, gone), snapshots_removed: [], snapshots_reduced: {}, without_config: [], says: [] };
  for (const snapshot of vm.snapshots) {
    const kept = after.get(snapshot.id);
    if (!kept) {
      loss.snapshots_removed.push(snapshot.name);
      continue;
    }
    if (kept.images.size < snapshot.images.size) {
      loss.snapshots_reduced[snapshot.name] = [...snapshot.images.keys()].filter((disk) => !kept.images.has(disk)).map((disk) => vm.label(disk));
    }
    if (snapshot.has_config && !kept.has_config) loss.without_config.push(snapshot.name);
  }
  if (gone.length) {
    const written = [...goneOf].filter(([, images]) => images.length).map(([disk]) => vm.label(disk)).sort();
    loss.says.push(`${gone.length} image${gone.length > 1 ? "s" : ""} with what was written since: ${written.join(", ")}`);
  }
  if (loss.snapshots_removed.length) loss.says.push(`snapshot ${loss.snapshots_removed.join(", ")}: nothing of it is left`);
  for (const [name, lost] of Object.entries(loss.snapshots_reduced)) loss.says.push(`snapshot ${name} loses disk ${lost.join(", ")}`);
  if (loss.without_config.length) {
    loss.says.push(`the configuration of snapshot ${loss.without_config.join(", ")}, which is newer; what it holds of disks stays`);
  }
  loss.says.push(...ofExcluded(vm, shows));
  loss.disks = excluded(shows).map((disk) => vm.label(disk));
  loss.left_behind = leftBehind(vm, shows, new Set(gone));
  loss.backup_impact = sources(shows).length > 0;
  return loss;
}

function leftBehind(vm: Vm, shows: Composition, gone: ReadonlySet<string>): string[] {
  const lost = destroyed(vm, shows);
  const left = excluded(shows).filter((disk) => vm.leaf.has(disk) && !lost.includes(disk));
  const found = left.map((disk) => (vm.can.unplugs ? `${vm.disk(disk).name} (${disk})` : vm.leaf.get(disk)!));
  const held = new Set(vm.snapshots.flatMap((snapshot) => [...snapshot.images.values()]));
  for (const [disk, source] of sources(shows)) {
    const keep = new Set(vm.chain(vm.snapshot(source).images.get(disk)));
    found.push(...vm.chain(vm.leaf.get(disk)).filter((image) => !keep.has(image) && !held.has(image) && !gone.has(image)));
  }
  return found;
}

function ofExcluded(vm: Vm, shows: Composition): string[] {
  const disks = excluded(shows).map((disk) => vm.label(disk)).join(", ");
  if (!disks) return [];
  if (destroyed(vm, shows).length) return [`disk ${disks} is deleted, with all that snapshots hold of it`];
  return [vm.can.unplugs ? `disk ${disks} is unplugged; it stays with the VM, with its images and snapshots` : `disk ${disks} is detached; its files stay`];
}

/** What was written while the preview was open. */
export function ofUndo(vm: Vm): Loss {
  const { preview } = vm;
  if (!preview) return NOTHING;
  const images = [...preview.images.values()].sort();
  const kept = vm.disks.filter((disk) => !preview.shows.disks.has(disk.id) && !disk.fixed).map((disk) => vm.label(disk.id));
  const says = images.length ? ["what was written during the preview is gone"] : [];
  if (kept.length) says.push(`what was written to disk ${kept.join(", ")} stays: the preview showed it as it is`);
  return { ...NOTHING, images, size: sizeOf(vm, images), says };
}

/** What keeps a change from being made: an image that is deleted, and what something else has built on it. */
export function inUse(vm: Vm, images: Iterable<string>): { image: string; users: readonly string[] } | null {
  for (const image of images) {
    const users = vm.images.get(image)?.users ?? [];
    if (users.length) return { image, users };
  }
  return null;
}
