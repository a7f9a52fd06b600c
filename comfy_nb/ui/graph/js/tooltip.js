// The tooltip of what the pointer rests on.

const REST_MS = 120;

/** Describes what is under the pointer; the values of a node are requested once the pointer rests. */
class Tooltip {
  constructor(stage, requestValues) {
    this.stage = stage;
    this.requestValues = requestValues;
    this.values = new Map(); // by node, a line for each of its outputs
    this.root = element("div", "cnb-graph-tooltip");
    this.root.hidden = true;
    stage.append(this.root);
  }

  show(event, lines, node, slot) {
    Object.assign(this, { lines, id: node.id, slot });
    this.root.hidden = false;
    this.root.style.left = `${Math.max(0, Math.min(event.offsetX + 14, this.stage.clientWidth - 330))}px`;
    this.root.style.top = `${Math.min(event.offsetY + 14, this.stage.clientHeight - 90)}px`;
    this.write();
    this.requestLater();
  }

  requestLater() {
    clearTimeout(this.timer);
    const { id } = this;
    if (!this.values.has(id)) this.timer = setTimeout(() => this.requestValues(id), REST_MS);
  }

  write() {
    const values = this.values.get(this.id) ?? [];
    const shown = this.slot === undefined ? values : values.slice(this.slot, this.slot + 1);
    this.root.textContent = [...this.lines, ...shown].filter(Boolean).join("\n");
  }

  setValues(id, lines) {
    this.values.set(id, lines);
    if (!this.root.hidden && this.id === id) this.write();
  }

  /** The state of the node has changed. */
  forget(id) {
    this.values.delete(id);
    if (this.root.hidden || this.id !== id) return;
    this.write();
    this.requestLater();
  }

  hide() {
    clearTimeout(this.timer);
    this.root.hidden = true;
  }
}
