/** The field in which a person changes a value of a node, on top of the canvas. */
class Editor {
  constructor(stage) {
    this.stage = stage;
  }

  /** Opens at a place of the stage; `give` is called with the text once, where it was changed. */
  open(label, { kind, value, options }, left, top, width, give) {
    this.close();
    const isLong = kind === "text";
    const isChoice = kind === "choice" || kind === "bool";
    const input = element(isChoice ? "select" : isLong ? "textarea" : "input", "cnb-graph-edit");
    const choices = kind === "bool" ? ["true", "false"] : options.choices ?? [];
    if (isChoice) input.append(...choices.map((choice) => new Option(choice, choice)));
    input.value = String(value);
    input.setAttribute("aria-label", label);
    Object.assign(input.style, { left: `${Math.max(0, left)}px`, top: `${Math.max(0, top)}px`, width: `${Math.max(width, 140)}px` });
    if (isLong) input.style.height = "90px";
    this.end = (isGiven) => {
      this.end = null; // to remove a field takes its focus, which ends it too
      input.remove();
      if (isGiven && input.value !== String(value)) give(input.value);
    };
    const close = () => this.close();
    input.addEventListener("change", close);
    input.addEventListener("blur", close);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.end?.(false);
      if (event.key === "Enter" && (!isLong || event.ctrlKey)) close();
      event.stopPropagation();
    });
    this.stage.append(input);
    input.focus();
  }

  /** Ends an edit that is under way; what was typed counts. */
  close() {
    this.end?.(true);
  }
}
