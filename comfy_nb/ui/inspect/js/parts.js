// What the views of a value are made of: elements, a canvas, and the line to the kernel.

const WAITING_AFTER_MS = 1500;

const make = (tag, name, ...rest) => element(tag, name ? `cnb-look-${name}` : "cnb-look", ...rest);
const button = (label, title, press) => pushButton("cnb-look-button", label, title, press);

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
