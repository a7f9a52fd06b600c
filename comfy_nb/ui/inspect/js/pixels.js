// A picture on its stage: which part of it is visible, the requests for that part, drawing, pointer and keyboard.

const ASK_AFTER_MS = 40;
const TEXT_FROM_PX = 34;
const ZOOM_STEP = 1.5;
const MOST_ZOOM = 96;
const CHANNELS = ["R", "G", "B", "A"];
const CHECK_PX = 8;
const CHECKS = ["#bbb", "#eee"];

/** A picture to zoom and pan, or a contact sheet of many. `limits` are those of one answer of the kernel. */
class PixelView {
  constructor(requests, place, part, limits) {
    this.requests = requests;
    this.place = place;
    this.part = part;
    this.limits = limits;
    this.index = part.shape.map(() => 0);
    this.axes = { rows: part.rows, columns: part.columns };
    this.channel = null;
    this.scaling = part.scale;
    this.mode = part.compare === "overlay" ? "overlay" : "one";
    this.split = 0.5;
    this.page = 0;
    this.shown = {};
    this.pointers = new Map();
    this.over = this.axisSize("batch") > 1 ? "batch" : null;
    this.canvas = new Canvas("stage", "", (width) => this.heightFor(width), () => this.draw(), () => this.fitted());
    this.canvas.root.tabIndex = 0;
    this.canvas.root.setAttribute("role", "application");
    this.readout = make("div", "readout", { "aria-live": "polite" });
    this.toolbar = new Toolbar(this);
    this.root = make("div", "pixels", {}, this.toolbar.bar, this.canvas.root, this.readout);
    this.listen();
    this.toolbar.build();
  }

  axisSize(name) {
    const axis = this.part[name];
    return axis === null || axis === undefined ? 0 : this.part.shape[axis];
  }

  get size() {
    return [this.part.shape[this.axes.columns], this.part.shape[this.axes.rows]];
  }

  pages(name) {
    return Math.ceil(this.axisSize(name) / this.limits.sheetPictures);
  }

  heightFor(width) {
    const [w, h] = this.size;
    return Math.round(between(120, (width * h) / Math.max(1, w), this.over ? 460 : 512));
  }

  fitted() {
    if (!this.scale) this.fit();
    this.need();
  }

  turn(by) {
    this.turnTo((this.over === "batch" ? this.page : this.index[this.part.batch]) + by);
  }

  turnTo(to) {
    if (this.part.batch === null || !(to === to)) return;
    if (this.over === "batch") this.page = between(0, to, this.pages("batch") - 1);
    else this.index[this.part.batch] = between(0, to, this.axisSize("batch") - 1);
    this.toolbar.refresh();
    this.changed();
  }

  /** Shows the pixel at an index of the tensor, enlarged. */
  goTo(index) {
    index.forEach((at, axis) => {
      if (axis !== this.axes.rows && axis !== this.axes.columns && axis !== this.part.channels) this.index[axis] = at;
    });
    this.over = null;
    this.scale = 48;
    this.x = index[this.axes.columns] + 0.5 - this.canvas.width / 2 / this.scale;
    this.y = index[this.axes.rows] + 0.5 - this.canvas.tall / 2 / this.scale;
    this.toolbar.build();
    this.changed();
  }

  /** The selection has changed; until the answer arrives, the picture of the one before stays. */
  changed() {
    this.forget();
    this.texts = undefined;
    this.at = undefined;
    this.requests.drop();
    this.need();
  }

  forget() {
    const before = Object.values(this.shown);
    this.shown = {};
    this.free(before);
  }

  // The visible part ----------------------------------------------------------------------------------------------------

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

  selection() {
    return { part: this.place, index: this.index, ...this.axes, channel: this.channel, scale: this.scaling };
  }

  need() {
    if (!this.canvas.width) return;
    const { width, tall, ratio } = this.canvas;
    const size = [Math.round(width * ratio), Math.round(tall * ratio)];
    if (this.over) {
      const asked = { ask: "sheet", over: this.over, page: this.page, size, ...this.selection() };
      this.requests.ask("slice one", asked, (answer, buffers) => this.take("sheet", answer, buffers));
      return;
    }
    const rect = this.visible();
    const [w, h] = [rect[2] - rect[0], rect[3] - rect[1]];
    if (w < 1 || h < 1) return;
    const wanted = [w, h].map((each) => between(1, Math.round(each * this.scale * ratio), this.limits.pixels));
    for (const which of this.mode === "slider" ? ["one", "other"] : [this.mode]) {
      const asked = { ask: "slice", which, rect, size: wanted, ...this.selection() };
      this.requests.ask(`slice ${which}`, asked, (answer, buffers) => this.take(which, answer, buffers));
    }
    if (this.scale >= TEXT_FROM_PX && w * h <= this.limits.texts && this.mode === "one") {
      this.requests.ask("texts", { ask: "texts", rect, ...this.selection() }, (answer) => {
        this.texts = answer;
        this.canvas.later();
      });
    }
  }

  async take(which, answer, buffers) {
    const { shown } = this;
    const bitmap = await createImageBitmap(new Blob([buffers[0]], { type: `image/${answer.format}` }));
    if (shown !== this.shown || (shown[which]?.id ?? 0) > answer.id) {
      bitmap.close(); // it is of another selection, or a newer one has arrived
      return;
    }
    const before = Object.values(this.shown);
    this.shown[which] = { ...answer, bitmap };
    const [w, h] = this.size;
    const [x0, y0, x1, y1] = answer.rect;
    if (which !== "sheet" && x0 === 0 && y0 === 0 && x1 === w && y1 === h) this.shown[`all ${which}`] = this.shown[which];
    this.free(before);
    this.canvas.root.dataset.shown = which === "sheet" ? "sheet" : answer.rect.join(" ");
    this.canvas.later();
  }

  /** Closes the pictures of `before` that are no longer shown. */
  free(before) {
    const kept = Object.values(this.shown);
    for (const each of before) if (!kept.includes(each)) each.bitmap.close();
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
      this.drawLayers(pen, this.mode);
    }
    if (this.scale >= TEXT_FROM_PX) this.drawTexts(pen);
  }

  drawCheck(pen) {
    if (this.axisSize("channels") !== 4 || this.channel !== null || this.part.drawing !== "image") return;
    const [w, h] = this.size;
    const [left, top] = [-this.x * this.scale, -this.y * this.scale];
    pen.save();
    pen.beginPath();
    pen.rect(left, top, w * this.scale, h * this.scale);
    pen.clip();
    pen.fillStyle = CHECKS[0];
    pen.fillRect(0, 0, this.canvas.width, this.canvas.tall);
    pen.fillStyle = CHECKS[1];
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
    this.drawLayers(pen, which);
    pen.restore();
  }

  drawLayers(pen, which, { x, y, scale } = this) {
    const layers = [this.shown[`all ${which}`], this.shown[which]];
    layers.forEach((layer, at) => {
      if (!layer || (at && layer === layers[0])) return;
      const [x0, y0, x1, y1] = layer.rect;
      pen.drawImage(layer.bitmap, (x0 - x) * scale, (y0 - y) * scale, (x1 - x0) * scale, (y1 - y0) * scale);
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
    const cells = this.cellColours();
    this.texts.texts.forEach((row, dy) => row.forEach((values, dx) => values.forEach((text, at) => {
      const px = (x0 + dx + 0.5 - x) * scale;
      const py = (y0 + dy + 0.5 - y) * scale + (at - (values.length - 1) / 2) * size * 1.1;
      pen.fillStyle = inkOn(cells.subarray(4 * (dy * row.length + dx)));
      pen.fillText(text, px, py, scale - 2);
    })));
  }

  /** The colours of the cells that have texts, four bytes each, row by row. */
  cellColours() {
    const [x0, y0, x1, y1] = this.texts.rect;
    const pen = new OffscreenCanvas(x1 - x0, y1 - y0).getContext("2d", { willReadFrequently: true });
    pen.imageSmoothingEnabled = false;
    pen.fillStyle = CHECKS[0];
    pen.fillRect(0, 0, x1 - x0, y1 - y0);
    this.drawLayers(pen, "one", { x: x0, y: y0, scale: 1 });
    return pen.getImageData(0, 0, x1 - x0, y1 - y0).data;
  }

  drawSheet(pen) {
    const sheet = this.shown.sheet;
    if (!sheet) return;
    const scale = Math.min(this.canvas.width / sheet.bitmap.width, this.canvas.tall / sheet.bitmap.height);
    pen.imageSmoothingEnabled = scale < 1;
    pen.drawImage(sheet.bitmap, 0, 0, sheet.bitmap.width * scale, sheet.bitmap.height * scale);
    this.cell = [(sheet.bitmap.width * scale) / sheet.columns, (sheet.bitmap.height * scale) / sheet.rows];
    this.readout.textContent = `${sheet.first + 1} to ${sheet.first + sheet.count} of ${sheet.total}; click one to open it`;
  }

  // Pointer and keyboard --------------------------------------------------------------------------------------------

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

  /** The wheel scrolls the page unless the picture has the focus; a pinch always zooms. */
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
    if (!this.over || !this.cell || !this.shown.sheet) return;
    const [column, row] = [Math.floor(event.offsetX / this.cell[0]), Math.floor(event.offsetY / this.cell[1])];
    const at = row * this.shown.sheet.columns + column;
    if (column < this.shown.sheet.columns && at < this.shown.sheet.count) this.openOne(this.shown.sheet.first + at);
  }

  openOne(at) {
    if (this.over === "channels") this.channel = at;
    else this.index[this.part.batch] = at;
    this.over = null;
    this.readout.textContent = "";
    this.fit();
    this.toolbar.refresh();
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
    else if (event.key === "Enter" && this.over && this.shown.sheet) this.openOne(this.shown.sheet.first);
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
    this.requests.ask("read", { ask: "texts", which, rect: [x, y, x + 1, y + 1], ...this.selection() }, (answer) => {
      const values = answer.texts[0][0];
      const names = this.part.drawing === "image" && values.length > 2 ? CHANNELS : [];
      const named = values.map((value, at) => (names[at] ? `${names[at]} ${value}` : value)).join("  ");
      this.readout.textContent = `row ${answer.rect[1]}, column ${answer.rect[0]}: ${named}`;
    });
  }

  close() {
    clearTimeout(this.asking);
    this.forget();
    this.canvas.close();
  }
}
