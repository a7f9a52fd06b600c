const REST_MS = 120;

/** What is under the pointer, in words; what values are there is asked for where the pointer rests. */
class Tip {
  constructor(stage, ask) {
    this.stage = stage;
    this.ask = ask;
    this.words = new Map(); // by node, a line for each of its outputs
    this.root = element("div", "cnb-graph-tip");
    this.root.hidden = true;
    stage.append(this.root);
  }

  show(event, lines, node, slot) {
    Object.assign(this, { lines, id: node.id, slot });
    this.root.hidden = false;
    this.root.style.left = `${Math.max(0, Math.min(event.offsetX + 14, this.stage.clientWidth - 330))}px`;
    this.root.style.top = `${Math.min(event.offsetY + 14, this.stage.clientHeight - 90)}px`;
    this.write();
    this.rest();
  }

  rest() {
    clearTimeout(this.resting);
    const { id } = this;
    if (!this.words.has(id)) this.resting = setTimeout(() => this.ask(id), REST_MS);
  }

  write() {
    const words = this.words.get(this.id) ?? [];
    const seen = this.slot === undefined ? words : words.slice(this.slot, this.slot + 1);
    this.root.textContent = [...this.lines, ...seen].filter(Boolean).join("\n");
  }

  take(id, words) {
    this.words.set(id, words);
    if (!this.root.hidden && this.id === id) this.write();
  }

  /** The node has come to another state. */
  forget(id) {
    this.words.delete(id);
    if (this.root.hidden || this.id !== id) return;
    this.write();
    this.rest();
  }

  hide() {
    clearTimeout(this.resting);
    this.root.hidden = true;
  }
}
