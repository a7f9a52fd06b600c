// A value to look at. The kernel sends what there is to say in `message`, and pictures, values and curves on demand:
// each question has a key, and only the newest question of a key is answered.

const ASK_AFTER_MS = 40;
const WAITING_AFTER_MS = 1500;
const TEXT_FROM_PX = 34;
const TEXTS_MAX = 4000;
const ZOOM_STEP = 1.5;
const MOST_ZOOM = 96;
const CHANNELS = ["R", "G", "B", "A"];
const PLOT_HEIGHT = 160;
const CHECK_PX = 8;

function make(tag, name, attributes = {}, ...children) {
  const element = document.createElement(tag);
  element.className = name ? `cnb-look-${name}` : "cnb-look";
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function button(label, title, press) {
  const made = make("button", "button", { type: "button", title, "aria-label": title }, label);
  made.addEventListener("click", press);
  return made;
}

const between = (low, value, high) => Math.min(Math.max(low, value), high);

/** A canvas as sharp as the screen, as wide as its box; `fitted` is called where that has changed. */
class Canvas {
  constructor(name, label, height, draw, fitted = () => {}) {
    this.root = make("canvas", name, { role: "img", "aria-label": label });
    this.pen = this.root.getContext("2d");
    this.draw = draw;
    this.fitted = fitted;
    this.height = height;
    this.width = 0;
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.root);
  }

  fit() {
    const width = this.root.clientWidth;
    if (!width) return;
    this.ratio = window.devicePixelRatio || 1;
    this.width = width;
    const height = typeof this.height === "function" ? this.height(width) : this.height;
    this.tall = height;
    this.root.style.height = `${height}px`;
    this.root.width = Math.round(width * this.ratio);
    this.root.height = Math.round(height * this.ratio);
    this.fitted();
    this.draw();
  }

  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      if (this.width) this.draw();
    });
  }

  begin() {
    this.pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.pen.clearRect(0, 0, this.width, this.tall);
    return this.pen;
  }

  colour(name) {
    return getComputedStyle(this.root).getPropertyValue(name).trim() || "#888";
  }

  close() {
    this.observer.disconnect();
    if (this.frame) cancelAnimationFrame(this.frame);
  }
}

/** The line to the kernel: `ask` replaces an earlier question of the same key and calls back with its answer. */
class Line {
  constructor(model, say) {
    this.model = model;
    this.say = say;
    this.count = 0;
    this.open = new Map();
    this.take = this.take.bind(this);
    model.on("msg:custom", this.take);
  }

  ask(key, question, then) {
    const id = ++this.count;
    this.open.set(key, { id, then });
    this.model.send({ ...question, key, id });
    this.timer ??= setTimeout(() => this.say("waiting for the kernel"), WAITING_AFTER_MS);
  }

  take(answer, buffers) {
    const waiting = this.open.get(answer.key);
    if (!waiting || waiting.id !== answer.id) return;
    this.open.delete(answer.key);
    if (this.open.size === 0) {
      clearTimeout(this.timer);
      this.timer = undefined;
    }
    this.say(answer.error ?? "");
    if (!answer.error) waiting.then(answer, buffers);
  }

  drop() {
    this.open.clear();
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  close() {
    this.drop();
    this.model.off("msg:custom", this.take);
  }
}

/** A picture to zoom and pan, or a sheet of many. */
class Pixels {
  constructor(line, place, part) {
    this.line = line;
    this.place = place;
    this.part = part;
    this.index = part.shape.map(() => 0);
    this.axes = { rows: part.rows, columns: part.columns };
    this.channel = null;
    this.mode = part.compare === "overlay" ? "overlay" : "one";
    this.split = 0.5;
    this.page = 0;
    this.seen = {};
    this.pointers = new Map();
    this.over = this.axisSize("batch") > 1 ? "batch" : null;
    this.canvas = new Canvas("stage", "", (width) => this.heightFor(width), () => this.draw(), () => this.fitted());
    this.canvas.root.tabIndex = 0;
    this.canvas.root.setAttribute("role", "application");
    this.readout = make("div", "readout", { "aria-live": "polite" });
    this.bar = make("div", "bar", { role: "toolbar", "aria-label": "How it is shown" });
    this.root = make("div", "pixels", {}, this.bar, this.canvas.root, this.readout);
    this.listen();
    this.build();
  }

  axisSize(name) {
    const axis = this.part[name];
    return axis === null || axis === undefined ? 0 : this.part.shape[axis];
  }

  get size() {
    return [this.part.shape[this.axes.columns], this.part.shape[this.axes.rows]];
  }

  heightFor(width) {
    const [w, h] = this.size;
    return Math.round(between(120, (width * h) / Math.max(1, w), this.over ? 460 : 512));
  }

  fitted() {
    if (!this.scale) this.fit();
    this.need();
  }

  // What is chosen ----------------------------------------------------------------------------------------------------

  build() {
    const zoom = make("span", "group", {}, button("−", "Zoom out (-)", () => this.zoom(1 / ZOOM_STEP)),
      button("+", "Zoom in (+)", () => this.zoom(ZOOM_STEP)), button("Fit", "Show all of it (0)", () => this.refit()));
    this.zoomGroup = zoom;
    this.bar.replaceChildren(zoom, this.channelGroup(), ...this.batchGroup(), this.compareGroup(), ...this.axisGroup());
    this.press();
  }

  toggle(label, title, isOn, press) {
    const made = button(label, title, () => {
      press();
      this.press();
      this.changed();
    });
    made.isOn = isOn;
    return made;
  }

  press() {
    for (const each of this.bar.querySelectorAll("button")) {
      if (each.isOn) each.setAttribute("aria-pressed", each.isOn());
    }
    this.zoomGroup.hidden = this.over !== null;
    if (this.number) {
      this.number.value = this.over === "batch" ? this.page + 1 : this.index[this.part.batch] + 1;
      this.number.max = this.over === "batch" ? this.pages("batch") : this.axisSize("batch");
      const pages = this.pages("batch");
      const sheets = pages === 1 ? "of 1 page" : `of ${pages} pages`;
      this.total.textContent = this.over === "batch" ? sheets : `of ${this.axisSize("batch")}`;
    }
    const [w, h] = this.size;
    const what = this.over ? "a sheet of pictures; press Enter to open the first" : `${w} by ${h} values`;
    this.canvas.root.setAttribute("aria-label", `${this.part.kind}: ${what}; + and - zoom, arrows move, 0 shows all`);
    this.canvas.root.classList.toggle("cnb-look-sheet", this.over !== null);
  }

  pages(name) {
    return Math.ceil(this.axisSize(name) / 24);
  }

  channelGroup() {
    const count = this.axisSize("channels");
    const group = make("span", "group", { role: "group", "aria-label": "Channel" });
    if (count < 2) return group;
    const choose = (channel) => () => {
      this.channel = channel;
      if (this.over === "channels") this.over = null;
    };
    const isImage = this.part.kind === "IMAGE";
    const all = isImage ? "All" : "Colours";
    const title = isImage ? "All channels" : "The three main components as colours: alike is alike, the hues mean nothing";
    group.append(this.toggle(all, title, () => this.channel === null && this.over !== "channels", choose(null)));
    for (let at = 0; at < Math.min(count, isImage ? 4 : 16); at++) {
      const label = isImage ? CHANNELS[at] : String(at);
      const isOn = () => this.channel === at && this.over !== "channels";
      group.append(this.toggle(label, `Channel ${label} alone`, isOn, choose(at)));
    }
    group.append(this.toggle("Side by side", "All channels side by side", () => this.over === "channels", () => {
      this.over = "channels";
      this.page = 0;
    }));
    return group;
  }

  batchGroup() {
    if (this.axisSize("batch") < 2) return [];
    const sheet = this.toggle("▦ Sheet", "Many pictures on one sheet", () => this.over === "batch", () => {
      this.over = this.over === "batch" ? null : "batch";
      this.page = Math.floor(this.index[this.part.batch] / 24);
    });
    this.number = make("input", "number", { type: "number", min: 1, "aria-label": "Number of the picture or page" });
    this.number.addEventListener("change", () => this.turnTo(Number(this.number.value) - 1));
    this.total = make("span", "total");
    return [make("span", "group", { role: "group", "aria-label": "Batch" }, sheet,
      button("◀", "The one before (Page Up)", () => this.turn(-1)), this.number, this.total,
      button("▶", "The next one (Page Down)", () => this.turn(1)))];
  }

  compareGroup() {
    const group = make("span", "group", { role: "group", "aria-label": "Compare" });
    if (!this.part.compare) return group;
    const isMask = this.part.compare === "overlay";
    const modes = isMask
      ? [["overlay", "Over image", "The mask in red over its image"], ["one", "Mask", "The mask alone"], ["other", "Image", "The image alone"]]
      : [["one", "First", "The first alone"], ["other", "Second", "The second alone"],
        ["slider", "Slider", "Both, with a divider to move"], ["difference", "Difference ×10", "How far they differ, ten times brighter"]];
    for (const [mode, label, title] of modes) {
      group.append(this.toggle(label, title, () => this.mode === mode, () => {
        this.mode = mode;
        this.over = null;
        if (this.slider) this.slider.parentElement.hidden = mode !== "slider";
      }));
    }
    if (!isMask) {
      this.slider = make("input", "divider", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Divider" });
      this.slider.addEventListener("input", () => {
        this.split = this.slider.value / 100;
        this.canvas.later();
      });
      const held = make("label", "held", {}, "first", this.slider, "second");
      held.hidden = true;
      group.append(held);
    }
    return group;
  }

  axisGroup() {
    if (this.part.kind !== "TENSOR") return [];
    const shape = this.part.shape;
    if (shape.length < 3) return [];
    const choose = (which, other, label) => {
      const select = make("select", "axis", { "aria-label": label });
      shape.forEach((size, axis) => select.append(new Option(`axis ${axis} (${size})`, axis, false, axis === this.axes[which])));
      select.addEventListener("change", () => {
        const axis = Number(select.value);
        if (axis === this.axes[other]) this.axes[other] = this.axes[which];
        this.axes[which] = axis;
        this.scale = 0;
        this.build();
        this.canvas.fit();
        this.changed();
      });
      return make("label", "choice", {}, label, select);
    };
    const sliders = shape.flatMap((size, axis) => {
      if (axis === this.axes.rows || axis === this.axes.columns || size < 2) return [];
      const slider = make("input", "slide", { type: "range", min: 0, max: size - 1, value: this.index[axis], "aria-label": `axis ${axis}` });
      const told = make("span", "at", {}, String(this.index[axis]));
      slider.addEventListener("input", () => {
        this.index[axis] = Number(slider.value);
        told.textContent = slider.value;
        this.changed();
      });
      return [make("label", "choice", {}, `axis ${axis}`, slider, told)];
    });
    return [make("span", "group", {}, choose("rows", "columns", "rows"), choose("columns", "rows", "columns")), make("span", "group", {}, ...sliders)];
  }

  turn(by) {
    this.turnTo((this.over === "batch" ? this.page : this.index[this.part.batch]) + by);
  }

  turnTo(to) {
    if (this.part.batch === null || !(to === to)) return;
    if (this.over === "batch") this.page = between(0, to, this.pages("batch") - 1);
    else this.index[this.part.batch] = between(0, to, this.axisSize("batch") - 1);
    this.press();
    this.changed();
  }

  /** Shows the pixel of an index of the tensor, enlarged. */
  goTo(index) {
    index.forEach((at, axis) => {
      if (axis !== this.axes.rows && axis !== this.axes.columns && axis !== this.part.channels) this.index[axis] = at;
    });
    this.over = null;
    this.scale = 48;
    this.x = index[this.axes.columns] + 0.5 - this.canvas.width / 2 / this.scale;
    this.y = index[this.axes.rows] + 0.5 - this.canvas.tall / 2 / this.scale;
    this.build();
    this.changed();
  }

  /** Another selection: what is drawn is of the one before until the answer comes. */
  changed() {
    this.seen = {};
    this.texts = undefined;
    this.at = undefined;
    this.line.drop();
    this.need();
  }

  // Where it is looked at -----------------------------------------------------------------------------------------------

  fit() {
    const [w, h] = this.size;
    this.scale = between(1e-6, Math.min(this.canvas.width / w, this.canvas.tall / h), MOST_ZOOM);
    this.least = Math.min(this.scale, 1);
    this.x = (w - this.canvas.width / this.scale) / 2;
    this.y = (h - this.canvas.tall / this.scale) / 2;
  }

  refit() {
    this.fit();
    this.moved();
  }

  zoom(by, px = this.canvas.width / 2, py = this.canvas.tall / 2) {
    if (this.over) return;
    const scale = between(this.least, this.scale * by, MOST_ZOOM);
    this.x += px / this.scale - px / scale;
    this.y += py / this.scale - py / scale;
    this.scale = scale;
    this.moved();
  }

  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.moved();
  }

  moved() {
    const [w, h] = this.size;
    const [wide, tall] = [this.canvas.width / this.scale, this.canvas.tall / this.scale];
    this.x = between(-wide * 0.9, this.x, w - wide * 0.1);
    this.y = between(-tall * 0.9, this.y, h - tall * 0.1);
    this.canvas.later();
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.need(), ASK_AFTER_MS);
  }

  visible() {
    const [w, h] = this.size;
    const { x, y, scale, canvas } = this;
    return [Math.max(0, Math.floor(x)), Math.max(0, Math.floor(y)),
      Math.min(w, Math.ceil(x + canvas.width / scale)), Math.min(h, Math.ceil(y + canvas.tall / scale))];
  }

  question() {
    return { part: this.place, index: this.index, ...this.axes, channel: this.channel };
  }

  need() {
    if (!this.canvas.width) return;
    const { width, tall, ratio } = this.canvas;
    const size = [Math.round(width * ratio), Math.round(tall * ratio)];
    if (this.over) {
      const asked = { ask: "grid", over: this.over, page: this.page, size, ...this.question() };
      this.line.ask("slice one", asked, (answer, buffers) => this.take("sheet", answer, buffers));
      return;
    }
    const rect = this.visible();
    const [w, h] = [rect[2] - rect[0], rect[3] - rect[1]];
    if (w < 1 || h < 1) return;
    const shown = [Math.round(w * this.scale * ratio), Math.round(h * this.scale * ratio)].map((each) => between(1, each, 2000));
    for (const which of this.mode === "slider" ? ["one", "other"] : [this.mode]) {
      const asked = { ask: "slice", which, rect, size: shown, ...this.question() };
      this.line.ask(`slice ${which}`, asked, (answer, buffers) => this.take(which, answer, buffers));
    }
    if (this.scale >= TEXT_FROM_PX && w * h <= TEXTS_MAX && this.mode === "one") {
      this.line.ask("texts", { ask: "texts", rect, ...this.question() }, (answer) => {
        this.texts = answer;
        this.canvas.later();
      });
    }
  }

  async take(which, answer, buffers) {
    const { seen } = this;
    const bitmap = await createImageBitmap(new Blob([buffers[0]], { type: `image/${answer.format}` }));
    if (seen !== this.seen || (seen[which]?.id ?? 0) > answer.id) {
      bitmap.close(); // of another selection, or overtaken by a newer one
      return;
    }
    this.seen[which] = { ...answer, bitmap };
    const [w, h] = this.size;
    const [x0, y0, x1, y1] = answer.rect;
    if (which !== "sheet" && x0 === 0 && y0 === 0 && x1 === w && y1 === h) this.seen[`all ${which}`] = this.seen[which];
    this.canvas.root.dataset.shown = which === "sheet" ? "sheet" : answer.rect.join(" ");
    this.canvas.later();
  }

  // Drawing -------------------------------------------------------------------------------------------------------------

  draw() {
    const pen = this.canvas.begin();
    if (this.over) {
      this.drawSheet(pen);
      return;
    }
    pen.imageSmoothingEnabled = this.scale < 1;
    this.drawCheck(pen);
    if (this.mode === "slider") {
      const at = this.canvas.width * this.split;
      this.drawClipped(pen, "one", 0, at);
      this.drawClipped(pen, "other", at, this.canvas.width);
      pen.fillStyle = this.canvas.colour("--cnb-blue");
      pen.fillRect(at - 1, 0, 2, this.canvas.tall);
    } else {
      this.drawSeen(pen, this.mode);
    }
    if (this.scale >= TEXT_FROM_PX) this.drawTexts(pen);
  }

  drawCheck(pen) {
    if (this.axisSize("channels") !== 4 || this.channel !== null || this.part.kind !== "IMAGE") return;
    const [w, h] = this.size;
    const [left, top] = [-this.x * this.scale, -this.y * this.scale];
    pen.save();
    pen.beginPath();
    pen.rect(left, top, w * this.scale, h * this.scale);
    pen.clip();
    pen.fillStyle = "#bbb";
    pen.fillRect(0, 0, this.canvas.width, this.canvas.tall);
    pen.fillStyle = "#eee";
    for (let y = 0; y * CHECK_PX < this.canvas.tall; y++) {
      for (let x = y % 2; x * CHECK_PX < this.canvas.width; x += 2) pen.fillRect(x * CHECK_PX, y * CHECK_PX, CHECK_PX, CHECK_PX);
    }
    pen.restore();
  }

  drawClipped(pen, which, from, to) {
    pen.save();
    pen.beginPath();
    pen.rect(from, 0, to - from, this.canvas.tall);
    pen.clip();
    this.drawSeen(pen, which);
    pen.restore();
  }

  drawSeen(pen, which) {
    const layers = [this.seen[`all ${which}`], this.seen[which]];
    layers.forEach((seen, at) => {
      if (!seen || (at && seen === layers[0])) return;
      const [x0, y0, x1, y1] = seen.rect;
      const { x, y, scale } = this;
      pen.drawImage(seen.bitmap, (x0 - x) * scale, (y0 - y) * scale, (x1 - x0) * scale, (y1 - y0) * scale);
    });
  }

  drawTexts(pen) {
    if (!this.texts || this.mode !== "one") return;
    const { x, y, scale } = this;
    const [x0, y0] = this.texts.rect;
    const most = Math.max(...this.texts.texts.flat().map((values) => values.length));
    const size = between(7, Math.min(scale / (most + 0.6), scale / 4.6), 15);
    pen.font = `${size}px monospace`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineWidth = 2.5;
    pen.strokeStyle = "rgba(0, 0, 0, 0.75)";
    pen.fillStyle = "#fff";
    this.texts.texts.forEach((row, dy) => row.forEach((values, dx) => values.forEach((text, at) => {
      const px = (x0 + dx + 0.5 - x) * scale;
      const py = (y0 + dy + 0.5 - y) * scale + (at - (values.length - 1) / 2) * size * 1.1;
      pen.strokeText(text, px, py, scale - 2);
      pen.fillText(text, px, py, scale - 2);
    })));
  }

  drawSheet(pen) {
    const seen = this.seen.sheet;
    if (!seen) return;
    const scale = Math.min(this.canvas.width / seen.bitmap.width, this.canvas.tall / seen.bitmap.height);
    pen.imageSmoothingEnabled = scale < 1;
    pen.drawImage(seen.bitmap, 0, 0, seen.bitmap.width * scale, seen.bitmap.height * scale);
    this.cell = [(seen.bitmap.width * scale) / seen.columns, (seen.bitmap.height * scale) / seen.rows];
    this.readout.textContent = `${seen.first + 1} to ${seen.first + seen.count} of ${seen.total}; click one to open it`;
  }

  // Hands -----------------------------------------------------------------------------------------------------------

  listen() {
    const stage = this.canvas.root;
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      stage.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    stage.addEventListener("click", (event) => this.click(event));
    stage.addEventListener("dblclick", (event) => this.zoom(2, event.offsetX, event.offsetY));
    stage.addEventListener("keydown", (event) => this.key(event));
  }

  /** A wheel scrolls the page, unless the picture was clicked before or the fingers pinch. */
  wheel(event) {
    if (this.over || (document.activeElement !== this.canvas.root && !event.ctrlKey && !event.metaKey)) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), event.offsetX, event.offsetY);
  }

  down(event) {
    this.canvas.root.focus({ preventScroll: true });
    this.canvas.root.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    const now = [event.offsetX, event.offsetY];
    if (!before) {
      this.read(...now);
      return;
    }
    if (this.over) return;
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const gap = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
      this.zoom(gap(now) / Math.max(1, gap(before)), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else {
      this.pan(now[0] - before[0], now[1] - before[1]);
    }
    this.pointers.set(event.pointerId, now);
  }

  click(event) {
    if (!this.over || !this.cell || !this.seen.sheet) return;
    const [column, row] = [Math.floor(event.offsetX / this.cell[0]), Math.floor(event.offsetY / this.cell[1])];
    const at = row * this.seen.sheet.columns + column;
    if (column < this.seen.sheet.columns && at < this.seen.sheet.count) this.openOne(this.seen.sheet.first + at);
  }

  openOne(at) {
    if (this.over === "channels") this.channel = at;
    else this.index[this.part.batch] = at;
    this.over = null;
    this.readout.textContent = "";
    this.fit();
    this.press();
    this.changed();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 60;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (moves[event.key] && !this.over) this.pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(ZOOM_STEP);
    else if (event.key === "-") this.zoom(1 / ZOOM_STEP);
    else if (event.key === "0" || event.key === "Home") this.refit();
    else if (event.key === "PageUp" || event.key === "PageDown") this.turn(event.key === "PageUp" ? -1 : 1);
    else if (event.key === "Enter" && this.over && this.seen.sheet) this.openOne(this.seen.sheet.first);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  read(px, py) {
    if (this.over) return;
    const [x, y] = [Math.floor(this.x + px / this.scale), Math.floor(this.y + py / this.scale)];
    const [w, h] = this.size;
    const isOther = this.mode === "other" || (this.mode === "slider" && px > this.canvas.width * this.split);
    const which = isOther ? "other" : "one";
    if (x < 0 || y < 0 || x >= w || y >= h || this.at === `${x} ${y} ${which}`) return;
    this.at = `${x} ${y} ${which}`;
    this.line.ask("read", { ask: "texts", which, rect: [x, y, x + 1, y + 1], ...this.question() }, (answer) => {
      const values = answer.texts[0][0];
      const names = this.part.kind === "IMAGE" && values.length > 2 ? CHANNELS : [];
      const told = values.map((value, at) => (names[at] ? `${names[at]} ${value}` : value)).join("  ");
      this.readout.textContent = `row ${answer.rect[1]}, column ${answer.rect[0]}: ${told}`;
    });
  }

  close() {
    clearTimeout(this.asking);
    this.canvas.close();
  }
}

/** A row of numbers as a curve, or a sound to play. */
class Plot {
  constructor(line, place, part) {
    this.line = line;
    this.place = place;
    this.part = part;
    this.index = part.shape.slice(0, -1).map(() => 0);
    this.canvas = new Canvas("plot", `A plot of ${part.shape.at(-1)} numbers`, PLOT_HEIGHT, () => this.draw());
    this.canvas.root.tabIndex = 0;
    this.canvas.root.style.width = "100%";
    this.readout = make("div", "readout", { "aria-live": "polite" });
    this.bar = make("div", "bar");
    this.root = make("div", "plotted", {}, this.bar, this.canvas.root, this.readout);
    this.canvas.root.addEventListener("pointermove", (event) => this.point(event.offsetX / this.canvas.width));
    this.canvas.root.addEventListener("keydown", (event) => this.key(event));
    this.axes();
    if (part.kind === "AUDIO") this.bar.append(button("▶ Play", "Load the sound and play it", () => this.play()));
    this.need();
  }

  axes() {
    this.index.forEach((_, axis) => {
      if (this.part.shape[axis] < 2) return;
      const most = this.part.shape[axis] - 1;
      const slider = make("input", "slide", { type: "range", min: 0, max: most, value: 0, "aria-label": `axis ${axis}` });
      slider.addEventListener("input", () => {
        this.index[axis] = Number(slider.value);
        this.need();
      });
      this.bar.append(make("label", "choice", {}, `axis ${axis}`, slider));
    });
  }

  need() {
    this.line.ask("plot", { ask: "plot", part: this.place, index: this.index }, (answer, buffers) => {
      const numbers = (view) => new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
      [this.low, this.high] = buffers.map(numbers);
      this.length = answer.length;
      const all = [...this.low, ...this.high].filter(Number.isFinite);
      [this.bottom, this.top] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
      this.canvas.root.dataset.shown = this.length;
      this.canvas.later();
    });
  }

  draw() {
    const pen = this.canvas.begin();
    if (!this.low) return;
    const [w, h, span] = [this.canvas.width, this.canvas.tall - 12, this.top - this.bottom || 1];
    const place = (value) => 6 + ((this.top - value) / span) * h;
    const wide = Math.max(1, this.low.length - 1);
    pen.fillStyle = this.canvas.colour("--cnb-tint");
    pen.fillRect(0, place(between(this.bottom, 0, this.top)), w, 1);
    pen.strokeStyle = this.canvas.colour("--cnb-blue");
    pen.lineWidth = 1.5;
    pen.lineJoin = "round"; // a mitre would add peaks that are not there
    pen.beginPath();
    this.low.forEach((low, at) => {
      if (!Number.isFinite(low)) return;
      pen.lineTo((at * w) / wide, place(this.high[at]));
      pen.lineTo((at * w) / wide, place(low));
    });
    pen.stroke();
    pen.fillStyle = "#f0f";
    this.low.forEach((low, at) => Number.isFinite(low) || pen.fillRect((at * w) / wide - 1, 0, 3, this.canvas.tall));
    if (this.mark !== undefined) {
      pen.fillStyle = this.canvas.colour("--cnb-faint");
      pen.fillRect((this.mark * w) / wide, 0, 1, this.canvas.tall);
    }
  }

  point(fraction) {
    if (!this.low) return;
    this.mark = between(0, Math.round(fraction * (this.low.length - 1)), this.low.length - 1);
    const [low, high] = [this.low[this.mark], this.high[this.mark]].map((value) => String(Number(value.toPrecision(5))));
    const from = Math.floor((this.mark * this.length) / this.low.length);
    const what = low === high ? low : `${low} to ${high}`;
    this.readout.textContent = this.low.length === this.length ? `${from}: ${what}` : `from ${from}: ${what}`;
    this.canvas.later();
  }

  key(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !this.low) return;
    this.point(((this.mark ?? -by) + by) / Math.max(1, this.low.length - 1));
    event.preventDefault();
    event.stopPropagation();
  }

  goTo(index) {
    this.index.forEach((_, axis) => (this.index[axis] = index[axis]));
    this.need();
    this.point(index.at(-1) / Math.max(1, this.part.shape.at(-1) - 1));
  }

  play() {
    this.line.ask("sound", { ask: "sound", part: this.place, index: this.index }, (answer, buffers) => {
      if (this.url) URL.revokeObjectURL(this.url);
      this.url = URL.createObjectURL(new Blob([buffers[0]], { type: "audio/wav" }));
      this.sound ??= this.bar.appendChild(make("audio", "sound", { controls: "" }));
      this.sound.src = this.url;
      this.sound.play().catch(() => (this.readout.textContent = "press play to hear it"));
    });
  }

  close() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.canvas.close();
  }
}

/** The numbers of a part: words, alarms, histogram. */
class Facts {
  constructor(goTo) {
    this.goTo = goTo;
    this.words = make("div", "words");
    this.alarms = make("div", "alarms", { role: "status" });
    this.canvas = new Canvas("bars", "Histogram", 56, () => this.draw());
    this.canvas.root.style.width = "100%";
    this.low = make("span", "low");
    this.high = make("span", "high");
    this.log = button("log", "Logarithmic heights", () => this.press());
    this.log.setAttribute("aria-pressed", false);
    this.histogram = make("div", "histogram", {}, this.canvas.root, make("div", "ends", {}, this.low, this.log, this.high));
    this.root = make("div", "numbers", {}, this.alarms, make("div", "facts", {}, this.words, this.histogram));
  }

  show(part, progress) {
    this.part = part;
    const lines = [["head", part.head], ["note", part.note], ["stats", part.numbers], ["note", part.clear]];
    if (progress < 1 && part.isExact === false) lines.push(["note", `looking at all values: ${Math.round(progress * 100)} %`]);
    this.words.replaceChildren(...lines.filter(([, text]) => text).map(([name, text]) => make("div", name, {}, text)));
    this.alarms.replaceChildren(...(part.alarms ?? []).map((text) => this.alarm(text)));
    this.histogram.hidden = !part.histogram;
    if (!part.histogram) return;
    this.low.textContent = part.histogram.low;
    this.high.textContent = part.histogram.high;
    this.canvas.later();
  }

  alarm(text) {
    const line = make("div", "alarm", {}, `⚠ ${text}`);
    if (text.includes("the first is at") && this.part.view !== "words") {
      line.append(button("Go there", "Show the first value that is not finite", () => this.goTo(this.part.bad)));
    }
    return line;
  }

  press() {
    this.isLog = !this.isLog;
    this.log.setAttribute("aria-pressed", this.isLog);
    this.draw();
  }

  draw() {
    const pen = this.canvas.begin();
    const counts = this.part?.histogram?.counts;
    if (!counts) return;
    const height = (count) => (this.isLog ? Math.log1p(count) : count);
    const most = Math.max(...counts.map(height)) || 1;
    const wide = this.canvas.width / counts.length;
    pen.fillStyle = this.canvas.colour("--cnb-faint");
    counts.forEach((count, at) => {
      const tall = count ? Math.max(1, (height(count) / most) * this.canvas.tall) : 0;
      pen.fillRect(at * wide, this.canvas.tall - tall, Math.max(1, wide - 1), tall);
    });
  }

  close() {
    this.canvas.close();
  }
}

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

export default { render: heard(render) };
