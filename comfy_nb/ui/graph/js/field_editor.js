/** The field on top of the canvas in which a value of a node is edited. */
class FieldEditor {
  constructor(stage) {
    this.stage = stage;
  }

  /**
   * Opens at [left, top, width] of the stage. Calls `submit` with the text, once, if it was changed; `reseed` if another
   * seed is requested; `leave` with 0 when the keyboard ends the edit, with 1 or -1 when Tab does.
   */
  open(node, field, [left, top, width], { submit, reseed, leave }) {
    this.close();
    const box = element("div", "cnb-graph-edit");
    const input = this.input(field);
    const shown = input.value; // the page may write a value differently
    input.setAttribute("aria-label", `${field.name} of ${node.title}`);
    box.append(input);
    if (field.options.seed) box.append(button("⚄", "another seed", () => {
      this.drop();
      reseed();
      leave(0);
    }));
    this.at = { id: node.id, name: field.name };
    this.leave = leave;
    this.end = (isSubmitted) => {
      this.end = null; // removing a field takes its focus, which would end it again
      box.remove();
      if (isSubmitted && input.value !== shown) submit(input.value);
    };
    box.addEventListener("focusout", (event) => {
      if (!box.contains(event.relatedTarget)) this.close();
    });
    box.addEventListener("keydown", (event) => this.key(event, box));
    if (input.tagName === "SELECT") this.closeOnPointerChoice(input, leave);
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
    const isGone = choices && !choices.includes(String(value)); // such as a file
    if (choices) input.append(...[...(isGone ? [value] : []), ...choices].map((choice) => new Option(choice, choice)));
    input.value = String(value);
    return input;
  }

  /** A choice made with the pointer ends the edit; the arrow keys may go on through the choices. */
  closeOnPointerChoice(input, leave) {
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

  /** Ends the edit and submits what was typed. */
  close() {
    this.end?.(true);
  }

  /** Ends the edit and drops what was typed. */
  drop() {
    this.end?.(false);
  }

  /** Ends the edit of a field that no longer exists. */
  keepTo({ nodes }) {
    const isThere = ({ id, fields }) => id === this.at.id && fields.some(({ name }) => name === this.at.name);
    if (!this.end || nodes.some(isThere)) return;
    this.drop();
    this.leave(0);
  }
}
