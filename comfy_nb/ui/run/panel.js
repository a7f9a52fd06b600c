// A run, drawn from one message a tick.
//
// The kernel writes all texts; this file puts them in place. A message has a `head`, `rows`, and `parts`: the pictures,
// texts and errors that rows refer to, each sent once; or it has what is in one of the `view`s below the rows. A row's
// elements are made once and then updated, so that scroll positions, selections, focus and what is unfolded survive.
//
// html.py writes the same elements when the runs are over.

const COPIED_MS = 1500;
const OVERLAP = 40;
const VIEWS = [
  ["timeline", "Timeline"],
  ["why", "Why"],
  ["graph", "Graph"],
];

const make = (tag, name, ...rest) => element(tag, `cnb-${name}`, ...rest);
const makeButton = (name, attributes, ...children) =>
  make("button", `button cnb-${name}`, { type: "button", ...attributes }, ...children);

/** Makes an element that unfolds `children` below its label. */
const makeFold = (name, label, ...children) => make("details", name, {}, make("summary", "label", {}, label), ...children);

/** A progress bar: `draw(0.3)` fills it to 30 %, `draw(undefined)` makes it indeterminate. */
class Meter {
  constructor(name) {
    this.fill = make("div", "fill");
    this.root = make("div", name, { role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }, this.fill);
  }

  draw(fraction, label) {
    if (fraction === this.fraction && label === this.label) return;
    this.fraction = fraction;
    this.label = label;
    this.root.setAttribute("aria-label", label);
    this.fill.style.transform = `scaleX(${fraction ?? 0})`;
    if (fraction === undefined) this.root.removeAttribute("aria-valuenow");
    else this.root.setAttribute("aria-valuenow", Math.round(fraction * 100));
  }
}

/** Sets a short text, and touches nothing if it is there already. */
function setText(target, text = "") {
  if (target.textContent === text) return;
  target.textContent = text;
}

/** Sets a text that mostly grows at its end and may lose its beginning; a selection in it survives. */
function growText(target, text) {
  const node = target.firstChild ?? target.appendChild(new Text());
  if (node.data === text) return;
  const start = node.data.indexOf(text.slice(0, OVERLAP));
  const kept = start < 0 ? "" : node.data.slice(start);
  if (kept && text.startsWith(kept)) {
    node.appendData(text.slice(kept.length));
    node.deleteData(0, start);
  } else {
    node.data = text;
  }
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // the clipboard needs https, and permission in a frame
    const area = make("textarea", "unseen", { readonly: "" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** The newest picture of a node: small, and large when unfolded. */
class Picture {
  constructor() {
    this.image = make("img", "image");
    this.root = makeFold("picture", this.image);
    this.root.hidden = true;
  }

  draw(name, data, title) {
    if (!data?.byteLength || name === this.name) return;
    this.close();
    this.name = name;
    this.url = URL.createObjectURL(new Blob([data]));
    this.image.src = this.url;
    this.image.alt = title;
    this.root.hidden = false;
  }

  close() {
    if (this.url) URL.revokeObjectURL(this.url);
  }
}

/** A node's error, with its traceback and a button that copies both. */
class Failure {
  constructor() {
    this.message = make("div", "message");
    this.trace = make("pre", "trace", { tabindex: 0 });
    this.fold = makeFold("fold", "Traceback", this.trace);
    this.copier = makeButton("quiet cnb-copy", {}, "Copy");
    this.copier.addEventListener("click", () => this.copy());
    this.root = make("div", "failure", {}, this.message, this.fold, this.copier);
    this.root.hidden = true;
  }

  draw(error) {
    if (error === undefined || !this.root.hidden) return;
    this.error = error;
    this.message.textContent = error.message;
    this.trace.textContent = error.traceback;
    this.fold.hidden = !error.traceback;
    this.root.hidden = false;
  }

  async copy() {
    const { node, message, traceback } = this.error;
    await copy([node ? `${node}: ${message}` : message, traceback].filter(Boolean).join("\n\n"));
    this.copier.textContent = "Copied";
    setTimeout(() => (this.copier.textContent = "Copy"), COPIED_MS);
  }
}

/** One node. */
class Row {
  constructor() {
    this.glyph = make("span", "glyph", { role: "img" });
    this.title = make("span", "title");
    this.kind = make("span", "kind");
    this.log = make("pre", "log");
    this.logReel = make("div", "reel", { tabindex: 0 }, this.log);
    this.bar = new Meter("bar");
    this.steps = make("span", "steps");
    this.percent = make("span", "percent");
    this.pace = make("span", "pace");
    this.time = make("span", "time");
    this.note = make("div", "note");
    this.text = make("div", "text");
    this.textReel = make("div", "reel", { tabindex: 0 }, this.text);
    this.failure = new Failure();
    this.picture = new Picture();
    const name = make("span", "name", {}, this.title, this.kind);
    const numbers = make("span", "numbers", {}, this.steps, this.percent, this.pace);
    const words = make("div", "words", {}, this.textReel, this.logReel, this.failure.root);
    const cells = [this.glyph, name, this.bar.root, numbers, this.time, this.picture.root, this.note, words];
    this.root = make("div", "row", { role: "listitem" }, ...cells);
  }

  draw(row, place, parts) {
    this.root.style.order = place; // moving elements would lose their scroll positions
    this.root.dataset.state = row.state;
    this.root.classList.toggle("cnb-child", Boolean(row.child));
    setText(this.glyph, row.glyph);
    this.glyph.setAttribute("aria-label", row.state);
    setText(this.title, row.title);
    this.title.title = row.title;
    setText(this.kind, row.kind);
    this.bar.draw(row.fraction, row.title);
    setText(this.steps, [row.calls, row.steps].filter(Boolean).join(" · "));
    setText(this.percent, row.percent);
    setText(this.pace, row.pace);
    setText(this.time, row.time);
    setText(this.note, row.note);
    this.drawText(row, parts);
    this.picture.draw(row.picture, parts.get(row.picture), row.title);
    this.failure.draw(parts.get(row.error));
  }

  drawText(row, parts) {
    this.textReel.hidden = !row.text;
    this.logReel.hidden = !row.log;
    this.logReel.setAttribute("aria-label", row.log_label);
    if (parts.has(row.text)) growText(this.text, parts.get(row.text));
    if (parts.has(row.log)) growText(this.log, parts.get(row.log));
  }

  close() {
    this.picture.close();
    this.root.remove();
  }
}

/** The run's state and counts. */
class Head {
  constructor() {
    this.glyph = make("span", "glyph", { "aria-hidden": true });
    this.state = make("span", "state", { role: "status" });
    this.counts = make("span", "counts");
    this.runs = make("span", "runs");
    this.cached = make("span", "cached");
    this.failed = make("span", "failed");
    this.left = make("span", "left");
    this.time = make("span", "time");
    this.bar = new Meter("overall");
    this.kept = this.bar.root.appendChild(make("div", "fill cnb-kept"));
    this.blocked = make("div", "blocked");
    const tally = make("span", "tally", {}, this.counts, " ", this.runs, " ", this.cached, " ", this.failed);
    const clock = make("span", "clock", {}, this.left, this.time);
    this.line = make("div", "head", {}, this.glyph, this.state, tally, clock);
    this.all = [this.line, this.bar.root, this.blocked];
  }

  draw(head) {
    setText(this.glyph, head.glyph);
    setText(this.state, head.state);
    setText(this.counts, head.counts);
    setText(this.runs, head.runs);
    setText(this.cached, head.cached);
    setText(this.failed, head.failed);
    setText(this.left, head.left);
    setText(this.time, head.time);
    setText(this.blocked, head.blocked);
    this.bar.draw(head.fraction, "the whole run");
    this.kept.style.transform = `scaleX(${head.kept})`;
  }
}

/** What a person may ask for below the rows: the kernel sends it as HTML from then on, or shows it below the panel. */
class Views {
  constructor(ask) {
    this.contents = new Map(VIEWS.map(([name]) => [name, make("div", "content")]));
    const folds = VIEWS.map(([name, label]) => {
      const fold = makeFold("view", label, this.contents.get(name));
      fold.addEventListener("toggle", () => ask({ view: name, isOpen: fold.open }));
      return fold;
    });
    this.root = make("div", "views", {}, ...folds);
  }

  draw(name, html) {
    this.contents.get(name).innerHTML = html;
  }
}

class Panel {
  constructor(host, ask) {
    this.rows = new Map();
    this.parts = new Map();
    this.list = make("div", "rows", { role: "list" });
    this.more = make("div", "more");
    this.head = new Head();
    this.views = new Views(ask);
    this.root = make("div", "panel", {}, ...this.head.all, this.list, this.more, this.views.root);
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") for (const row of this.rows.values()) row.picture.root.open = false;
    });
    host.append(this.root);
  }

  /** Accepts a message; it is drawn in the next frame, unless a newer one arrives before. */
  take(message, buffers) {
    if (message.view) {
      this.views.draw(message.view, message.html);
      return;
    }
    const pictures = message.pictures.map((name, place) => [name, buffers[place]]);
    const known = new Map([...this.parts, ...Object.entries(message.parts), ...pictures]);
    const named = message.rows.flatMap((row) => [row.picture, row.text, row.log, row.error]);
    this.parts = new Map(named.filter((name) => known.has(name)).map((name) => [name, known.get(name)]));
    this.message = message;
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = undefined;
    const { head, rows } = this.message;
    this.root.dataset.state = head.state;
    this.root.toggleAttribute("data-over", Boolean(head.over));
    this.head.draw(head);
    setText(this.more, head.more);
    const gone = new Set(this.rows.keys());
    rows.forEach((row, place) => {
      gone.delete(row.key);
      if (!this.rows.has(row.key)) this.add(row.key);
      this.rows.get(row.key).draw(row, place, this.parts);
    });
    for (const key of gone) this.remove(key);
  }

  add(key) {
    const row = new Row();
    this.rows.set(key, row);
    this.list.append(row.root);
  }

  remove(key) {
    this.rows.get(key).close();
    this.rows.delete(key);
  }

  close() {
    cancelAnimationFrame(this.frame);
    for (const key of [...this.rows.keys()]) this.remove(key);
  }
}

function render({ model, el }) {
  const panel = new Panel(el, (wanted) => model.send(wanted));
  const take = (message, buffers) => panel.take(message, buffers);
  model.on("msg:custom", take);
  model.send("shown"); // messages refer to parts that earlier ones carried
  return () => {
    model.off("msg:custom", take);
    model.send("removed");
    panel.close();
  };
}

export default { render: whenReady(render) };
