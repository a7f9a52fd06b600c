// A value to look at. The kernel sends what there is to say in `message`, and pictures, values and curves on demand:
// each question has a key, and only the newest question of a key is answered.

class View {
  constructor(model, el) {
    this.model = model;
    this.page = crypto.randomUUID?.() ?? String(Math.random());
    this.said = make("div", "said cnb-look-note", { role: "status" });
    this.line = new Line(model, (text) => (this.said.textContent = text));
    this.parts = make("div", "bar", { role: "group", "aria-label": "Parts" });
    this.stage = make("div", "held");
    this.text = make("pre", "text", { tabindex: 0, "aria-label": "Text" });
    this.facts = new Facts((index) => this.shown?.goTo(index));
    this.who = make("div", "who");
    this.root = make("div", "", { "data-lm-suppress-shortcuts": "true", role: "group", "aria-label": "Tensor view" },
      this.parts, this.said, this.stage, this.text, this.facts.root, this.who);
    el.append(this.root);
    this.update = this.update.bind(this);
    model.on("change:message change:progress", this.update);
    model.send({ ask: "open", page: this.page });
    this.open(0);
  }

  get message() {
    return this.model.get("message");
  }

  open(place) {
    this.place = place;
    this.line.drop();
    this.shown?.close();
    const part = this.message.parts[place];
    const Kind = { pixels: Pixels, plot: Plot }[part.view];
    this.shown = Kind ? new Kind(this.line, place, part) : undefined;
    this.stage.replaceChildren(...(this.shown ? [this.shown.root] : []));
    this.text.textContent = part.text;
    this.text.hidden = !part.text;
    this.buttons();
    this.update();
  }

  buttons() {
    const parts = this.message.parts;
    this.parts.hidden = parts.length < 2;
    this.parts.replaceChildren(...parts.map((part, place) => {
      const made = button(part.name || part.kind, `Show ${part.name || part.kind}`, () => this.open(place));
      made.setAttribute("aria-pressed", place === this.place);
      return made;
    }));
  }

  update() {
    this.facts.show(this.message.parts[this.place], this.model.get("progress"));
    this.who.textContent = this.message.who;
  }

  close() {
    this.model.off("change:message change:progress", this.update);
    this.model.send({ ask: "close", page: this.page });
    this.line.close();
    this.shown?.close();
    this.facts.close();
  }
}

function render({ model, el }) {
  const view = new View(model, el);
  return () => view.close();
}

export default { render: whenReady(render) };
