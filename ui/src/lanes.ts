// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Where lines go: a column of nodes, one for each row that holds something, each linked to the row below that it is built on.

/** A node of a column: its row, its lane, and the row that it is built on (null for a base). */
export interface Spot {
  row: number;
  lane: number;
  below: number | null;
}

/**
 * Lanes for rows that come from top to bottom. `below` says for each row what it is built on, or nothing when the column has no node there.
 * Two lines are in one lane only where one ends at a node at which the other begins, so no line runs through a node that is not on it.
 */
export function lanes(rows: readonly number[], below: ReadonlyMap<number, number | null>): Spot[] {
  /** For each lane the row that its line goes to. */
  const waiting: (number | null)[] = [];
  return rows.map((row) => {
    let lane = waiting.indexOf(row);
    waiting.forEach((goal, number) => {
      if (goal === row) waiting[number] = null;
    });
    if (lane < 0) lane = waiting.indexOf(null);
    if (lane < 0) lane = waiting.length;
    const next = below.get(row) ?? null;
    // What lies above cannot be waited for: its line is drawn upwards, without a lane.
    waiting[lane] = next !== null && next > row ? next : null;
    return { row, lane, below: next };
  });
}

/** The path of a line from one node to another: straight down its lane, then across to the other's. */
export function line(fromX: number, fromY: number, toX: number, toY: number, rowHeight: number): string {
  if (fromX === toX) return `M${fromX} ${fromY}L${toX} ${toY}`;
  const bend = toY > fromY ? Math.max(fromY, toY - rowHeight) : fromY;
  return `M${fromX} ${fromY}L${fromX} ${bend}C${fromX} ${toY} ${toX} ${bend} ${toX} ${toY}`;
}
