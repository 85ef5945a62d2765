// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// The matrix: snapshots down, disks across; a real table with native radio buttons, and the chains as lines behind them.

import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { chosenChain, type Column, filtered, type Grid, gridOf, obstacle, type Row, rowsOf } from "../grid";
import { line, type Spot } from "../lanes";
import { type Composition, CURRENT, EXCLUDED, RESERVED, type Vm } from "../model";
import { type Action, canBeLeftOut, KEPT, type State } from "../state";
import { age, moment, size } from "../text";
import { Icon } from "./icon";
import { Steady } from "./steady";

/** Pixels. The lines are drawn to these, and the style sheet keeps to them. */
const HEAD = 76;
const ROW = { comfortable: 46, compact: 30 };
const LANE = 18;
const NODE = 28;
const CONFIG = 68;
const MEMORY = 104;
const NARROW = 640;

interface Props {
  vm: Vm;
  state: State;
  shows: Composition;
  doomed: ReadonlySet<string>;
  editable: boolean;
  creating: boolean;
  now: number;
  send: (action: Action) => void;
}

export function Matrix({ vm, state, shows, doomed, editable, creating, now, send }: Props) {
  const scroll = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(1200);
  useLayoutEffect(() => {
    const box = scroll.current!;
    const measure = () => setRoom(box.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, []);

  const all = useMemo(() => rowsOf(vm), [vm]);
  const rows = useMemo(() => filtered(vm, all, state.filter, shows), [vm, all, state.filter, shows]);
  const key = rows.map((row) => row.key).join("\n");
  const grid = useMemo(() => gridOf(vm, rows), [vm, key]);
  const height = state.compact ? ROW.compact : ROW.comfortable;
  const narrow = room < NARROW;
  const name = (narrow ? 170 : state.compact ? 350 : 290) + grid.treeWidth * LANE;
  const left = name + CONFIG + MEMORY;
  const least = grid.columns.map((column) => (state.compact ? 108 : 132) + column.width * LANE);
  const spare = Math.max(0, room - left - least.reduce((sum, width) => sum + width, 0)) / Math.max(1, least.length);
  const widths = least.map((width) => Math.floor(width + spare));
  if (spare > 0 && widths.length) widths[widths.length - 1]! += room - left - widths.reduce((sum, width) => sum + width, 0);
  const total = left + widths.reduce((sum, width) => sum + width, 0);

  const change = (event: Event) => {
    const input = event.target as HTMLInputElement;
    const { kind, disk = "" } = input.dataset;
    if (kind === "config") send({ do: "config", value: input.value === CURRENT ? null : input.value.slice(2) });
    else if (kind === "memory") send({ do: "memory", value: input.checked });
    else if (kind === "disk") send({ do: "disk", disk, value: input.value === CURRENT ? KEPT : input.value.slice(2) });
    else if (kind === "exclude") send({ do: "exclude", disk, value: input.checked });
    else if (kind === "include") send({ do: "include", disk, value: input.checked });
  };
  const click = (event: Event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("button[data-row]");
    if (button) send({ do: "row", value: button.dataset.row === CURRENT ? null : button.dataset.row!.slice(2) });
  };
  return (
    <div class={`scroll${state.compact ? " compact" : ""}${narrow ? " narrow" : ""}${rows.length > 24 ? " tall" : ""}`} ref={scroll}>
      <div class="stage" style={{ width: `${total}px` }}>
        <Lines vm={vm} grid={grid} shows={shows} doomed={doomed} left={left} widths={widths} height={height} />
        <div class="pinned">
          <svg class="tree" width={grid.treeWidth * LANE + 20} height={HEAD + rows.length * height} aria-hidden="true">
            <Tree spots={grid.tree} rows={rows} height={height} />
          </svg>
        </div>
        <table onChange={change} onClick={click} onKeyDown={sideways} style={{ width: `${total}px` }}>
          <caption class="hidden">Snapshots of {vm.name} and what each holds; the last row is the result</caption>
          <colgroup>
            <col style={{ width: `${name}px` }} />
            <col style={{ width: `${CONFIG}px` }} />
            <col style={{ width: `${MEMORY}px` }} />
            {widths.map((width) => (
              <col style={{ width: `${width}px` }} />
            ))}
          </colgroup>
          <Head vm={vm} grid={grid} name={name} />
          <tbody>
            {rows.map((row, place) => (
              <RowView
                key={row.key}
                {...{ vm, row, place, grid, shows, doomed, editable, creating, now, narrow, name }}
                compact={state.compact}
                memory={shows.memory && row.snapshot?.id === shows.config}
              />
            ))}
          </tbody>
          <Foot {...{ vm, grid, shows, state, editable, creating, now, name }} />
        </table>
      </div>
    </div>
  );
}

function Head({ vm, grid, name }: { vm: Vm; grid: Grid; name: number }) {
  return (
    <thead>
      <tr>
        <th scope="col" class="pin name">
          Snapshot
        </th>
        <th scope="col" class="pin config" style={{ left: `${name}px` }}>
          <Icon name="config" />
          Config
        </th>
        <th scope="col" class="pin memory" style={{ left: `${name + CONFIG}px` }}>
          <Icon name="memory" />
          Memory
        </th>
        {grid.columns.map(({ disk: id }) => {
          const disk = vm.disk(id);
          const depth = vm.chain(vm.preview?.images.get(id) ?? vm.leaf.get(id)).length;
          const facts = [disk.size === null ? "" : size(disk.size), depth ? `chain ${depth}` : "", disk.fixed ? "fixed" : ""].filter(Boolean);
          return (
            <th scope="col" key={id} data-test="column" data-disk={id} title={`${vm.label(id)}, id ${id}`}>
              <span class="target">{disk.target || vm.label(id)}</span>
              {disk.bootable && <span class="tag">boot</span>}
              {!disk.plugged && <span class="tag">unplugged</span>}
              {disk.read_only && <span class="tag">read-only</span>}
              <span class="line">{!disk.target ? id : disk.name === disk.target ? disk.storage : vm.label(id)}</span>
              <span class="line small">{facts.join(" \u00b7 ")}</span>
            </th>
          );
        })}
      </tr>
    </thead>
  );
}

interface RowProps {
  vm: Vm;
  row: Row;
  place: number;
  grid: Grid;
  shows: Composition;
  doomed: ReadonlySet<string>;
  editable: boolean;
  creating: boolean;
  now: number;
  narrow: boolean;
  compact: boolean;
  name: number;
  memory: boolean;
}

function RowView(props: RowProps) {
  const { vm, row, place, grid, shows, doomed, editable, compact, memory } = props;
  const { snapshot } = row;
  const chosen = row.kind === "current" ? shows.config === null && !vm.preview : snapshot !== null && shows.config === snapshot.id;
  const value = snapshot ? `s ${snapshot.id}` : CURRENT;
  const who = snapshot ? `#${row.number} ${snapshot.name}` : row.kind === "preview" ? "the preview" : "the current state";
  const usable = !snapshot || (snapshot.has_config && !snapshot.unusable && !RESERVED.includes(snapshot.id));
  const left = props.name;
  return (
    <tr class={`${row.kind}${chosen ? " chosen" : ""}`} data-test="row" data-snapshot={value} data-kind={row.kind}>
      <RowName {...props} who={who} value={value} />
      <td class="pin config" style={{ left: `${left}px` }}>
        {editable && row.kind !== "preview" && usable ? (
          <label>
            <input type="radio" name="config" value={value} checked={chosen} data-kind="config" data-test="config" aria-label={`configuration of ${who}`} />
          </label>
        ) : vm.preview && chosen ? (
          <b class="use">in use</b>
        ) : usable ? (
          ""
        ) : (
          <span class="none">no config</span>
        )}
      </td>
      <td class="pin memory" style={{ left: `${left + CONFIG}px` }}>
        {snapshot?.memory ? (
          editable ? (
            <label class={memory ? "on" : ""}>
              <input
                type="checkbox"
                data-kind="memory"
                data-test="memory"
                checked={memory}
                disabled={!chosen}
                aria-label={`memory of ${who}`}
              />
              <span>{snapshot.memory_size ? size(snapshot.memory_size) : "saved"}</span>
            </label>
          ) : (
            <span class={memory ? "use" : ""}>{memory ? "in use" : "saved"}</span>
          )
        ) : (
          <span class="none">{row.kind === "preview" ? "" : "-"}</span>
        )}
      </td>
      {grid.columns.map((column, number) => {
        const spot = column.spots.get(place);
        const image = spot && vm.images.get(spot.image);
        const source = shows.disks.get(column.disk);
        const current = row.kind === "current";
        const away = current && !vm.attached(column.disk);
        const fixed = vm.disk(column.disk).fixed;
        const held = row.kind === "preview" ? source !== undefined && source !== EXCLUDED : current ? source === undefined : snapshot!.id === source;
        const marked = vm.preview ? (row.kind === "preview" ? held : current && source === undefined) : held;
        const trouble = snapshot && spot ? obstacle(vm, snapshot, column.disk) : "";
        return (
          <Cell
            key={column.disk}
            disk={column.disk}
            group={number}
            value={value}
            label={`${vm.label(column.disk)} of ${who}`}
            lane={spot?.lane ?? (current || row.kind === "preview" ? 0 : -1)}
            bytes={spot ? (image?.size ?? null) : undefined}
            share={spot && !compact ? Math.round((100 * (image?.size ?? 0)) / column.largest) : -1}
            word={away ? (source === undefined ? "not attached" : "") : fixed && current ? fixed : row.kind === "preview" && !spot ? (source === EXCLUDED ? "left out" : "same") : trouble}
            solid={spot !== undefined || (current && !fixed)}
            chosen={marked && !(away && vm.preview !== null)}
            calm={current || row.kind === "preview"}
            doomed={spot !== undefined && doomed.has(spot.image)}
            editable={editable && !trouble && !fixed && (spot !== undefined || current)}
          />
        );
      })}
    </tr>
  );
}

function RowName({ vm, row, grid, now, narrow, compact, editable, who, value, shows }: RowProps & { who: string; value: string }) {
  const { snapshot } = row;
  const attached = vm.disks.filter((disk) => !disk.removable).length;
  const lent = vm.preview && snapshot && (shows.config === snapshot.id || [...shows.disks.values()].includes(snapshot.id));
  const title = snapshot ? snapshot.name : row.kind === "preview" ? "Preview" : vm.preview ? "Before the preview" : "Current state";
  return (
    <th scope="row" class="pin name" style={{ paddingLeft: `${grid.treeWidth * LANE + 20}px` }} title={snapshot?.description || undefined}>
      <span class="title">
        {snapshot && <span class="number">#{row.number}</span>}
        <bdi>{title}</bdi>
      </span>
      <span class="when">
        {snapshot ? moment(snapshot.created, compact) : "now"}
        {row.kind === "preview" && <span class="badge eye">shown</span>}
        {row.kind === "current" && !vm.preview && <span class="badge here">you are here</span>}
        {snapshot && !narrow && (
          <span class="badge">
            {snapshot.images.size}/{attached}
            {compact ? "" : " disks"}
          </span>
        )}
        {snapshot && !snapshot.has_config && !narrow && <span class="badge bad">no config</span>}
        {snapshot?.unusable && !narrow && <span class="badge bad">not usable</span>}
        {lent && <span class="badge eye">in preview</span>}
      </span>
      {editable && (!snapshot || (!snapshot.unusable && !RESERVED.includes(snapshot.id))) && (
        <button type="button" class="take" data-row={value} data-test="use-row" aria-label={`Take the whole row: ${who}`} title={`Take the whole row${snapshot ? `, ${age(snapshot.created, now)}` : ""}`}>
          <Icon name="take" />
        </button>
      )}
    </th>
  );
}

interface CellProps {
  disk: string;
  group: number;
  value: string;
  label: string;
  lane: number;
  /** undefined: there is no image here. */
  bytes: number | null | undefined;
  /** Percent of the largest image of the disk; -1 for no bar. */
  share: number;
  word: string;
  solid: boolean;
  chosen: boolean;
  calm: boolean;
  doomed: boolean;
  editable: boolean;
}

class Cell extends Steady<CellProps> {
  render() {
    const { disk, group, value, label, lane, bytes, share, word, solid, chosen, calm, doomed, editable } = this.props;
    if (lane < 0) return <td />;
    const says = bytes === undefined ? "" : size(bytes);
    const kind = `cell${chosen ? (calm ? " calm" : " chosen") : ""}${doomed ? " doomed" : ""}${word && !calm ? " barred" : ""}${solid ? "" : " ghost"}`;
    const inner = (
      <>
        {editable ? (
          <input
            type="radio"
            name={`disk-${group}`}
            value={value}
            checked={chosen}
            data-kind="disk"
            data-disk={disk}
            data-test="image"
            aria-label={`${label}${says ? `, ${says}` : ""}${doomed ? ", deleted by a commit" : ""}`}
          />
        ) : (
          <i class={`node${chosen ? " on" : ""}`} data-test="node" data-disk={disk} />
        )}
        <span class="bytes">
          {says && <span class={doomed ? "gone" : ""}>{says}</span>}
          {word && <span class="word"> {word}</span>}
          {share >= 0 && (
            <span class="bar">
              <i style={{ width: `${share}%` }} />
            </span>
          )}
        </span>
      </>
    );
    const shift = { marginLeft: `${lane * LANE}px` };
    return (
      <td class={kind} data-doomed={doomed ? "yes" : undefined}>
        {editable ? <label style={shift}>{inner}</label> : <div style={shift}>{inner}</div>}
      </td>
    );
  }
}

function Foot({ vm, grid, shows, state, editable, creating, now, name }: Omit<RowProps, "row" | "place" | "doomed" | "narrow" | "compact" | "memory"> & { state: State }) {
  const source = shows.config === null ? null : vm.snapshot(shows.config);
  return (
    <tfoot>
      {(editable || creating) && (
        <tr class="out">
          <th scope="row" class="pin name">
            {creating ? "Take into the snapshot" : "Leave the disk out"}
          </th>
          <td class="pin config" style={{ left: `${name}px` }} />
          <td class="pin memory" style={{ left: `${name + CONFIG}px` }} />
          {grid.columns.map(({ disk }) => {
            if (creating ? !vm.attached(disk) || vm.disk(disk).fixed : !canBeLeftOut(vm, shows, disk)) return <td key={disk} />;
            const on = creating ? state.snapshot.disks.includes(disk) : shows.disks.get(disk) === EXCLUDED;
            return (
              <td key={disk} class={on && !creating ? "left" : ""}>
                <label>
                  <input
                    type="checkbox"
                    checked={on}
                    data-kind={creating ? "include" : "exclude"}
                    data-disk={disk}
                    data-test={creating ? "include" : "exclude"}
                    aria-label={creating ? `take ${vm.label(disk)}` : `leave ${vm.label(disk)} out`}
                  />
                  <span>{creating ? (on ? "taken" : "take") : on ? "left out" : "leave out"}</span>
                </label>
              </td>
            );
          })}
        </tr>
      )}
      <tr class="result" data-test="result-row">
        <th scope="row" class="pin name">
          {vm.preview ? "Shown" : "Result"}
        </th>
        <td class="pin config" style={{ left: `${name}px` }}>
          <span class={source ? "pill from" : "pill"} data-test="result-config" title={source?.name}>
            {creating ? "taken" : source ? `#${vm.number(source.id)}` : CURRENT}
          </span>
        </td>
        <td class="pin memory" style={{ left: `${name + CONFIG}px` }}>
          <span class={(creating ? state.snapshot.memory : shows.memory) ? "pill mem" : "pill"} data-test="result-memory">
            {creating ? (state.snapshot.memory ? "taken" : "off") : shows.memory ? "resume" : "off"}
          </span>
        </td>
        {grid.columns.map(({ disk }) => {
          const chosen = shows.disks.get(disk);
          const snapshot = chosen !== undefined && chosen !== EXCLUDED ? vm.snapshot(chosen) : null;
          const said = creating ? (state.snapshot.disks.includes(disk) ? "taken" : "not taken") : chosen === EXCLUDED ? "left out" : vm.attached(disk) ? CURRENT : "not attached";
          const tone = creating ? (said === "taken" ? " from" : "") : chosen === EXCLUDED ? " out" : snapshot ? " from" : "";
          return (
            <td key={disk}>
              <span class={`pill${tone}`} data-test="result" data-disk={disk} data-source={creating ? said : (chosen ?? CURRENT)} title={snapshot?.name}>
                {snapshot && !creating ? (
                  <>
                    #{vm.number(snapshot.id)} <small>{age(snapshot.created, now)}</small>
                  </>
                ) : (
                  said
                )}
              </span>
            </td>
          );
        })}
      </tr>
    </tfoot>
  );
}

/** The chains: one path for each kind of line. */
function Lines({ vm, grid, shows, doomed, left, widths, height }: { vm: Vm; grid: Grid; shows: Composition; doomed: ReadonlySet<string>; left: number; widths: number[]; height: number }) {
  const paths = { plain: "", chosen: "", gone: "" };
  let x = left;
  grid.columns.forEach((column: Column, number) => {
    const chain = vm.preview ? new Set<string>() : chosenChain(vm, shows, column.disk);
    for (const spot of column.spots.values()) {
      if (spot.below === null) continue;
      const base = column.spots.get(spot.below)!;
      const kind = doomed.has(spot.image) ? "gone" : chain.has(spot.image) && chain.has(base.image) ? "chosen" : "plain";
      const at = (found: Spot) => [x + NODE + found.lane * LANE, HEAD + (found.row + 0.5) * height] as const;
      paths[kind] += line(...at(spot), ...at(base), height);
    }
    x += widths[number]!;
  });
  const bottom = HEAD + grid.rows.length * height;
  return (
    <svg class="lines" width={x} height={bottom} aria-hidden="true" data-test="lines">
      <path class="plain" d={paths.plain} />
      <path class="chosen" d={paths.chosen} />
      <path class="gone" d={paths.gone} />
    </svg>
  );
}

function Tree({ spots, rows, height }: { spots: readonly Spot[]; rows: readonly Row[]; height: number }) {
  const at = (spot: Spot) => [16 + spot.lane * LANE, HEAD + (spot.row + 0.5) * height] as const;
  const path = spots.flatMap((spot) => (spot.below === null ? [] : [line(...at(spot), ...at(spots[spot.below]!), height)])).join("");
  return (
    <>
      <path d={path} />
      {spots.map((spot) => {
        const [cx, cy] = at(spot);
        return <circle key={rows[spot.row]!.key} cx={cx} cy={cy} r={rows[spot.row]!.kind === "snapshot" ? 4 : 6} class={rows[spot.row]!.kind} />;
      })}
    </>
  );
}

/** Left and right go to the next column; up and down are the radio buttons' own. */
function sideways(event: KeyboardEvent) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const input = event.target as HTMLElement;
  if (!step || input.tagName !== "INPUT" || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const cell = input.closest<HTMLTableCellElement>("td,th")!;
  const row = cell.parentElement as HTMLTableRowElement;
  const table = row.closest("table")!;
  for (let place = cell.cellIndex + step; place > 0 && place < row.cells.length; place += step) {
    const here = row.cells[place]!.querySelector<HTMLInputElement>("input:enabled");
    const column = [...table.tBodies[0]!.rows].flatMap((other) => [...other.cells[place]!.querySelectorAll<HTMLInputElement>("input:enabled")]);
    const next = here ?? column.find((found) => found.checked) ?? column[0];
    if (next) {
      next.focus();
      return;
    }
  }
}
