// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import { type Issue, type Verdict } from "../verdict";
import { type Change, configChanges } from "../hardware";
import type { Loss } from "../losses";
import { type Composition, EXCLUDED, type Vm } from "../model";
import type { Action, Profile, State } from "../state";
import { list, many, size } from "../text";
import { Icon } from "./icon";

type Send = (action: Action) => void;
const ICON = { error: "error", danger: "danger", warning: "danger", info: "info" } as const;

export function Issues({ issues, state, send }: { issues: readonly Issue[]; state: State; send: Send }) {
  const accept = (what: "memory" | "removal", value: boolean) =>
    state.mode === "create" && what === "memory" ? send({ do: "snapshot", value: { allow_partial_memory: value } }) : send({ do: "accept", what, value });
  return (
    <div role="status">
      <ul class="issues">
        {issues.map((issue, place) => (
          <li key={`${issue.code} ${place}`} class={issue.level} data-test="issue" data-code={issue.code} data-level={issue.level}>
            <Icon name={ICON[issue.level]} />
            <span>{issue.says}</span>
            {issue.accept && (
              <label class="accept">
                <input
                  type="checkbox"
                  checked={issue.accept.on}
                  data-test="ack"
                  onChange={(event) => accept(issue.accept!.what, event.currentTarget.checked)}
                />
                I accept this risk
              </label>
            )}
            {issue.running && (
              <label class="accept">
                If it runs
                <select
                  value={state.ifRunning}
                  data-test="if-running"
                  onChange={(event) => send({ do: "set", value: { ifRunning: event.currentTarget.value as State["ifRunning"] } })}
                >
                  <option value="fail">refuse</option>
                  <option value="shutdown">shut down</option>
                  <option value="poweroff">power off</option>
                </select>
              </label>
            )}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** One plain sentence; the disks by where they come from. */
export function Sentence({ vm, shows }: { vm: Vm; shows: Composition }) {
  const groups = new Map<string, string[]>();
  const put = (source: string, disk: string) => groups.set(source, [...(groups.get(source) ?? []), vm.disk(disk).target || vm.label(disk)]);
  for (const [disk, source] of shows.disks) if (source !== EXCLUDED) put(source, disk);
  for (const [disk, source] of shows.disks) if (source === EXCLUDED) put(EXCLUDED, disk);
  const kept = vm.disks.filter((disk) => !disk.removable && !shows.disks.has(disk.id)).map((disk) => disk.target || disk.name);
  const config =
    shows.config === null ? (
      "the current configuration"
    ) : (
      <>
        the configuration{shows.memory ? " and memory" : ""} of{" "}
        <b>
          #{vm.number(shows.config)} <bdi>{vm.snapshotName(shows.config)}</bdi>
        </b>
      </>
    );
  return (
    <p class="sentence" data-test="sentence">
      <b>
        <bdi>{vm.name}</bdi>
      </b>{" "}
      with {config}
      {[...groups].map(([source, disks]) => (
        <span key={source}>
          {"; "}
          {list(disks)}{" "}
          {source === EXCLUDED ? (
            <b class="out">left out</b>
          ) : (
            <b class="from">
              from #{vm.number(source)} <bdi>{vm.snapshotName(source)}</bdi>
            </b>
          )}
        </span>
      ))}
      {kept.length > 0 && (
        <>
          ; {list(kept)} <b>kept as {kept.length > 1 ? "they are" : "it is"}</b>
        </>
      )}
      .
    </p>
  );
}

export function Result({ vm, state, verdict, send }: { vm: Vm; state: State; verdict: Verdict; send: Send }) {
  const { shows, commit } = verdict;
  const taken = [...shows.disks.values()].filter((source) => source !== EXCLUDED).length;
  const out = shows.disks.size - taken;
  const attached = vm.disks.filter((disk) => !disk.removable).length;
  const config = shows.config === null ? null : vm.snapshot(shows.config);
  const previewing = vm.preview !== null;
  return (
    <section class="card" aria-labelledby="result-title" data-test="result-card">
      <header>
        <h2 id="result-title">{previewing ? "In preview" : "Result: the state to preview"}</h2>
        <span class="aside">
          {taken} of {many(attached, "disk")} from a snapshot{out ? `, ${out} left out` : ""}
        </span>
      </header>
      <Issues issues={verdict.issues} state={state} send={send} />
      <Sentence vm={vm} shows={shows} />
      <div class="pair">
        <div class="box">
          <h3>
            <Icon name="config" />
            Configuration
          </h3>
          <b data-test="card-config">
            <bdi>{config ? config.name : "as it is now"}</bdi>
          </b>
          {config && <Hardware vm={vm} shows={shows} />}
        </div>
        <div class="box">
          <h3>
            <Icon name="memory" />
            Memory
          </h3>
          <b data-test="card-memory">{shows.memory ? "resumed" : "cold boot"}</b>
          <small>{shows.memory ? "at the first start only" : config?.memory ? "the saved memory is not used" : config ? "none was saved with it" : ""}</small>
        </div>
        <div class="box">
          <h3 class="commit">
            <Icon name="done" />
            {previewing ? "Commit" : "If you then commit"}
          </h3>
          <Forecast vm={vm} loss={commit} shows={shows} />
        </div>
        <div class="box">
          <h3 class="undo">
            <Icon name="reset" />
            {previewing ? "Undo" : "If you undo"}
          </h3>
          <Return vm={vm} shows={shows} loss={verdict.undo} />
        </div>
      </div>
    </section>
  );
}

/** What the configuration changes besides disks. */
function Hardware({ vm, shows }: { vm: Vm; shows: Composition }) {
  const lines = configChanges(vm, shows).map(({ what, now, then }) => `${what}: ${part(now)} \u2192 ${part(then)}`);
  const known = vm.hardware && vm.snapshot(shows.config!).hardware;
  return <small data-test="changes">{lines.join("; ") || (known ? "same hardware" : "hardware unknown")}</small>;
}

function part(value: Change["now"]): string {
  return Number(value) > 9999 ? size(Number(value)) : String(value ?? "?") || "-";
}

function Forecast({ vm, loss, shows }: { vm: Vm; loss: Loss; shows: Composition }) {
  const numbers = (names: readonly string[]) => list(names.map((name) => `#${vm.snapshots.findIndex((snapshot) => snapshot.name === name) + 1} ${name}`));
  const reduced = Object.keys(loss.snapshots_reduced);
  return (
    <ul data-test="forecast-commit" data-images={loss.images.length} data-bytes={loss.size === null ? "unknown" : loss.size}>
      <li>
        {loss.images.length ? (
          <>
            <b>{many(loss.images.length, "image")}</b> deleted, {loss.size === null ? "size unknown" : `${size(loss.size)} freed`}
          </>
        ) : (
          "no image is deleted"
        )}
      </li>
      {loss.disks.length > 0 && (
        <li class="out" data-test="forecast-disks">
          <b>{list(loss.disks)}</b> {vm.can.unplugs ? (shows.config === null ? "unplugged" : "deleted for good") : "detached, files kept"}
        </li>
      )}
      {loss.left_behind.length > 0 && <li data-test="forecast-left-behind">{many(loss.left_behind.length, vm.can.unplugs ? "disk" : "image")} left behind: {list(loss.left_behind, 2)}</li>}
      {loss.snapshots_removed.length > 0 && <li data-test="forecast-removed">{numbers(loss.snapshots_removed)} removed: nothing of them is left</li>}
      {reduced.length > 0 && <li data-test="forecast-reduced">{reduced.map((name) => `${numbers([name])} without ${list(loss.snapshots_reduced[name]!)}`).join("; ")}</li>}
      {loss.without_config.length > 0 && <li data-test="forecast-without-config">{numbers(loss.without_config)} left without configuration</li>}
      {loss.backup_impact && <li>the next backup must be a full one</li>}
    </ul>
  );
}

function Return({ vm, shows, loss }: { vm: Vm; shows: Composition; loss: Loss }) {
  const kept = vm.disks.filter((disk) => !disk.fixed && !shows.disks.has(disk.id)).map((disk) => disk.target || disk.name);
  const changed = shows.disks.size > 0 || shows.config !== null;
  return (
    <ul data-test="forecast-undo">
      <li>the VM is back exactly where {vm.preview ? "the preview was opened" : "it is now"}</li>
      {vm.preview ? (
        <li>
          {many(loss.images.length, "image")} of the preview deleted, {size(loss.size)} written meanwhile lost
        </li>
      ) : (
        changed && <li>all that was written during the preview is lost</li>
      )}
      {changed && kept.length > 0 && <li>what was written to {list(kept)} meanwhile stays</li>}
    </ul>
  );
}

export function Creating({ vm, state, verdict, profiles, send }: { vm: Vm; state: State; verdict: Verdict; profiles: Readonly<Record<string, Profile>>; send: Send }) {
  const wanted = state.snapshot;
  const attached = vm.disks.filter((disk) => !disk.removable).length;
  return (
    <section class="card" aria-labelledby="create-title" data-test="create-card">
      <header>
        <h2 id="create-title">Take a snapshot</h2>
        <span class="aside">
          {wanted.disks.length} of {many(attached, "disk")}
        </span>
      </header>
      <Issues issues={verdict.issues} state={state} send={send} />
      <div class="form">
        <label>
          Name
          <input type="text" value={wanted.name} data-test="name" maxLength={240} onInput={(event) => send({ do: "snapshot", value: { name: event.currentTarget.value } })} />
        </label>
        <label>
          Description
          <input type="text" value={wanted.description} data-test="description" onInput={(event) => send({ do: "snapshot", value: { description: event.currentTarget.value } })} />
        </label>
        {Object.keys(profiles).length > 0 && (
          <label>
            Profile
            <select
              value={state.profile}
              data-test="profile"
              onChange={(event) => send({ do: "profile", name: event.currentTarget.value, profile: profiles[event.currentTarget.value] ?? null })}
            >
              <option value="">chosen by hand</option>
              {Object.keys(profiles).map((name) => (
                <option value={name}>{name}</option>
              ))}
            </select>
          </label>
        )}
        <label>
          Freeze the guest
          <select value={wanted.quiesce} data-test="quiesce" onChange={(event) => send({ do: "snapshot", value: { quiesce: event.currentTarget.value as typeof wanted.quiesce } })}>
            <option value="preferred">if it can be</option>
            <option value="required">or fail</option>
            <option value="never">no</option>
          </select>
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={wanted.memory}
            data-test="save-memory"
            onChange={(event) => send({ do: "snapshot", value: { memory: event.currentTarget.checked, allow_partial_memory: false } })}
          />
          Save the memory too{vm.power === "down" ? " (the VM was down)" : ""}
        </label>
      </div>
      <p class="sentence" data-test="sentence">
        The configuration of <b><bdi>{vm.name}</bdi></b>
        {wanted.disks.length ? ` and ${list(wanted.disks.map((disk) => vm.disk(disk).target || vm.label(disk)))}` : ""}
        {wanted.memory ? ", with memory" : ""}. Disks that are not taken are neither touched nor copied.
      </p>
    </section>
  );
}
