// A row of numbers as a curve: the value under the pointer is read out, sliders choose the row, a wave can be played.

const PLOT_HEIGHT = 160;

/** A row of numbers as a curve, or audio to play. */
class PlotView {
  constructor(requests, place, part) {
    this.requests = requests;
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
    if (part.drawing === "wave") this.bar.append(button("▶ Play", "Load the audio and play it", () => this.play()));
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
    this.requests.ask("plot", { ask: "plot", part: this.place, index: this.index }, (answer, buffers) => {
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
    const mark = this.mark ?? -1;
    const to = { ArrowLeft: mark - 1, ArrowRight: mark + 1, Home: 0, End: this.low?.length - 1 }[event.key];
    if (to === undefined || !this.low) return;
    this.point(to / Math.max(1, this.low.length - 1));
    event.preventDefault();
    event.stopPropagation();
  }

  goTo(index) {
    this.index.forEach((_, axis) => (this.index[axis] = index[axis]));
    this.need();
    this.point(index.at(-1) / Math.max(1, this.part.shape.at(-1) - 1));
  }

  play() {
    this.requests.ask("audio", { ask: "audio", part: this.place, index: this.index }, (answer, buffers) => {
      if (this.url) URL.revokeObjectURL(this.url);
      this.url = URL.createObjectURL(new Blob([buffers[0]], { type: "audio/wav" }));
      this.audio ??= this.bar.appendChild(make("audio", "player", { controls: "" }));
      this.audio.src = this.url;
      this.audio.play().catch(() => (this.readout.textContent = "press play to hear it"));
    });
  }

  close() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.canvas.close();
  }
}
