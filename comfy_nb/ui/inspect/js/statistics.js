/** The statistics of a part: text, alarms and a histogram. */
class StatisticsPanel {
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
    this.root = make("div", "numbers", {}, this.alarms, make("div", "statistics", {}, this.words, this.histogram));
  }

  show(part, progress) {
    this.part = part;
    const lines = [["head", part.head], ["note", part.note], ["stats", part.numbers], ["note", part.clear]];
    if (progress < 1 && part.isExact === false) lines.push(["note", `reading all values: ${Math.round(progress * 100)} %`]);
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
