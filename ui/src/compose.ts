// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// May it be done? The twin of _engine/compose.py, session.py and preview.py. Where the engine refuses with the first reason that it finds,
// the page lists them all, in the engine's order.

import { destroyed, inUse, type Loss, ofCommit, ofUndo, shownDisks } from "./losses";
import { type Composition, type Disk, EXCLUDED, RESERVED, type Snapshot, type Vm, excluded, same, sources } from "./model";

export type Verb = "preview" | "restore" | "commit" | "undo";
export type IfRunning = "fail" | "shutdown" | "poweroff";

/** What the user permits. */
export interface Allowed {
  allow_partial_memory: boolean;
  allow_disk_removal: boolean;
  if_running: IfRunning;
}

export interface Refusal {
  /** The reason that the module gives. */
  reason: string;
  says: string;
}

export interface Judgement {
  refusals: Refusal[];
  warnings: string[];
  /** False when the VM is like that already. */
  changes: boolean;
  loss: Loss;
}

export const EMPTY: Composition = { config: null, memory: false, disks: new Map() };

/** What the engine would say to this composition. */
export function judge(vm: Vm, shows: Composition, verb: "preview" | "restore", allowed: Allowed): Judgement {
  const refusals = composing(vm, shows, allowed);
  if (refusals.length) return { refusals, warnings: [], changes: false, loss: forecast(vm, shows) };
  const warnings = warningsOf(vm, shows);
  const loss = ofCommit(vm, shows);
  if (vm.preview) {
    if (sameAsShown(vm, shows) && verb === "preview") return { refusals, warnings, changes: false, loss };
    const says = `${vm.name} is in a preview: commit or undo it first`;
    return { refusals: [{ reason: "in_preview", says }], warnings, changes: false, loss };
  }
  if (isDone(vm, shows)) {
    const said = verb === "preview" ? ["the VM is exactly this already: no preview is needed"] : [];
    return { refusals, warnings: [...warnings, ...said], changes: false, loss };
  }
  const lost = destroyed(vm, shows);
  if (excluded(shows).length && !allowed.allow_disk_removal && (verb === "restore" || lost.length)) {
    refusals.push({ reason: "disk_removal", says: removal(vm, shows) });
  }
  refusals.push(...stopping(vm, ["down"], allowed.if_running));
  const used = inUse(vm, loss.images);
  if (used && verb === "restore") refusals.push(usedImage(vm, used));
  refusals.push(...blocking(vm));
  return { refusals, warnings, changes: !refusals.length, loss };
}

/** What the engine would say to ending the open preview. */
export function judgeLeaving(vm: Vm, verb: "commit" | "undo", allowed: Allowed): Judgement {
  const loss = vm.preview && verb === "commit" ? ofCommit(vm, vm.preview.shows) : ofUndo(vm);
  if (!vm.preview) return { refusals: [{ reason: "no_preview", says: `${vm.name} is not in a preview` }], warnings: [], changes: false, loss };
  const refusals: Refusal[] = [];
  const { shows } = vm.preview;
  if (verb === "commit" && excluded(shows).length && !allowed.allow_disk_removal) {
    refusals.push({ reason: "disk_removal", says: removal(vm, shows) });
  }
  refusals.push(...stopping(vm, ["down", "suspended"], allowed.if_running));
  const used = inUse(vm, loss.images);
  if (used) refusals.push(usedImage(vm, used));
  if (verb === "commit") refusals.push(...blocking(vm));
  return { refusals, warnings: [], changes: !refusals.length, loss };
}

function forecast(vm: Vm, shows: Composition): Loss {
  const usable = sources(shows).every(([disk, source]) => vm.snapshot(source).images.has(disk));
  return ofCommit(vm, usable ? shows : EMPTY);
}

function composing(vm: Vm, shows: Composition, allowed: Allowed): Refusal[] {
  const config = shows.config === null ? null : vm.snapshot(shows.config);
  const found: Refusal[] = [];
  const reserved = (snapshot: Snapshot): Refusal => ({
    reason: "reserved_name",
    says: `the snapshot called ${snapshot.name} cannot be named: the word has a meaning of its own`,
  });
  if (config && RESERVED.includes(config.id)) found.push(reserved(config));
  if (config && !config.has_config) found.push({ reason: "no_config", says: `${config.name} has no usable configuration` });
  for (const [id, source] of shows.disks) {
    const disk = vm.disk(id);
    if (disk.fixed) found.push({ reason: "fixed_disk", says: `${vm.label(id)} cannot take part in a preview: ${disk.fixed}` });
    // "current" would keep the disk, which nobody asked for.
    if (source !== EXCLUDED && RESERVED.includes(vm.snapshot(source).id)) found.push(reserved(vm.snapshot(source)));
  }
  if (!shows.disks.size && !config) found.push({ reason: "nothing_to_preview", says: "this is the current state" });
  found.push(...ofSources(vm, shows), ...ofTargets(vm, shows), ...ofMemory(vm, shows, config, allowed));
  return found;
}

function ofSources(vm: Vm, shows: Composition): Refusal[] {
  const found: Refusal[] = [];
  const used = new Set([...sources(shows).map(([, source]) => source), ...(shows.config === null ? [] : [shows.config])]);
  for (const source of [...used].sort()) {
    const { name, unusable } = vm.snapshot(source);
    if (unusable) found.push({ reason: "unusable_snapshot", says: `${name} cannot be used: ${unusable}` });
  }
  for (const [disk, source] of sources(shows)) {
    const trouble = imageTrouble(vm, vm.snapshot(source), disk);
    if (trouble) found.push(trouble);
  }
  return found;
}

/** Why the snapshot's image of the disk cannot be taken. */
export function imageTrouble(vm: Vm, snapshot: Snapshot, disk: string): Refusal | null {
  const image = snapshot.images.get(disk);
  if (image === undefined) return { reason: "disk_not_in_snapshot", says: `${snapshot.name} holds no image of ${vm.label(disk)}` };
  if (vm.chain(image).some((below) => vm.images.get(below)?.missing)) {
    return { reason: "missing_image", says: `an image that ${vm.label(disk)} of ${snapshot.name} needs is not there` };
  }
  return null;
}

function ofTargets(vm: Vm, shows: Composition): Refusal[] {
  const taken = new Map<string, Disk>();
  for (const disk of shownDisks(vm, shows)) {
    const other = taken.get(disk.target);
    if (other && disk.target) {
      return [{ reason: "target_taken", says: `${vm.label(other.id)} and ${vm.label(disk.id)} would both be ${disk.target}` }];
    }
    taken.set(disk.target, disk);
  }
  return [];
}

function ofMemory(vm: Vm, shows: Composition, config: Snapshot | null, allowed: Allowed): Refusal[] {
  if (!shows.memory) return [];
  if (!config) return [{ reason: "memory_without_config", says: "memory needs the configuration that it was saved with" }];
  if (!config.memory) return [{ reason: "no_memory", says: `${config.name} has no memory` }];
  const found: Refusal[] = [];
  const out = excluded(shows);
  if (!vm.can.memory_excluding) {
    if (out.length) {
      const disks = out.map((disk) => vm.label(disk)).join(", ");
      found.push({ reason: "memory_with_exclude", says: `memory cannot be restored into a VM that lacks a disk (${disks})` });
    }
    const had = new Set(config.disks.map((disk) => disk.id));
    const has = new Set(shownDisks(vm, shows).map((disk) => disk.id));
    const lacks = [...had].filter((disk) => !has.has(disk));
    const more = [...has].filter((disk) => !had.has(disk));
    if (lacks.length || more.length) {
      const said = [
        lacks.length ? `missing: ${lacks.map((disk) => vm.label(disk)).join(", ")}` : "",
        more.length ? `added since: ${more.map((disk) => vm.label(disk)).join(", ")}` : "",
      ].filter(Boolean);
      found.push({ reason: "memory_other_disks", says: `the memory of ${config.name} fits only a VM with the disks of that time; ${said.join("; ")}` });
    }
  }
  const foreign = foreignDisks(vm, shows);
  if (foreign.length && !allowed.allow_partial_memory) {
    const says = `the memory of ${config.name} does not belong to the state of ${foreign.join(", ")}: resuming it can corrupt the guest's data`;
    found.push({ reason: "partial_memory", says });
  }
  return found;
}

/** Names of the disks whose state is not of the moment of the composition's memory. */
export function foreignDisks(vm: Vm, shows: Composition): string[] {
  const disks = vm.disks.filter((disk) => !disk.fixed && !shows.disks.has(disk.id)).map((disk) => disk.id);
  return [...disks, ...shows.disks.keys()].filter((disk) => shows.disks.get(disk) !== (shows.config ?? undefined)).map((disk) => vm.label(disk));
}

function warningsOf(vm: Vm, shows: Composition): string[] {
  const found: string[] = [];
  const foreign = foreignDisks(vm, shows).join(", ");
  if (shows.memory && foreign) found.push(`the memory of ${vm.snapshotName(shows.config)} does not belong to the state of disk ${foreign}`);
  const shown = shownDisks(vm, shows).filter((disk) => disk.plugged);
  const boots = shown.filter((disk) => disk.bootable).map((disk) => disk.id);
  const bootsNow = vm.disks.filter((disk) => disk.bootable).length;
  if (!shown.length) found.push("the previewed VM has no disk");
  else if (!boots.length && bootsNow) found.push("the previewed VM has no bootable disk");
  else if (boots.length > Math.max(1, bootsNow)) {
    found.push(`the previewed VM has ${boots.length} bootable disks: ${boots.map((disk) => vm.label(disk)).join(", ")}`);
  }
  found.push(...changedFlags(vm, shown));
  if (shows.config !== null) {
    const config = vm.snapshot(shows.config);
    const attached = new Set([...vm.disks, ...shown].map((disk) => disk.id));
    const absent = config.disks.filter((disk) => !attached.has(disk.id) && !disk.fixed).map((disk) => disk.name);
    if (absent.length) {
      found.push(`disk ${absent.join(", ")} of configuration ${config.name} is not attached now and stays away; name it to bring it back`);
    }
  }
  return found;
}

function changedFlags(vm: Vm, shown: readonly Disk[]): string[] {
  const now = new Map(vm.disks.map((disk) => [disk.id, disk]));
  const pairs = shown.flatMap((disk) => (now.has(disk.id) ? [[now.get(disk.id)!, disk] as const] : []));
  const plugged = pairs.filter(([before]) => !before.plugged).map(([, disk]) => vm.label(disk.id));
  const writable = pairs.filter(([before, disk]) => before.read_only && !disk.read_only).map(([, disk]) => vm.label(disk.id));
  return [
    ...(plugged.length ? [`disk ${plugged.join(", ")} is unplugged now and comes back plugged in`] : []),
    ...(writable.length ? [`disk ${writable.join(", ")} is read-only now and comes back writable`] : []),
  ];
}

function sameAsShown(vm: Vm, shows: Composition): boolean {
  if (!vm.preview) return false;
  return same(vm.preview.memory_spent ? { ...vm.preview.shows, memory: shows.memory } : vm.preview.shows, shows);
}

function isDone(vm: Vm, shows: Composition): boolean {
  if (same(shows, EMPTY)) return true;
  const done = vm.committed;
  if (!done) return false;
  const attached = new Set(vm.disks.filter((disk) => disk.plugged).map((disk) => disk.id));
  return !excluded(done).some((disk) => attached.has(disk)) && same({ ...done, disks: new Map(sources(done)) }, shows);
}

function stopping(vm: Vm, fine: readonly string[], ifRunning: IfRunning): Refusal[] {
  if (fine.includes(vm.power)) return [];
  if (vm.power === "suspended") return [{ reason: "vm_suspended", says: `${vm.name} is suspended: its saved memory belongs to the disks as they are` }];
  return ifRunning === "fail" ? [{ reason: "vm_running", says: `${vm.name} is ${vm.power} and must be down` }] : [];
}

function blocking(vm: Vm): Refusal[] {
  return vm.problems.filter((problem) => problem.blocks).map((problem) => ({ reason: problem.code, says: problem.says }));
}

function removal(vm: Vm, shows: Composition): string {
  const disks = excluded(shows).map((disk) => vm.label(disk)).join(", ");
  return destroyed(vm, shows).length ? `a commit deletes disk ${disks}, with all that snapshots hold of it` : `a commit takes disk ${disks} off the VM`;
}

function usedImage(vm: Vm, used: { image: string; users: readonly string[] }): Refusal {
  const disk = vm.images.get(used.image)?.disk;
  return { reason: "image_in_use", says: `an image of ${disk ? vm.label(disk) : "a disk"} is used by something else: ${used.users.join(", ")}` };
}
