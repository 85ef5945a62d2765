// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// What the page knows: the report of snapshot_info, as the engine's Vm (plugins/module_utils/_engine/model.py).

export const CURRENT = "current";
export const EXCLUDED = "excluded";
/** Words of a composition: a snapshot of such a name or id cannot be chosen by it. */
export const RESERVED: readonly string[] = [CURRENT, EXCLUDED];
export const SCHEMA = "report/1";

export interface Disk {
  id: string;
  name: string;
  target: string;
  bootable: boolean;
  fixed: string;
  storage: string;
  size: number | null;
  removable: boolean;
  plugged: boolean;
  read_only: boolean;
}

export interface Image {
  id: string;
  disk: string;
  parent: string | null;
  size: number | null;
  missing: boolean;
  users: readonly string[];
}

/** Besides disks: memory in bytes, network cards as MAC addresses. */
export interface Hardware {
  vcpus: number | null;
  memory: number | null;
  nics: readonly string[];
}

export interface Snapshot {
  id: string;
  name: string;
  description: string;
  created: number | null;
  memory: boolean;
  has_config: boolean;
  images: ReadonlyMap<string, string>;
  disks: readonly Disk[];
  parent: string | null;
  unusable: string;
  hardware: Hardware | null;
  memory_size: number | null;
}

export interface Composition {
  config: string | null;
  memory: boolean;
  disks: ReadonlyMap<string, string>;
}

export interface Preview {
  shows: Composition;
  images: ReadonlyMap<string, string>;
  memory_spent: boolean;
}

export interface Problem {
  code: string;
  subject: string;
  says: string;
  hint: string;
  blocks: boolean;
}

/** What the hypervisor can do, and what it does of its own accord. */
export interface Can {
  memory_excluding: boolean;
  create_suspended: boolean;
  plain_text: boolean;
  longest_text: number;
  unplugs: boolean;
  breaks_newer: boolean;
  boots_by_image: boolean;
  tells_quiesced: boolean;
}

type Plain = Record<string, any>;
type Reference = number | string;

const DISK = { bootable: false, fixed: "", storage: "", size: null, removable: false, plugged: true, read_only: false };
const IMAGE = { parent: null, size: null, missing: false, users: [] };
const SNAPSHOT = {
  description: "",
  created: null,
  memory: false,
  has_config: true,
  parent: null,
  unusable: "",
  memory_size: null,
};
const HARDWARE: Hardware = { vcpus: null, memory: null, nics: [] };
const CAN: Can = {
  memory_excluding: false,
  create_suspended: false,
  plain_text: false,
  longest_text: 0,
  unplugs: false,
  breaks_newer: false,
  boots_by_image: false,
  tells_quiesced: true,
};

export class Vm {
  readonly id: string;
  readonly name: string;
  readonly power: string;
  readonly disks: readonly Disk[];
  readonly snapshots: readonly Snapshot[];
  readonly leaf: ReadonlyMap<string, string>;
  readonly images: ReadonlyMap<string, Image>;
  readonly preview: Preview | null;
  readonly agent: boolean | null;
  readonly unfinished: string;
  readonly problems: readonly Problem[];
  readonly committed: Composition | null;
  readonly checkpoints: readonly string[];
  readonly can: Can;
  readonly fingerprint: string;
  readonly hardware: Hardware | null;
  private readonly diskOf = new Map<string, Disk>();
  private readonly named = new Map<string, number>();
  private readonly snapshotOf = new Map<string, Snapshot>();
  private readonly childrenOf = new Map<string, string[]>();

  constructor(report: Plain) {
    if (report.schema !== SCHEMA) throw new Error(`this is not a report of the form ${SCHEMA}`);
    const disks: Disk[] = report.known_disks.map((disk: Plain) => ({ ...DISK, ...disk }));
    const ids: string[] = report.images.map((image: Plain) => image.id);
    const image = (reference: Reference): string => (typeof reference === "number" ? ids[reference]! : reference);
    const held = (of: Plain): Map<string, string> => new Map(Object.entries(of).map(([disk, reference]) => [disk, image(reference)]));
    this.id = report.id;
    this.name = report.name;
    this.power = report.power ?? "down";
    this.disks = report.disks.map((number: number) => disks[number]);
    this.snapshots = report.snapshots.map((snapshot: Plain) => ({
      ...SNAPSHOT,
      ...snapshot,
      hardware: hardware(snapshot),
      images: held(snapshot.images),
      disks: snapshot.disks.map((number: number) => disks[number]),
    }));
    this.leaf = held(report.leaf);
    this.images = new Map(
      report.images.map((found: Plain) => [found.id, { ...IMAGE, ...found, parent: found.parent === undefined ? null : image(found.parent) }]),
    );
    this.preview = report.preview
      ? { memory_spent: false, ...report.preview, shows: composition(report.preview.shows), images: held(report.preview.images) }
      : null;
    this.agent = report.agent ?? null;
    this.unfinished = report.unfinished ?? "";
    this.problems = (report.problems ?? []).map((problem: Plain) => ({ hint: "", blocks: false, ...problem }));
    this.committed = report.committed ? composition(report.committed) : null;
    this.checkpoints = report.checkpoints ?? [];
    this.can = { ...CAN, ...report.can };
    this.fingerprint = report.fingerprint ?? "";
    this.hardware = hardware(report);
    for (const disk of this.disks) this.diskOf.set(disk.id, disk);
    for (const snapshot of [...this.snapshots].reverse()) {
      for (const disk of snapshot.disks) if (!this.diskOf.has(disk.id)) this.diskOf.set(disk.id, disk);
    }
    for (const disk of this.diskOf.values()) this.named.set(disk.name, (this.named.get(disk.name) ?? 0) + 1);
    for (const snapshot of this.snapshots) this.snapshotOf.set(snapshot.id, snapshot);
    for (const child of this.images.values()) {
      if (child.parent) this.childrenOf.set(child.parent, [...(this.childrenOf.get(child.parent) ?? []), child.id]);
    }
  }

  disk(id: string): Disk {
    return this.diskOf.get(id) ?? { ...DISK, id, name: id, target: id };
  }

  /** The disk's name; with its id when another known disk has that name too. */
  label(id: string): string {
    const { name } = this.disk(id);
    return (this.named.get(name) ?? 0) > 1 ? `${name} (${id})` : name;
  }

  snapshot(id: string): Snapshot {
    const found = this.snapshotOf.get(id);
    if (!found) throw new Error(`no snapshot ${id}`);
    return found;
  }

  /** For people: #1 is the oldest. */
  number(id: string): number {
    return this.snapshots.findIndex((snapshot) => snapshot.id === id) + 1;
  }

  hasSnapshot(id: string): boolean {
    return this.snapshotOf.has(id);
  }

  snapshotName(id: string | null): string {
    return id === null ? CURRENT : (this.snapshotOf.get(id)?.name ?? id);
  }

  /** The image and its parents, as far as they are known, from the top down. */
  chain(id: string | null | undefined): string[] {
    const found = new Set<string>();
    for (let next = id; next && !found.has(next); next = this.images.get(next)?.parent) found.add(next);
    return [...found];
  }

  children(id: string): readonly string[] {
    return this.childrenOf.get(id) ?? [];
  }

  attached(id: string): boolean {
    return this.disks.some((disk) => disk.id === id);
  }
}

function hardware(of: Plain): Hardware | null {
  return of.hardware ? { ...HARDWARE, ...of.hardware } : null;
}

export function composition(data: Plain): Composition {
  return { config: data.config ?? null, memory: Boolean(data.memory), disks: new Map(Object.entries(data.disks ?? {})) };
}

export function excluded(shows: Composition): string[] {
  return [...shows.disks].filter(([, source]) => source === EXCLUDED).map(([disk]) => disk).sort();
}

/** [disk id, snapshot id], without the excluded disks. */
export function sources(shows: Composition): [string, string][] {
  return [...shows.disks].filter(([, source]) => source !== EXCLUDED);
}

export function same(one: Composition, other: Composition): boolean {
  return (
    one.config === other.config &&
    one.memory === other.memory &&
    one.disks.size === other.disks.size &&
    [...one.disks].every(([disk, source]) => other.disks.get(disk) === source)
  );
}
