/** The buttons and sliders that choose which part of a value is shown, and how. */
class Toolbar {
  constructor(pixels) {
    this.pixels = pixels;
    this.bar = make("div", "bar", { role: "toolbar", "aria-label": "How it is shown" });
  }

  build() {
    const { pixels } = this;
    this.zoomGroup = make("span", "group", {}, button("−", "Zoom out (-)", () => pixels.zoom(1 / ZOOM_STEP)),
      button("+", "Zoom in (+)", () => pixels.zoom(ZOOM_STEP)), button("Fit", "Show all of it (0)", () => pixels.refit()));
    this.bar.replaceChildren(this.zoomGroup, this.channelGroup(), ...this.batchGroup(), ...this.frameGroup(), this.compareGroup(), ...this.scaleGroup(), ...this.axisGroup());
    this.refresh();
  }

  toggle(label, title, isOn, press) {
    const { pixels } = this;
    const made = button(label, title, () => {
      press();
      this.refresh();
      pixels.changed();
    });
    made.isOn = isOn;
    return made;
  }

  /** Shows which buttons are on, and which picture or page is shown. */
  refresh() {
    const { pixels } = this;
    for (const each of this.bar.querySelectorAll("button")) {
      if (each.isOn) each.setAttribute("aria-pressed", each.isOn());
    }
    this.zoomGroup.hidden = pixels.over !== null;
    if (this.number) {
      this.number.value = pixels.over === "batch" ? pixels.page + 1 : pixels.index[pixels.part.batch] + 1;
      this.number.max = pixels.over === "batch" ? pixels.pages("batch") : pixels.axisSize("batch");
      const pages = pixels.pages("batch");
      const sheets = pages === 1 ? "of 1 page" : `of ${pages} pages`;
      this.total.textContent = pixels.over === "batch" ? sheets : `of ${pixels.axisSize("batch")}`;
    }
    const [w, h] = pixels.size;
    const what = pixels.over ? "a sheet of pictures; press Enter to open the first" : `${w} by ${h} values`;
    pixels.canvas.root.setAttribute("aria-label", `${pixels.part.kind}: ${what}; + and - zoom, arrows move, 0 shows all`);
    pixels.canvas.root.classList.toggle("cnb-inspect-sheet", pixels.over !== null);
  }

  channelGroup() {
    const { pixels } = this;
    const count = pixels.axisSize("channels");
    const group = make("span", "group", { role: "group", "aria-label": "Channel" });
    if (count < 2) return group;
    const choose = (channel) => () => {
      pixels.channel = channel;
      if (pixels.over === "channels") pixels.over = null;
    };
    const isImage = pixels.part.drawing === "image";
    const all = isImage ? "All" : "Colours";
    const title = isImage ? "All channels" : "The three main components as colours: similar values get similar colours, the hues mean nothing";
    group.append(this.toggle(all, title, () => pixels.channel === null && pixels.over !== "channels", choose(null)));
    for (let at = 0; at < Math.min(count, isImage ? 4 : 16); at++) {
      const label = isImage ? CHANNELS[at] : String(at);
      const isOn = () => pixels.channel === at && pixels.over !== "channels";
      group.append(this.toggle(label, `Channel ${label} alone`, isOn, choose(at)));
    }
    group.append(this.toggle("Side by side", "All channels side by side", () => pixels.over === "channels", () => {
      pixels.over = "channels";
      pixels.page = 0;
    }));
    return group;
  }

  batchGroup() {
    const { pixels } = this;
    if (pixels.axisSize("batch") < 2) return [];
    const sheet = this.toggle("▦ Sheet", "Many pictures on one sheet", () => pixels.over === "batch", () => {
      pixels.over = pixels.over === "batch" ? null : "batch";
      pixels.page = Math.floor(pixels.index[pixels.part.batch] / pixels.limits.sheetPictures);
    });
    this.number = make("input", "number", { type: "number", min: 1, "aria-label": "Number of the picture or page" });
    this.number.addEventListener("change", () => pixels.turnTo(Number(this.number.value) - 1));
    this.total = make("span", "total");
    return [make("span", "group", { role: "group", "aria-label": "Batch" }, sheet,
      button("◀", "Previous (Page Up)", () => pixels.turn(-1)), this.number, this.total,
      button("▶", "Next (Page Down)", () => pixels.turn(1)))];
  }

  frameGroup() {
    const { pixels } = this;
    if (pixels.axisSize("frames") < 2) return [];
    return [make("span", "group", {}, this.indexSlider(pixels.part.frames, "frame"))];
  }

  /** A slider for the index on an axis. */
  indexSlider(axis, name) {
    const { pixels } = this;
    const slider = make("input", "slide", { type: "range", min: 0, max: pixels.part.shape[axis] - 1, value: pixels.index[axis], "aria-label": name });
    const label = make("span", "at", {}, String(pixels.index[axis]));
    slider.addEventListener("input", () => {
      pixels.index[axis] = Number(slider.value);
      label.textContent = slider.value;
      pixels.changed();
    });
    return make("label", "choice", {}, name, slider, label);
  }

  compareGroup() {
    const { pixels } = this;
    const group = make("span", "group", { role: "group", "aria-label": "Compare" });
    if (!pixels.part.compare) return group;
    const isMask = pixels.part.compare === "overlay";
    const modes = isMask
      ? [["overlay", "Over image", "The mask in red over its image"], ["one", "Mask", "The mask alone"], ["other", "Image", "The image alone"]]
      : [["one", "First", "The first alone"], ["other", "Second", "The second alone"],
        ["slider", "Slider", "Both, with a divider to move"], ["difference", "Difference ×10", "How far they differ, ten times brighter"]];
    for (const [mode, label, title] of modes) {
      group.append(this.toggle(label, title, () => pixels.mode === mode, () => {
        pixels.mode = mode;
        pixels.over = null;
        if (this.slider) this.slider.parentElement.hidden = mode !== "slider";
      }));
    }
    if (!isMask) {
      this.slider = make("input", "divider", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Divider" });
      this.slider.addEventListener("input", () => {
        pixels.split = this.slider.value / 100;
        pixels.canvas.later();
      });
      const held = make("label", "held", {}, "first", this.slider, "second");
      held.hidden = true;
      group.append(held);
    }
    return group;
  }

  /** Pictures of plain numbers: latents and pictures have colours of their own. */
  get isOfNumbers() {
    return ["tensor", "plane"].includes(this.pixels.part.drawing);
  }

  scaleGroup() {
    const { pixels } = this;
    if (!this.isOfNumbers) return [];
    const scales = [["all", "All values", "From the smallest value to the largest"],
      ["most", "1–99 %", "Without the smallest and the largest hundredth"], ["log", "Log", "The logarithm of the magnitudes"]];
    return [make("span", "group", { role: "group", "aria-label": "Range" }, ...scales.map(([scale, label, title]) =>
      this.toggle(label, title, () => pixels.scaling === scale, () => (pixels.scaling = scale))))];
  }

  axisGroup() {
    const { pixels } = this;
    if (!this.isOfNumbers) return [];
    const shape = pixels.part.shape;
    if (shape.length < 3) return [];
    const choose = (which, other, label) => {
      const select = make("select", "axis", { "aria-label": label });
      shape.forEach((size, axis) => select.append(new Option(`axis ${axis} (${size})`, axis, false, axis === pixels.axes[which])));
      select.addEventListener("change", () => {
        const axis = Number(select.value);
        if (axis === pixels.axes[other]) pixels.axes[other] = pixels.axes[which];
        pixels.axes[which] = axis;
        pixels.scale = 0;
        this.build();
        pixels.canvas.fit();
        pixels.changed();
      });
      return make("label", "choice", {}, label, select);
    };
    const sliders = shape.flatMap((size, axis) => {
      if (axis === pixels.axes.rows || axis === pixels.axes.columns || size < 2) return [];
      return [this.indexSlider(axis, `axis ${axis}`)];
    });
    return [make("span", "group", {}, choose("rows", "columns", "rows"), choose("columns", "rows", "columns")), make("span", "group", {}, ...sliders)];
  }
}
