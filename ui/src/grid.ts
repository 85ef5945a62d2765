// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// The matrix as it is drawn: rows, columns, nodes, lines.

import { imageTrouble } from "./compose";
import { lanes, type Spot } from "./lanes";
import { type Composition, CURRENT, EXCLUDED, RESERVED, type Snapshot, type Vm } from "./model";
import { columns } from "./state";
import { moment } from "./text";

export type RowKind = "preview" | "current" | "snapshot";

export interface Row {
  key: string;
  kind: RowKind;
  /** By age, for people: #1 is the oldest. */
  number: number;
  snapshot: Snapshot | null;
}

export interface Column {
  disk: string;
  /** Row number -> the node there. */
  spots: ReadonlyMap<number, Spot & { image: string }>;
  width: number;
  largest: number;
}

export interface Grid {
  rows: Row[];
  columns: Column[];
  /** The snapshots' own tree, in the first column. */
  tree: Spot[];
  treeWidth: number;
}

export function rowsOf(vm: Vm): Row[] {
  const rows: Row[] = vm.snapshots.map((snapshot, place) => ({ key: `s ${snapshot.id}`, kind: "snapshot", number: place + 1, snapshot }));
  rows.reverse();
  rows.unshift({ key: CURRENT, kind: "current", number: 0, snapshot: null });
  if (vm.preview) rows.unshift({ key: "preview", kind: "preview", number: 0, snapshot: null });
  return rows;
}

/** The rows that a filter leaves: what it matches, and what is chosen. */
export function filtered(vm: Vm, rows: Row[], filter: string, shows: Composition): Row[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return rows;
  const chosen = new Set([shows.config, ...shows.disks.values()]);
  return rows.filter(({ snapshot, number }) => {
    if (!snapshot || chosen.has(snapshot.id)) return true;
    const disks = [...snapshot.images.keys()].flatMap((disk) => [vm.label(disk), vm.disk(disk).target]);
    const text = [snapshot.name, snapshot.description, `#${number}`, moment(snapshot.created), ...disks, snapshot.memory ? "memory" : ""].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

export function imageAt(vm: Vm, row: Row, disk: string): string | undefined {
  if (row.kind === "preview") return vm.preview?.images.get(disk);
  return row.kind === "current" ? vm.leaf.get(disk) : row.snapshot?.images.get(disk);
}

export function gridOf(vm: Vm, rows: Row[]): Grid {
  const found = columns(vm).map((disk) => columnOf(vm, rows, disk));
  const tree = treeOf(vm, rows);
  return { rows, columns: found, tree, treeWidth: 1 + Math.max(0, ...tree.map((spot) => spot.lane)) };
}

function columnOf(vm: Vm, rows: Row[], disk: string): Column {
  const held = rows.map((row) => imageAt(vm, row, disk));
  const rowsOfImage = new Map<string, number[]>();
  held.forEach((image, row) => {
    if (image !== undefined) rowsOfImage.set(image, [...(rowsOfImage.get(image) ?? []), row]);
  });
  const below = new Map<number, number | null>();
  held.forEach((image, row) => {
    if (image === undefined) return;
    const [, ...parents] = vm.chain(image);
    const again = rowsOfImage.get(image)!.find((other) => other > row);
    const parent = parents.find((candidate) => rowsOfImage.has(candidate));
    const parentRows = parent === undefined ? [] : rowsOfImage.get(parent)!;
    below.set(row, again ?? parentRows.find((other) => other > row) ?? parentRows.at(-1) ?? null);
  });
  const spots = lanes([...below.keys()], below);
  return {
    disk,
    spots: new Map(spots.map((spot) => [spot.row, { ...spot, image: held[spot.row]! }])),
    width: 1 + Math.max(0, ...spots.map((spot) => spot.lane)),
    largest: Math.max(1, ...held.map((image) => (image === undefined ? 0 : (vm.images.get(image)?.size ?? 0)))),
  };
}

function treeOf(vm: Vm, rows: Row[]): Spot[] {
  const rowOf = new Map(rows.flatMap((row, number) => (row.snapshot ? [[row.snapshot.id, number]] : [])) as [string, number][]);
  const visible = (id: string | null): number | null => {
    const seen = new Set<string>();
    for (let next = id; next !== null && vm.hasSnapshot(next) && !seen.has(next); next = vm.snapshot(next).parent) {
      if (rowOf.has(next)) return rowOf.get(next)!;
      seen.add(next);
    }
    return null;
  };
  const below = new Map<number, number | null>();
  rows.forEach((row, number) => {
    const base = row.snapshot ? row.snapshot.parent : row.kind === "preview" ? previewBase(vm) : currentBase(vm);
    below.set(number, visible(base));
  });
  return lanes(rows.map((_, number) => number), below);
}

/** The newest snapshot that is wholly below what the VM is now. */
function currentBase(vm: Vm): string | null {
  const chains = new Map([...vm.leaf].map(([disk, image]) => [disk, new Set(vm.chain(image))]));
  const fits = (snapshot: Snapshot) => [...snapshot.images].every(([disk, image]) => !chains.has(disk) || chains.get(disk)!.has(image));
  return [...vm.snapshots].reverse().find(fits)?.id ?? null;
}

function previewBase(vm: Vm): string | null {
  const shows = vm.preview!.shows;
  if (shows.config !== null) return shows.config;
  const used = new Set(shows.disks.values());
  return [...vm.snapshots].reverse().find((snapshot) => used.has(snapshot.id))?.id ?? currentBase(vm);
}

/** Why a snapshot's image cannot be chosen, in a word; empty when it can. */
export function obstacle(vm: Vm, snapshot: Snapshot, disk: string): string {
  if (RESERVED.includes(snapshot.id)) return "reserved name";
  if (snapshot.unusable) return "not usable";
  return imageTrouble(vm, snapshot, disk) ? "missing" : "";
}

/** All images that what is chosen for the disk builds on, itself included. */
export function chosenChain(vm: Vm, shows: Composition, disk: string): ReadonlySet<string> {
  const source = shows.disks.get(disk);
  if (source === undefined || source === EXCLUDED) return new Set();
  return new Set(vm.chain(vm.snapshot(source).images.get(disk)));
}
