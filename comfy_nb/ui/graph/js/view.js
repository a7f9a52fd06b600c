// A graph on a canvas: the scene comes as a trait, states as messages; clicks, edits and the Run button go back.

class GraphView {
  constructor(model, el) {
    this.model = model;
    this.states = new Map();
    this.pictures = new Map();
    this.newest = new Map(); // the encoded picture that is to be shown, by node
    this.found = new Set();
    this.picked = -1;
    this.view = { x: 0, y: 0, zoom: 1 };
    this.frame = 0;
    this.words = "";
    this.build(el);
    this.editor = new Editor(this.stage);
    this.root.graphView = this;
    this.painter = new Painter(this.canvas, getComputedStyle(this.root));
    this.load();
    this.hands = new Hands(this);
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
    this.runs = button("Run", "run what is stale", () => this.model.send({ type: "run" }));
    bar.append(this.head, this.search, button("−", "zoom out", () => this.zoomBy(1 / 1.3)));
    bar.append(button("+", "zoom in", () => this.zoomBy(1.3)), button("Fit", "fit", () => this.fit()), this.runs);
    this.stage = element("div", "cnb-graph-stage");
    this.canvas = element("canvas", "cnb-graph-canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.map = element("canvas", "cnb-graph-map");
    this.stage.append(this.canvas, this.map);
    this.tip = new Tip(this.stage, (id) => this.model.send({ type: "hover", id }));
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
    this.scene = { ...scene, routes: routed(scene) };
    this.editor.keepTo(this.scene);
    this.hull = hull(this.scene);
    this.at = new Map(this.scene.nodes.map((node, at) => [node.id, at]));
    this.picked = this.at.get(picked) ?? -1;
    this.find();
    this.runs.hidden = !this.scene.canEdit;
    this.map.hidden = this.scene.nodes.length <= MAP_FROM;
    this.canvas.setAttribute("aria-label", `graph: ${this.scene.head}. Arrow keys walk along links, Enter looks inside, E edits.`);
    this.feeds = this.scene.nodes.map(() => []);
    for (const link of this.scene.links) this.feeds[link[2]].push(link);
    this.list.replaceChildren(...this.scene.nodes.map((node, at) => element("li", "", {}, this.told(at))));
    for (const id of this.states.keys()) if (!this.at.has(id)) this.states.delete(id);
    this.say(this.words);
    this.title();
    this.ask();
  }

  /** What is missing stays said beside what else there is to say. */
  say(text) {
    this.words = text;
    this.note.textContent = [text, ...this.scene.faults].filter(Boolean).join("\n");
  }

  /** A value that was given counts at once; the kernel's answer says whether it is so. */
  put(id, name, value) {
    const at = this.at.get(id);
    const node = this.scene.nodes[at];
    const place = node?.fields.findIndex((field) => field.name === name) ?? -1;
    if (place < 0) return;
    const fields = node.fields.with(place, { ...node.fields[place], value });
    this.scene = { ...this.scene, nodes: this.scene.nodes.with(at, { ...node, fields }) };
    this.ask();
  }

  told(at) {
    const node = this.scene.nodes[at];
    const from = this.feeds[at].map((link) => `${node.inputs[link[3]][0]} from ${this.scene.nodes[link[0]].title}`);
    const values = node.fields.map((field) => `${field.name} ${short(field.value, 60)}`.trim());
    return [`${node.title}: ${this.state(node)[0]}`, node.fault, ...from, ...values].filter(Boolean).join(", ");
  }

  state(node) {
    return this.states.get(node.id) ?? ["idle", null, ""];
  }

  title() {
    const counts = new Map();
    for (const [state] of this.states.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
    counts.delete("idle");
    this.head.textContent = [this.scene.head, ...[...counts].map(([state, count]) => `${count} ${state}`)].join(", ");
    this.runs.disabled = counts.has("running");
  }

  // What the kernel says

  take(message, buffers) {
    if (message.type === "refused" || message.type === "unchanged") this.load();
    if (message.type === "note" || message.type === "refused") this.say(message.text);
    if (message.type === "values") this.tip.take(message.id, message.words);
    if (message.type !== "states") return;
    for (const [id, state] of Object.entries(message.states)) {
      this.tip.forget(id);
      this.states.set(id, state);
      if (this.at.has(id)) this.list.children[this.at.get(id)].textContent = this.told(this.at.get(id));
    }
    this.title();
    this.ask();
    message.pictures.forEach(([id, format], at) => this.decode(id, new Blob([buffers[at]], { type: `image/${format}` })));
  }

  /** The newest picture of a node stays; one that cannot be decoded is no reason to lose the others. */
  async decode(id, blob) {
    this.newest.set(id, blob);
    const picture = await createImageBitmap(blob).catch(() => null);
    if (this.newest.get(id) !== blob) return void picture?.close();
    this.pictures.get(id)?.close();
    this.pictures.set(id, picture);
    this.ask();
  }

  // Drawing

  ask() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  resized() {
    const scale = devicePixelRatio || 1;
    if (!this.stage.clientWidth) return;
    if (!this.isFitted) this.suit();
    const { clientWidth, clientHeight } = this.stage;
    this.canvas.width = clientWidth * scale;
    this.canvas.height = clientHeight * scale;
    if (!this.isFitted) this.fit();
    this.draw();
  }

  /** A small graph needs no tall stage. */
  suit() {
    const [, , w, h] = this.hull;
    const height = h * Math.min(this.stage.clientWidth / w, 1);
    this.stage.style.height = `${Math.max(LEAST_HEIGHT, Math.min(height, this.stage.clientHeight))}px`;
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const started = performance.now();
    const { view, scene, stage } = this;
    const [wide, high] = [stage.clientWidth / view.zoom, stage.clientHeight / view.zoom];
    const sees = (x, y, w, h) => x < view.x + wide && x + w > view.x && y < view.y + high && y + h > view.y;
    this.painter.begin(view, devicePixelRatio || 1);
    this.painter.groups(scene.groups);
    this.painter.links(scene, (x, y, w, h) => sees(x - 30, y - 1, w + 60, h + 2), this.picked);
    let drawn = 0;
    scene.nodes.forEach((node, at) => {
      if (!sees(...node.box)) return;
      drawn += 1;
      const look = { state: this.state(node), isPicked: at === this.picked, isFound: this.found.has(at) };
      this.painter.node(node, { ...look, picture: this.pictures.get(node.id), colours: scene.colours });
    });
    if (!this.map.hidden) this.drawMap(wide, high);
    this.root.lastDraw = { nodes: drawn, ms: performance.now() - started };
  }

  drawMap(wide, high) {
    const [x, y, w, h] = this.hull;
    const pen = this.map.getContext("2d");
    const scale = Math.min(150 / w, 96 / h);
    if (this.map.width !== 150) [this.map.width, this.map.height] = [150, 96];
    pen.clearRect(0, 0, 150, 96);
    const inks = this.painter.inks;
    for (const node of this.scene.nodes) {
      const [left, top, width, height] = node.box;
      pen.fillStyle = inks[this.state(node)[0]] ?? inks.faint;
      pen.fillRect((left - x) * scale, (top - y) * scale, Math.max(width * scale, 1), Math.max(height * scale, 1));
    }
    pen.strokeStyle = inks.running;
    pen.strokeRect((this.view.x - x) * scale, (this.view.y - y) * scale, wide * scale, high * scale);
  }

  /** Shows in the middle what is at a point of the small map. */
  goToMap(px, py) {
    const [x, y, w, h] = this.hull;
    const scale = Math.min(150 / w, 96 / h);
    this.view.x = x + px / scale - this.stage.clientWidth / this.view.zoom / 2;
    this.view.y = y + py / scale - this.stage.clientHeight / this.view.zoom / 2;
    this.ask();
  }

  fit() {
    const [x, y, w, h] = this.hull;
    const { clientWidth, clientHeight } = this.stage;
    if (!clientWidth) return;
    const zoom = Math.min(clientWidth / w, clientHeight / h, 1.2);
    this.view = { zoom, x: x + w / 2 - clientWidth / zoom / 2, y: y + h / 2 - clientHeight / zoom / 2 };
    this.isFitted = true;
    this.ask();
  }

  zoomBy(factor, px = this.stage.clientWidth / 2, py = this.stage.clientHeight / 2) {
    const { view } = this;
    const zoom = Math.min(Math.max(view.zoom * factor, 0.01), 4);
    this.view = { zoom, x: view.x + px / view.zoom - px / zoom, y: view.y + py / view.zoom - py / zoom };
    this.editor.close();
    this.ask();
  }

  centre(at) {
    this.centreOn(this.scene.nodes[at].box);
  }

  centreOn([x, y, w, h]) {
    const zoom = Math.max(this.view.zoom, 0.7);
    this.view = { zoom, x: x + w / 2 - this.stage.clientWidth / zoom / 2, y: y + h / 2 - this.stage.clientHeight / zoom / 2 };
    this.ask();
  }

  /** Whether all of a box is seen, large enough to be worked on. */
  seesAll([x, y, w, h]) {
    const { view, stage } = this;
    const isWithin = x >= view.x && y >= view.y && x + w <= view.x + stage.clientWidth / view.zoom;
    return isWithin && y + h <= view.y + stage.clientHeight / view.zoom && view.zoom >= NEAR;
  }

  pick(at) {
    this.picked = at;
    this.ask();
  }

  inspect(at, slot) {
    const node = this.scene.nodes[at];
    if (node.outputs.length) this.model.send({ type: "inspect", id: node.id, slot });
  }

  /** Marks what the search names. */
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
    this.tip.hide();
    this.watcher.disconnect();
    this.newest.clear();
    for (const picture of this.pictures.values()) picture?.close();
  }
}

function render({ model, el }) {
  const view = new GraphView(model, el);
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
