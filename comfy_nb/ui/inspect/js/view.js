// The view of a value. The kernel describes it in `message`, and sends pictures, values and curves on request: each
// request has a key, and only the newest request of a key is answered.

class InspectorView {
  constructor(model, el) {
    this.model = model;
    this.page = crypto.randomUUID?.() ?? String(Math.random());
    this.status = make("div", "status cnb-inspect-note", { role: "status" });
    this.requests = new Requests(model, (text) => (this.status.textContent = text));
    this.parts = make("div", "bar", { role: "group", "aria-label": "Parts" });
    this.stage = make("div", "held");
    this.text = make("pre", "text", { tabindex: 0, "aria-label": "Text" });
    this.statistics = new StatisticsPanel((index) => this.shown?.goTo(index));
    this.origin = make("div", "origin");
    this.root = element("div", "cnb-inspect comfy-nb-frame", { "data-lm-suppress-shortcuts": "true", role: "group", "aria-label": "Tensor view" },
      this.parts, this.status, this.stage, this.text, this.statistics.root, this.origin);
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
    this.requests.drop();
    this.shown?.close();
    const part = this.message.parts[place];
    const Kind = { pixels: PixelView, plot: PlotView }[part.view];
    this.shown = Kind ? new Kind(this.requests, place, part, this.message.limits) : undefined;
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
    this.statistics.show(this.message.parts[this.place], this.model.get("progress"));
    this.origin.textContent = this.message.origin;
  }

  close() {
    this.model.off("change:message change:progress", this.update);
    this.model.send({ ask: "close", page: this.page });
    this.requests.close();
    this.shown?.close();
    this.statistics.close();
  }
}

function render({ model, el }) {
  const view = new InspectorView(model, el);
  return () => view.close();
}

export default { render: whenReady(render) };
