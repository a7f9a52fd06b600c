/** The field in which a person changes a value of a node, on top of the canvas. */
class Editor {
  constructor(stage) {
    this.stage = stage;
  }

  /**
   * Opens at [left, top, width] of the stage. `give` is called with the text once, where it was changed, and `reseed`
   * where another seed is asked for; `leave` with 0 when the keyboard ends it, with 1 or -1 when Tab does.
   */
  open(node, field, [left, top, width], { give, reseed, leave }) {
    this.close();
    const box = element("div", "cnb-graph-edit");
    const input = this.input(field);
    const shown = input.value; // what the page makes of a value may differ from it
    input.setAttribute("aria-label", `${field.name} of ${node.title}`);
    box.append(input);
    if (field.options.seed) box.append(button("⚄", "another seed", () => {
      this.drop();
      reseed();
      leave(0);
    }));
    this.at = { id: node.id, name: field.name };
    this.leave = leave;
    this.end = (isGiven) => {
      this.end = null; // to remove a field takes its focus, which ends it too
      box.remove();
      if (isGiven && input.value !== shown) give(input.value);
    };
    box.addEventListener("focusout", (event) => {
      if (!box.contains(event.relatedTarget)) this.close();
    });
    box.addEventListener("keydown", (event) => this.key(event, box));
    if (input.tagName === "SELECT") this.takeByPointer(input, leave);
    this.stage.append(box);
    box.style.width = `${Math.max(width, 140)}px`;
    box.style.left = `${Math.max(0, Math.min(left, this.stage.clientWidth - box.offsetWidth))}px`;
    box.style.top = `${Math.max(0, Math.min(top, this.stage.clientHeight - box.offsetHeight))}px`;
    input.focus({ preventScroll: true });
  }

  input({ kind, value, options }) {
    const isLong = kind === "text" && (options.multiline || String(value).includes("\n"));
    const choices = { bool: ["true", "false"], choice: options.choices }[kind];
    const input = element(choices ? "select" : isLong ? "textarea" : "input", "");
    const isGone = choices && !choices.includes(String(value)); // a file, say
    if (choices) input.append(...[...(isGone ? [value] : []), ...choices].map((choice) => new Option(choice, choice)));
    input.value = String(value);
    return input;
  }

  /** The arrow keys go through all choices, the pointer takes one. */
  takeByPointer(input, leave) {
    let isByKey = false;
    input.addEventListener("pointerdown", () => (isByKey = false));
    input.addEventListener("keydown", () => (isByKey = true));
    input.addEventListener("change", () => {
      if (isByKey) return;
      this.close();
      leave(0);
    });
  }

  key(event, box) {
    event.stopPropagation();
    if (event.isComposing) return;
    const isInput = event.target === box.firstChild;
    const ends = isInput && event.key === "Enter" && (event.target.tagName !== "TEXTAREA" || event.ctrlKey);
    const beside = event.shiftKey ? event.target.previousSibling : event.target.nextSibling;
    if (event.key === "Tab" && beside) beside.focus();
    else if (event.key === "Escape") this.drop();
    else if (event.key === "Tab" || ends) this.close();
    else return;
    event.preventDefault();
    if (!this.end) this.leave(event.key !== "Tab" ? 0 : event.shiftKey ? -1 : 1);
  }

  /** Ends an edit that is under way; what was typed counts. */
  close() {
    this.end?.(true);
  }

  /** Ends an edit that is under way; what was typed does not count. */
  drop() {
    this.end?.(false);
  }

  /** Ends an edit of what is no more. */
  keepTo({ nodes }) {
    const isThere = ({ id, fields }) => id === this.at.id && fields.some(({ name }) => name === this.at.name);
    if (!this.end || nodes.some(isThere)) return;
    this.drop();
    this.leave(0);
  }
}
