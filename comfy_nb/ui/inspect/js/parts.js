// The parts that all views of a value share: elements, a canvas, and requests to the kernel.

const WAITING_AFTER_MS = 1500;

const make = (tag, name, ...rest) => element(tag, `cnb-inspect-${name}`, ...rest);
const button = (label, title, press) => pushButton("cnb-button cnb-inspect-button", label, title, press);

const between = (low, value, high) => Math.min(Math.max(low, value), high);

/** Black or white, whichever is read better on a colour: by the contrast that WCAG defines. */
function inkOn([red, green, blue]) {
  const light = (byte) => (byte / 255 <= 0.04045 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * light(red) + 0.7152 * light(green) + 0.0722 * light(blue) > 0.179 ? "#000" : "#fff";
}

/** A canvas as sharp as the screen and as wide as its box; `fitted` is called when its size has changed. */
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

/** Requests to the kernel: `ask` replaces an earlier request of the same key, and calls `then` with the answer. */
class Requests {
  constructor(model, report) {
    this.model = model;
    this.report = report;
    this.count = 0;
    this.waiting = new Map();
    this.take = this.take.bind(this);
    model.on("msg:custom", this.take);
  }

  ask(key, request, then) {
    const id = ++this.count;
    this.waiting.set(key, { id, then });
    this.model.send({ ...request, key, id });
    this.timer ??= setTimeout(() => this.report("waiting for the kernel"), WAITING_AFTER_MS);
  }

  take(answer, buffers) {
    const asked = this.waiting.get(answer.key);
    if (!asked || asked.id !== answer.id) return;
    this.waiting.delete(answer.key);
    if (this.waiting.size === 0) {
      clearTimeout(this.timer);
      this.timer = undefined;
    }
    this.report(answer.error ?? "");
    if (!answer.error) asked.then(answer, buffers);
  }

  drop() {
    this.waiting.clear();
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  close() {
    this.drop();
    this.model.off("msg:custom", this.take);
  }
}
