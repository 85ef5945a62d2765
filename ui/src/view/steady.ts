// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Preact components that are drawn again only when a property is another one.

import { Component, type ComponentChildren } from "preact";

export abstract class Steady<P extends object> extends Component<P> {
  override shouldComponentUpdate(next: Readonly<P>): boolean {
    const before = this.props as Record<string, unknown>;
    const after = next as Record<string, unknown>;
    for (const key in after) if (after[key] !== before[key]) return true;
    for (const key in before) if (!(key in after)) return true;
    return false;
  }

  abstract override render(): ComponentChildren;
}
