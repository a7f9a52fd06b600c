// A graph on a canvas, with an overview map if it is large: the scene arrives as a trait, states as messages; clicks,
// edits and the Run button are sent back.

class GraphCanvas {
  constructor(model, el) {
    this.model = model;
    this.states = new Map();
    this.pictures = new Map();
    this.newest = new Map(); // the newest encoded picture, by node
    this.found = new Set();
    this.picked = -1;
    this.view = { x: 0, y: 0, zoom: 1 };
    this.frame = 0;
    this.noteText = "";
    this.isHint = false;
    this.isToldOf = false; // of the states of nodes
    this.build(el);
    this.editor = new FieldEditor(this.stage);
    this.root.graphView = this;
    this.painter = new Painter(this.canvas, getComputedStyle(this.root));
    this.load();
    this.input = new GraphInput(this);
    this.watcher = new ResizeObserver(() => this.resized());
    this.watcher.observe(this.stage);
  }

  build(el) {
    this.root = element("div", "cnb-graph");
    this.root.setAttribute("data-lm-suppress-shortcuts", "true");
    const bar = element("div", "cnb-graph-bar");
    this.head = element("span", "cnb-graph-head");
    this.head.setAttribute("role", "status");
    this.search = element("input", "");
    this.search.type = "search";
    this.search.placeholder = "find a node ( / )";
    this.search.setAttribute("aria-label", "find a node");
    this.runButton = button("Run", "run what is stale", () => this.model.send({ type: "run" }));
    bar.append(this.head, this.search, button("−", "zoom out", () => this.zoomBy(1 / 1.3)));
    bar.append(button("+", "zoom in", () => this.zoomBy(1.3)), button("Fit", "fit", () => this.fit()), this.runButton);
    this.stage = element("div", "cnb-graph-stage");
    this.canvas = element("canvas", "cnb-graph-canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.map = element("canvas", "cnb-graph-map");
    this.stage.append(this.canvas, this.map);
    this.tooltip = new Tooltip(this.stage, (id) => this.model.send({ type: "hover", id }));
    this.spoken = element("div", "cnb-graph-list");
    this.spoken.setAttribute("role", "status");
    this.note = element("div", "cnb-graph-note");
    this.note.setAttribute("role", "alert");
    this.list = element("ol", "cnb-graph-list");
    this.root.append(bar, this.stage, this.note, this.spoken, this.list);
    el.append(this.root);
  }

  load() {
    const picked = this.scene?.nodes[this.picked]?.id;
    const scene = this.model.get("scene");
    this.scene = { ...scene, routes: routesOf(scene) };
    this.editor.keepTo(this.scene);
    this.bounds = boundsOf(this.scene);
    this.at = new Map(this.scene.nodes.map((node, at) => [node.id, at]));
    this.picked = this.at.get(picked) ?? -1;
    this.find();
    this.runButton.hidden = !this.scene.canEdit;
    this.fitMap();
    this.canvas.setAttribute("aria-label", `graph: ${this.scene.head}. Arrow keys move along links, Enter inspects, E edits.`);
    this.feeds = this.scene.nodes.map(() => []);
    for (const link of this.scene.links) this.feeds[link[2]].push(link);
    this.list.replaceChildren(...this.scene.nodes.map((node, at) => element("li", "", {}, this.describe(at))));
    for (const id of this.states.keys()) if (!this.at.has(id)) this.states.delete(id);
    this.showNote(this.noteText, this.isHint);
    this.writeHead();
    this.requestDraw();
  }

  /** Shows a note, and below it what is missing in the scene; a hint alone does not look like an error. */
  showNote(text, isHint = false) {
    this.noteText = text;
    this.isHint = isHint;
    this.note.classList.toggle("cnb-graph-hint", isHint && !this.scene.faults.length);
    this.note.textContent = [text, ...this.scene.faults].filter(Boolean).join("\n");
  }

  /** Shows a submitted value at once; the kernel's answer confirms or corrects it. */
  setValue(id, name, value) {
    const at = this.at.get(id);
    const node = this.scene.nodes[at];
    const place = node?.fields.findIndex((field) => field.name === name) ?? -1;
    if (place < 0) return;
    const fields = node.fields.with(place, { ...node.fields[place], value });
    this.scene = { ...this.scene, nodes: this.scene.nodes.with(at, { ...node, fields }) };
    this.requestDraw();
  }

  describe(at) {
    const node = this.scene.nodes[at];
    const from = this.feeds[at].map((link) => `${node.inputs[link[3]][0]} from ${this.scene.nodes[link[0]].title}`);
    const values = node.fields.map((field) => `${field.name} ${short(field.value, 60)}`.trim());
    return [`${node.title}: ${this.state(node)[0]}`, node.fault, ...from, ...values].filter(Boolean).join(", ");
  }

  state(node) {
    return this.states.get(node.id) ?? ["idle", null, ""];
  }

  writeHead() {
    const counts = new Map();
    for (const [state] of this.states.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
    counts.delete("idle");
    this.head.textContent = [this.scene.head, ...[...counts].map(([state, count]) => `${count} ${state}`)].join(", ");
    this.runButton.disabled = counts.has("running");
  }

  // Messages of the kernel

  take(message, buffers) {
    if (message.type === "refused" || message.type === "unchanged") this.load();
    if (["note", "hint", "refused"].includes(message.type)) this.showNote(message.text, message.type === "hint");
    if (message.type === "values") this.tooltip.setValues(message.id, message.lines);
    if (message.type !== "states") return;
    for (const [id, state] of Object.entries(message.states)) {
      this.tooltip.forget(id);
      this.states.set(id, state);
      if (this.at.has(id)) this.list.children[this.at.get(id)].textContent = this.describe(this.at.get(id));
    }
    if (!this.isToldOf) this.begin();
    this.isToldOf = true;
    this.writeHead();
    this.requestDraw();
    message.pictures.forEach(([id, format], at) => this.decode(id, new Blob([buffers[at]], { type: `image/${format}` })));
  }

  /** Keeps the newest picture of a node; one that cannot be decoded is shown as none. */
  async decode(id, blob) {
    this.newest.set(id, blob);
    const picture = await createImageBitmap(blob).catch(() => null);
    if (this.newest.get(id) !== blob) return void picture?.close();
    this.pictures.get(id)?.close();
    this.pictures.set(id, picture);
    this.requestDraw();
  }

  // Drawing

  requestDraw() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  resized() {
    const scale = devicePixelRatio || 1;
    if (!this.stage.clientWidth) return;
    if (!this.isFitted) this.fitHeight();
    const { clientWidth, clientHeight } = this.stage;
    this.canvas.width = clientWidth * scale;
    this.canvas.height = clientHeight * scale;
    if (!this.isFitted) this.begin();
    this.draw();
  }

  /** Makes the stage of a small graph less tall. */
  fitHeight() {
    const [, , w, h] = this.bounds;
    const zoom = Math.min(this.stage.clientWidth / w, 1);
    const height = h * (zoom < READABLE ? NATURAL : zoom);
    this.stage.style.height = `${Math.max(LEAST_HEIGHT, Math.min(height, this.stage.clientHeight))}px`;
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const started = performance.now();
    const { view, scene, stage } = this;
    const [wide, high] = [stage.clientWidth / view.zoom, stage.clientHeight / view.zoom];
    const isVisible = (x, y, w, h) => x < view.x + wide && x + w > view.x && y < view.y + high && y + h > view.y;
    this.painter.begin(view, devicePixelRatio || 1, scene.sizes);
    this.painter.groups(scene.groups);
    this.painter.links(scene, (x, y, w, h) => isVisible(x - 30, y - 1, w + 60, h + 2), this.picked);
    let drawn = 0;
    scene.nodes.forEach((node, at) => {
      if (!isVisible(...node.box)) return;
      drawn += 1;
      const marks = { state: this.state(node), isPicked: at === this.picked, isFound: this.found.has(at) };
      this.painter.node(node, { ...marks, picture: this.pictures.get(node.id), colours: scene.colours });
    });
    if (!this.map.hidden) this.drawMap(wide, high);
    this.root.lastDraw = { nodes: drawn, ms: performance.now() - started };
  }

  /** Makes the small map as large as the graph is on it; it is there if the graph is too large to be read as a whole. */
  fitMap() {
    const [, , w, h] = this.bounds;
    this.mapScale = Math.min(MAP_WIDTH / w, MAP_HEIGHT / h);
    this.map.width = MAP_WIDTH;
    this.map.height = between(MAP_LEAST_HEIGHT, h * this.mapScale, MAP_HEIGHT);
    this.map.style.height = `${this.map.height}px`;
    this.map.hidden = this.scene.nodes.length <= MAP_FROM && this.zoomOfAll() >= READABLE;
  }

  drawMap(wide, high) {
    const scale = this.mapScale;
    const [x, top, , h] = this.bounds;
    const y = top + (h - this.map.height / scale) / 2;
    const pen = this.map.getContext("2d");
    pen.clearRect(0, 0, this.map.width, this.map.height);
    const inks = this.painter.inks;
    for (const node of this.scene.nodes) {
      const [left, top, width, height] = node.box;
      pen.fillStyle = inks[this.state(node)[0]] ?? inks.faint;
      pen.fillRect((left - x) * scale, (top - y) * scale, Math.max(width * scale, 1), Math.max(height * scale, 1));
    }
    pen.strokeStyle = inks.running;
    const least = MAP_LEAST_HEIGHT / 2;
    pen.strokeRect((this.view.x - x) * scale, (this.view.y - y) * scale, Math.max(wide * scale, least), high * scale);
  }

  /** Centres the point of the scene that is at a point of the small map. */
  goToMap(px, py) {
    const scale = this.mapScale;
    const [x, y, , h] = this.bounds;
    this.view.x = x + px / scale - this.stage.clientWidth / this.view.zoom / 2;
    this.view.y = y + h / 2 + (py - this.map.height / 2) / scale - this.stage.clientHeight / this.view.zoom / 2;
    this.requestDraw();
  }

  /** The zoom at which all of the graph is visible. */
  zoomOfAll() {
    const [, , w, h] = this.bounds;
    return Math.min(this.stage.clientWidth / w, this.stage.clientHeight / h, 1.2);
  }

  /** Shows the whole graph, or where it cannot be read then, the node that runs or else its start. */
  begin() {
    this.fit();
    this.fitMap();
    const { nodes } = this.scene;
    if (!this.isFitted || !nodes.length || this.view.zoom >= READABLE) return;
    const running = nodes.find((node) => this.state(node)[0] === "running");
    if (running) return this.centreOn(running.box, NATURAL);
    const [left, top, , h] = nodes.reduce((first, { box }) => (box[0] < first[0] ? box : first), nodes[0].box);
    const [, y, , all] = this.bounds;
    const high = this.stage.clientHeight / NATURAL;
    const middle = high >= all ? y + all / 2 : between(y + high / 2, top + h / 2, y + all - high / 2);
    this.view = { zoom: NATURAL, x: left - 24, y: middle - high / 2 };
  }

  fit() {
    const [x, y, w, h] = this.bounds;
    const { clientWidth, clientHeight } = this.stage;
    if (!clientWidth) return;
    const zoom = this.zoomOfAll();
    this.view = { zoom, x: x + w / 2 - clientWidth / zoom / 2, y: y + h / 2 - clientHeight / zoom / 2 };
    this.isFitted = true;
    this.requestDraw();
  }

  zoomBy(factor, px = this.stage.clientWidth / 2, py = this.stage.clientHeight / 2) {
    const { view } = this;
    const zoom = Math.min(Math.max(view.zoom * factor, 0.01), 4);
    this.view = { zoom, x: view.x + px / view.zoom - px / zoom, y: view.y + py / view.zoom - py / zoom };
    this.editor.close();
    this.requestDraw();
  }

  centre(at) {
    this.centreOn(this.scene.nodes[at].box);
  }

  centreOn([x, y, w, h], zoom = Math.max(this.view.zoom, NATURAL)) {
    this.view = { zoom, x: x + w / 2 - this.stage.clientWidth / zoom / 2, y: y + h / 2 - this.stage.clientHeight / zoom / 2 };
    this.requestDraw();
  }

  /** Whether all of a box is visible, and large enough to be edited. */
  showsAll([x, y, w, h]) {
    const { view, stage } = this;
    const isWithin = x >= view.x && y >= view.y && x + w <= view.x + stage.clientWidth / view.zoom;
    return isWithin && y + h <= view.y + stage.clientHeight / view.zoom && view.zoom >= NEAR;
  }

  pick(at) {
    this.picked = at;
    this.requestDraw();
  }

  inspect(at, slot) {
    const node = this.scene.nodes[at];
    if (node.outputs.length) this.model.send({ type: "inspect", id: node.id, slot });
  }

  /** Marks the nodes that match the search. */
  find() {
    const wanted = this.search.value.trim().toLowerCase();
    this.found = new Set();
    if (!wanted) return;
    this.scene.nodes.forEach(({ id, title, class: kind }, at) => {
      if (id === wanted || `${title} ${kind}`.toLowerCase().includes(wanted)) this.found.add(at);
    });
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.tooltip.hide();
    this.watcher.disconnect();
    this.newest.clear();
    for (const picture of this.pictures.values()) picture?.close();
  }
}

function render({ model, el }) {
  const view = new GraphCanvas(model, el);
  const load = () => view.load();
  const take = (message, buffers) => view.take(message, buffers);
  model.on("change:scene", load);
  model.on("msg:custom", take);
  model.send({ type: "ready" });
  return () => {
    model.off("change:scene", load);
    model.off("msg:custom", take);
    view.close();
  };
}

export default { render: whenReady(render) };
