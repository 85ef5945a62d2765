// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// What the page hands over: options of the modules, as a task, a play, or extra variables. Ids do the work; names are only comments.

import type { Allowed } from "./compose";
import type { Wanted } from "./create";
import { type Composition, CURRENT, EXCLUDED, type Vm } from "./model";

export type Scalar = string | boolean;
export type Option = Scalar | readonly Option[] | { readonly [key: string]: Option };
export type Options = { [key: string]: Option };

/** How the modules find the hypervisor, and where the play runs. */
export interface Connection {
  uri?: string;
  /** A variable that holds the connection to the engine. */
  auth?: string;
  hosts: string;
}

/** A composition, as the modules' options. */
export function compositionOptions(shows: Composition): Options {
  const disks = [...shows.disks].map(([disk, source]): Option => (source === EXCLUDED ? { disk, exclude: true } : { disk, snapshot: source }));
  return { config: shows.config ?? CURRENT, memory: shows.memory, disks };
}

export function composingOptions(vm: Vm, shows: Composition, allowed: Allowed, verb: "preview" | "restore"): Options {
  const options: Options = { vm: vm.id, ...compositionOptions(shows) };
  if (shows.memory && allowed.allow_partial_memory) options.allow_partial_memory = true;
  const excludes = [...shows.disks.values()].includes(EXCLUDED);
  if (excludes && allowed.allow_disk_removal && (verb === "restore" || (vm.can.unplugs && shows.config !== null))) options.allow_disk_removal = true;
  if (allowed.if_running !== "fail") options.if_running = allowed.if_running;
  if (vm.fingerprint) options.expect_fingerprint = vm.fingerprint;
  return options;
}

export function leavingOptions(vm: Vm, verb: "commit" | "undo", allowed: Allowed): Options {
  const options: Options = { vm: vm.id, expect_preview: true };
  if (verb === "commit" && allowed.allow_disk_removal) options.allow_disk_removal = true;
  if (allowed.if_running !== "fail") options.if_running = allowed.if_running;
  if (vm.fingerprint) options.expect_fingerprint = vm.fingerprint;
  return options;
}

export function creatingOptions(vm: Vm, wanted: Wanted): Options {
  const options: Options = { vm: vm.id, snapshot: wanted.name };
  if (wanted.description) options.description = wanted.description;
  options.disks = [...wanted.disks];
  options.memory = wanted.memory;
  options.quiesce = wanted.quiesce;
  if (wanted.memory && wanted.allow_partial_memory) options.allow_partial_memory = true;
  if (vm.fingerprint) options.expect_fingerprint = vm.fingerprint;
  return options;
}

// YAML ------------------------------------------------------------------------------------------------------------------------------

/** Text that is written as it stands: a template of Ansible's, or a keyword. */
class Raw {
  constructor(readonly text: string) {}
}

const raw = (text: string): Raw => new Raw(text);
type Node = Scalar | Raw | readonly Node[] | { readonly [key: string]: Node };

/** A comment that stands behind the line of a scalar, by the path of the scalar: "disks.0.disk". */
export type Comments = Readonly<Record<string, string>>;

/** A string in double quotes, all ASCII; what Ansible would take for a template is marked as plain data. */
export function quoted(text: string): string {
  let found = "";
  for (const char of text) {
    const code = char.codePointAt(0)!;
    if (char === '"' || char === "\\") found += `\\${char}`;
    else if (code >= 0x20 && code < 0x7f) found += char;
    else if (code > 0xffff) found += `\\U${code.toString(16).padStart(8, "0")}`;
    else found += `\\u${code.toString(16).padStart(4, "0")}`;
  }
  return `${/\{[{%#]/.test(text) ? "!unsafe " : ""}"${found}"`;
}

/** A name in a comment: one line, nothing invisible, no direction of its own, and short. */
export function comment(text: string): string {
  const clean = text.replace(/[^\x20-\x7e\p{L}\p{N}\p{M}]/gu, "?");
  return clean.length > 70 ? `${[...clean].slice(0, 69).join("")}...` : clean;
}

class Writer {
  constructor(private readonly comments: Comments) {}

  /** The lines of a list, each item at this indentation. */
  list(items: readonly Node[], indent: string, path = ""): string[] {
    return items.flatMap((item, number) => {
      const [first, ...rest] = isMapping(item) ? this.mapping(item, `${indent}  `, join(path, number)) : this.value(item, indent, join(path, number));
      return [`${indent}- ${first!.trimStart()}`, ...rest];
    });
  }

  private mapping(node: { readonly [key: string]: Node }, indent: string, path: string): string[] {
    return Object.entries(node).flatMap(([key, inner]) => {
      const [first, ...rest] = this.value(inner, `${indent}  `, join(path, key));
      return [`${indent}${key}:${first}`, ...rest];
    });
  }

  /** What stands behind "key:", and the lines below it. */
  private value(node: Node, indent: string, path: string): string[] {
    const said = this.comments[path];
    const behind = said ? `  # ${comment(said)}` : "";
    if (node instanceof Raw) return [` ${node.text}${behind}`];
    if (typeof node === "boolean") return [` ${node}${behind}`];
    if (typeof node === "string") return [` ${quoted(node)}${behind}`];
    if (isMapping(node)) return [behind, ...this.mapping(node, indent, path)];
    return node.length ? [behind, ...this.list(node, indent, path)] : [` []${behind}`];
  }
}

const join = (path: string, key: string | number): string => (path ? `${path}.${key}` : `${key}`);

function isMapping(node: Node): node is { readonly [key: string]: Node } {
  return typeof node === "object" && !(node instanceof Raw) && !Array.isArray(node);
}

const yaml = (items: readonly Node[], comments: Comments): string => `${new Writer(comments).list(items, "").join("\n")}\n`;

function task(name: string, verb: string, options: Options, connection: Connection, more: { [key: string]: Node } = {}): { [key: string]: Node } {
  return { name, [`diskwise.vm.snapshot_${verb}`]: connected(options, connection), ...more };
}

function connected(options: Options, connection: Connection): { [key: string]: Node } {
  const { vm, ...rest } = options;
  return {
    vm: vm as Node,
    ...(connection.uri ? { uri: connection.uri } : {}),
    ...(connection.auth ? { auth: raw(`"{{ ${connection.auth} }}"`) } : {}),
    ...(rest as { [key: string]: Node }),
  };
}

const NAMES = {
  preview: "Preview a composition",
  restore: "Restore a composition",
  commit: "Keep the previewed state",
  undo: "Go back to the state before the preview",
  create: "Take a snapshot",
};

/** What the ids of the options mean, as comments behind them. */
export function meanings(vm: Vm, prefix: string, options: Options): Comments {
  const found: Record<string, string> = {};
  const say = (path: string, id: string, name: string) => {
    if (name !== id) found[prefix + path] = name;
  };
  say("vm", vm.id, vm.name);
  if (typeof options.config === "string" && options.config !== CURRENT) say("config", options.config, vm.snapshotName(options.config));
  const disks = Array.isArray(options.disks) ? options.disks : [];
  disks.forEach((entry: Option, number: number) => {
    if (typeof entry === "string") say(`disks.${number}`, entry, vm.label(entry));
    else {
      const { disk, snapshot } = entry as { disk: string; snapshot?: string };
      say(`disks.${number}.disk`, disk, vm.label(disk));
      if (snapshot) say(`disks.${number}.snapshot`, snapshot, vm.snapshotName(snapshot));
    }
  });
  if (options.expect_fingerprint) found[`${prefix}expect_fingerprint`] = "refused if anything changed since";
  return found;
}

export function taskText(vm: Vm, verb: keyof typeof NAMES, options: Options, connection: Connection): string {
  return yaml([task(NAMES[verb], verb, options, connection)], meanings(vm, `0.diskwise.vm.snapshot_${verb}.`, options));
}

export function playText(vm: Vm, shows: Composition, allowed: Allowed, connection: Connection): string {
  const preview = composingOptions(vm, shows, allowed, "preview");
  const composition = compositionOptions(shows);
  const ending: Options = { vm: vm.id, composition, if_running: allowed.if_running === "fail" ? "shutdown" : allowed.if_running };
  const removing: Options = allowed.allow_disk_removal && [...shows.disks.values()].includes(EXCLUDED) ? { allow_disk_removal: true } : {};
  const commit = connected({ ...ending, ...removing }, connection);
  const play: { [key: string]: Node } = {
    name: "Preview a composition, verify it, then keep it or go back",
    hosts: connection.hosts,
    gather_facts: false,
    tasks: [
      {
        name: "Preview, verify, keep",
        block: [
          task(NAMES.preview, "preview", preview, connection, { register: "shown" }),
          {
            name: "Verify what is shown; add your own checks here, a check that fails undoes the preview",
            "ansible.builtin.assert": { that: ["shown.vm.preview is not none"], quiet: true },
          },
          { name: NAMES.commit, "diskwise.vm.snapshot_commit": { ...commit, expect_preview: raw('"{{ not ansible_check_mode }}"') }, register: "kept" },
          { name: "Say what is gone", "ansible.builtin.debug": { var: "kept.loss.says" } },
        ],
        rescue: [
          task(NAMES.undo, "undo", ending, connection),
          { name: "Say why", "ansible.builtin.fail": { msg: raw('"{{ ansible_failed_result.msg | default(\'a check failed\') }}"') } },
        ],
      },
    ],
  };
  return `---\n${yaml([play], meanings(vm, "0.tasks.0.block.0.diskwise.vm.snapshot_preview.", preview))}`;
}

/** Option -> variable of the collection's playbooks, where the name is not the same with "diskwise_" in front. */
const VARIABLES: Readonly<Record<string, Readonly<Record<string, string>>>> = { preview: { disks: "choices" }, create: {} };
export const PLAYBOOKS = { preview: "diskwise.vm.preview_open", create: "diskwise.vm.snapshot_create" };

/** For "prompt on launch" of a job template that runs the playbook of that verb. JSON is YAML too. */
export function extraVars(verb: keyof typeof PLAYBOOKS, options: Options, connection: Connection): string {
  const { vm, ...rest } = options;
  const given: Options = { vm: vm!, ...(connection.uri ? { uri: connection.uri } : {}), ...rest };
  // To a playbook, an empty list is no answer.
  if (verb === "create" && Array.isArray(given.disks) && !given.disks.length) given.disks = "none";
  const found = Object.fromEntries(Object.entries(given).map(([name, value]) => [`diskwise_${VARIABLES[verb]![name] ?? name}`, value]));
  return `${JSON.stringify(found, null, 2).replace(/[^\n\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)}\n`;
}
