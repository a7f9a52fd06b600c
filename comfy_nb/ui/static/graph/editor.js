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
    let isOver = false;
    const end = (isGiven) => {
      if (isOver) return;
      isOver = true;
      if (isGiven && input.value !== String(value)) give(input.value);
      this.close();
    };
    input.addEventListener("change", () => end(true));
    input.addEventListener("blur", () => end(true));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") end(false);
      if (event.key === "Enter" && (!isLong || event.ctrlKey)) end(true);
      event.stopPropagation();
    });
    this.input = input;
    this.stage.append(input);
    input.focus();
  }

  close() {
    const { input } = this;
    this.input = null;
    input?.remove();
  }
}
