// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import { useEffect, useLayoutEffect, useMemo, useReducer } from "preact/hooks";
import type { Connection } from "../emit";
import type { Vm } from "../model";
import { initial, type Profile, reduce, type State, toHash } from "../state";
import { many, size } from "../text";
import { verdictOn } from "../verdict";
import { Automation } from "./automation";
import { Icon } from "./icon";
import { Matrix } from "./matrix";
import { Creating, Result } from "./result";

export interface Settings extends Connection {
  profiles: Readonly<Record<string, Profile>>;
  /** Seconds since 1970. */
  now: number;
  /** When the page was made, in words. */
  collected: string;
}

export function App({ vm, settings }: { vm: Vm; settings: Settings }) {
  const [state, send] = useReducer((before: State, action: Parameters<typeof reduce>[2]) => reduce(vm, before, action), null, () => initial(vm, location.hash));
  const verdict = useMemo(() => verdictOn(vm, state, settings), [vm, state.mode, state.shows, state.accepted, state.ifRunning, state.snapshot, state.tab]);
  const creating = state.mode === "create" && !vm.preview;
  const hash = toHash(state.shows);
  useLayoutEffect(() => history.replaceState(null, "", hash || location.pathname + location.search), [hash]);
  useEffect(() => {
    const load = () => send({ do: "load", hash: location.hash });
    addEventListener("hashchange", load);
    return () => removeEventListener("hashchange", load);
  }, []);
  useEffect(() => {
    document.documentElement.dataset.theme = state.theme;
  }, [state.theme]);

  return (
    <>
      <a class="skip" href="#code" onClick={(event) => (event.preventDefault(), document.getElementById("code")?.focus())}>
        Skip to the task
      </a>
      <Header vm={vm} settings={settings} state={state} send={send} />
      <main>
        <section class="card matrix" aria-labelledby="matrix-title">
          <header>
            <div>
              <h2 id="matrix-title">{vm.preview ? "Snapshots and disk chains" : creating ? "Choose the disks of a snapshot" : "Compose a preview"}</h2>
              <p class="hint">
                {vm.preview
                  ? "The preview branches off the snapshots it was taken from; the state before it is kept for an undo."
                  : creating
                    ? "Choose the disks in the last rows. Nothing is changed by this page: copy the task below."
                    : "Pick one configuration and one image per disk. Nothing is changed by this page: copy the task below."}
              </p>
            </div>
            <div class="tools">
              {!vm.preview && (
                <label>
                  <span class="hidden">What to do</span>
                  <select value={state.mode} data-test="mode" onChange={(event) => send({ do: "set", value: { mode: event.currentTarget.value as State["mode"] } })}>
                    <option value="compose">Compose</option>
                    <option value="create">Take a snapshot</option>
                  </select>
                </label>
              )}
              <label>
                <span class="hidden">Filter</span>
                <input
                  type="search"
                  placeholder="Filter: name, #, date, vda, memory"
                  value={state.filter}
                  data-test="filter"
                  onInput={(event) => send({ do: "set", value: { filter: event.currentTarget.value } })}
                />
              </label>
              {!vm.preview && !creating && (
                <label>
                  Disks a row lacks{" "}
                  <select value={state.missing} data-test="missing" onChange={(event) => send({ do: "set", value: { missing: event.currentTarget.value as State["missing"] } })}>
                    <option value="keep">stay as they are</option>
                    <option value="exclude">are left out</option>
                  </select>
                </label>
              )}
              <label>
                <span class="hidden">Height of the rows</span>
                <select value={state.compact ? "compact" : "comfortable"} data-test="density" onChange={(event) => send({ do: "set", value: { compact: event.currentTarget.value === "compact" } })}>
                  <option value="comfortable">Comfortable</option>
                  <option value="compact">Compact</option>
                </select>
              </label>
              {!vm.preview && !creating && (
                <button type="button" data-test="reset" onClick={() => send({ do: "reset" })}>
                  <Icon name="reset" />
                  Reset
                </button>
              )}
            </div>
          </header>
          <Matrix
            vm={vm}
            state={state}
            shows={verdict.shows}
            doomed={verdict.doomed}
            editable={!vm.preview && !creating}
            creating={creating}
            now={settings.now}
            send={send}
          />
          <Legend />
        </section>
        <div class="columns">
          {creating ? (
            <Creating vm={vm} state={state} verdict={verdict} profiles={settings.profiles} send={send} />
          ) : (
            <Result vm={vm} state={state} verdict={verdict} send={send} />
          )}
          <Automation state={state} verdict={verdict} send={send} file={vm.name.replace(/[^A-Za-z0-9._-]/g, "_")} />
        </div>
      </main>
    </>
  );
}

function Header({ vm, settings, state, send }: { vm: Vm; settings: Settings; state: State; send: (action: Parameters<typeof reduce>[2]) => void }) {
  const disks = vm.disks.filter((disk) => !disk.removable);
  const deepest = Math.max(0, ...disks.map((disk) => vm.chain(vm.preview?.images.get(disk.id) ?? vm.leaf.get(disk.id)).length));
  const sizes = [...vm.images.values()].map((image) => image.size);
  const total = sizes.includes(null) ? "" : `${size(sizes.reduce<number>((sum, bytes) => sum + bytes!, 0))} in images`;
  const where = settings.uri ? `libvirt ${settings.uri}` : settings.auth ? "oVirt" : "";
  const facts = [where, many(disks.length, "disk"), many(vm.snapshots.length, "snapshot"), `deepest chain ${deepest}`, total].filter(Boolean);
  return (
    <header class="page">
      <div>
        <p class="kicker">Snapshot composer</p>
        <h1 data-test="vm-name">
          <bdi>{vm.name}</bdi>
        </h1>
        <p class="facts">
          <span class={vm.preview ? "power preview" : "power"} data-test="power">
            {vm.preview && <Icon name="eye" />}
            {vm.preview ? "in preview" : vm.power}
          </span>
          {facts.map((fact) => (
            <span key={fact}>{fact}</span>
          ))}
        </p>
      </div>
      <div class="meta">
        <span>{settings.collected}</span>
        <code data-test="fingerprint">{vm.fingerprint}</code>
        <label>
          <span class="hidden">Theme</span>
          <select value={state.theme} data-test="theme" onChange={(event) => send({ do: "set", value: { theme: event.currentTarget.value as State["theme"] } })}>
            <option value="auto">Auto theme</option>
            <option value="light">Light</option>
            <option value="dark">Dark</option>
          </select>
        </label>
      </div>
    </header>
  );
}

function Legend() {
  return (
    <ul class="legend" aria-label="Legend">
      <li>
        <i class="node" /> image
      </li>
      <li>
        <i class="node on" /> chosen
      </li>
      <li>
        <i class="stroke chosen" /> chain that the preview builds on
      </li>
      <li>
        <i class="stroke gone" /> deleted by a commit
      </li>
      <li>
        <i class="node barred" /> not usable
      </li>
    </ul>
  );
}
