// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Action, State } from "../state";
import type { Verdict } from "../verdict";
import { Icon } from "./icon";

export function Automation({ state, verdict, send, file }: { state: State; verdict: Verdict; send: (action: Action) => void; file: string }) {
  const [said, say] = useState("");
  const code = useRef<HTMLPreElement>(null);
  useLayoutEffect(() => say(""), [verdict.code]);
  const active = verdict.tabs.some((tab) => tab.id === state.tab) ? state.tab : verdict.tabs[0]!.id;

  const choose = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const place = verdict.tabs.findIndex((tab) => tab.id === active);
    const next = verdict.tabs[(place + step + verdict.tabs.length) % verdict.tabs.length]!;
    send({ do: "set", value: { tab: next.id } });
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(verdict.code);
      say("Copied");
    } catch {
      // Where a page may not use the clipboard, it may still select the text.
      getSelection()!.selectAllChildren(code.current!);
      say(document.execCommand("copy") ? "Copied" : "Selected: copy it with the keyboard");
    }
  };
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([verdict.code], { type: "text/plain" }));
    link.download = `${file}-${active}.${active === "vars" ? "json" : "yml"}`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return (
    <section class="card automation" aria-labelledby="automation-title">
      <header>
        <h2 id="automation-title">Automation</h2>
        <span class="said" role="status" data-test="said">
          {said}
        </span>
        <button type="button" onClick={save} disabled={!verdict.code} data-test="download">
          <Icon name="save" />
          Save
        </button>
        <button type="button" class="primary" onClick={copy} disabled={!verdict.code} data-test="copy">
          <Icon name="copy" />
          Copy
        </button>
      </header>
      <div role="tablist" aria-label="What to hand over" onKeyDown={choose}>
        {verdict.tabs.map((tab) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`tab-${tab.id}`}
            aria-selected={tab.id === active}
            aria-controls="code"
            tabIndex={tab.id === active ? 0 : -1}
            data-test={`tab-${tab.id}`}
            onClick={() => send({ do: "set", value: { tab: tab.id } })}
          >
            {tab.title}
          </button>
        ))}
      </div>
      {verdict.playbook && (
        <p class="hint playbook">
          For a job template that runs <code>{verdict.playbook}</code>
        </p>
      )}
      <pre id="code" role="tabpanel" aria-labelledby={`tab-${active}`} tabIndex={0} ref={code} data-test="code" data-ready={verdict.code ? "yes" : "no"}>
        {verdict.code || verdict.placeholder}
      </pre>
    </section>
  );
}
