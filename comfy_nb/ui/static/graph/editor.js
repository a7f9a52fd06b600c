/** The field in which a person changes a value of a node, on top of the canvas. */
class Editor {
  constructor(stage) {
    this.stage = stage;
    this.box = null;
  }

  /**
   * Opens at [left, top, width] of the stage. `give` is called with the text once, where it was changed; `leave` with 0
   * when the keyboard ends it, with 1 or -1 when Tab asks for the field after or before.
   */
  open(node, field, [left, top, width], { give, leave }) {
    this.close();
    this.field = { id: node.id, name: field.name, value: field.value };
    const input = this.input(field);
    input.setAttribute("aria-label", `${field.name} of ${node.title}`);
    this.box = element("div", "cnb-graph-edit");
    Object.assign(this.box.style, { left: `${Math.max(0, left)}px`, top: `${Math.max(0, top)}px`, width: `${Math.max(width, 140)}px` });
    this.box.append(input);
    if (field.options.seed) this.box.append(this.dice(input, field.options));
    this.end = (isGiven) => {
      this.end = null; // to remove a field takes its focus, which ends it too
      this.box.remove();
      if (isGiven && input.value !== String(field.value)) give(input.value);
    };
    let isByKey = false; // the arrow keys go through all choices, the pointer takes one
    input.addEventListener("pointerdown", () => (isByKey = false));
    input.addEventListener("change", () => {
      if (isByKey) return;
      this.close();
      leave(0);
    });
    input.addEventListener("blur", () => this.close());
    input.addEventListener("keydown", (event) => {
      isByKey = true;
      event.stopPropagation();
      if (event.key === "Escape") this.end?.(false);
      else if (event.key === "Tab" || (event.key === "Enter" && (field.kind !== "text" || event.ctrlKey))) this.close();
      else return;
      event.preventDefault();
      leave(event.key === "Tab" ? (event.shiftKey ? -1 : 1) : 0);
    });
    this.stage.append(this.box);
    input.focus();
  }

  input({ kind, value, options }) {
    const isChoice = kind === "choice" || kind === "bool";
    const input = element(isChoice ? "select" : kind === "text" ? "textarea" : "input", "");
    const choices = kind === "bool" ? ["true", "false"] : options.choices ?? [];
    if (isChoice) input.append(...choices.map((choice) => new Option(choice, choice)));
    input.value = String(value);
    return input;
  }

  dice(input, { min = 0, max = Infinity }) {
    const made = button("⚄", "another seed", () => {
      input.value = String(min + Math.floor(Math.random() * (Math.min(max, Number.MAX_SAFE_INTEGER) - min)));
      this.close();
    });
    made.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps its focus until then
    return made;
  }

  /** Whether what is being edited is as it was, or nothing is. */
  fits({ nodes }) {
    if (!this.end) return true;
    const field = nodes.find(({ id }) => id === this.field.id)?.fields.find(({ name }) => name === this.field.name);
    return field?.value === this.field.value;
  }

  /** Ends an edit that is under way; what was typed counts. */
  close() {
    this.end?.(true);
  }
}
