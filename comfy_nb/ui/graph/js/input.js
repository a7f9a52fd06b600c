/** The pointer and the keyboard on a graph: moving around, inspecting, and opening fields. */
class GraphInput {
  constructor(view) {
    this.view = view;
    const { canvas, root, map, search, tooltip } = view;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => { this.drag = null; });
    canvas.addEventListener("pointerleave", () => tooltip.hide());
    canvas.addEventListener("dblclick", (event) => {
      const at = nodeAt(view.scene, ...this.point(event));
      if (at >= 0) view.centre(at);
    });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
      event.preventDefault();
      view.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event.offsetX, event.offsetY);
    }, { passive: false });
    map.addEventListener("click", (event) => view.goToMap(event.offsetX, event.offsetY));
    root.addEventListener("keydown", (event) => this.key(event));
    search.addEventListener("input", () => {
      view.find();
      this.lastFound = -1;
      this.pickNextFound();
      view.requestDraw();
    });
  }

  point(event) {
    const { x, y, zoom } = this.view.view;
    return [x + event.offsetX / zoom, y + event.offsetY / zoom];
  }

  fieldAt(node, y) {
    const { sizes } = this.view.scene;
    const place = Math.floor((y - fieldTop(sizes, node, 0)) / sizes.field);
    return this.view.view.zoom >= NEAR ? node.fields[place] : undefined;
  }

  /** The number of the row of slots at a height, from 0. */
  rowAt(node, y) {
    const { head, row } = this.view.scene.sizes;
    return Math.floor((y - node.box[1] - head) / row);
  }

  // The pointer

  press(event) {
    if (event.button) return;
    this.view.canvas.setPointerCapture(event.pointerId);
    this.drag = { x: event.clientX, y: event.clientY, view: { ...this.view.view }, isFar: false };
    this.view.editor.close();
  }

  move(event) {
    const { drag, view } = this;
    if (!drag) return this.hover(event);
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    drag.isFar ||= Math.hypot(dx, dy) > 4;
    if (!drag.isFar) return;
    view.view.x = drag.view.x - dx / view.view.zoom;
    view.view.y = drag.view.y - dy / view.view.zoom;
    view.tooltip.hide();
    view.requestDraw();
  }

  release(event) {
    const { drag, view } = this;
    this.drag = null;
    if (!drag || drag.isFar) return;
    const [x, y] = this.point(event);
    const at = nodeAt(view.scene, x, y);
    if (at < 0) {
      const link = linkAt(view.scene, x, y, 6 / view.view.zoom);
      if (link) view.inspect(link[0], link[1]);
      return;
    }
    const node = view.scene.nodes[at];
    view.pick(at);
    const field = this.fieldAt(node, y);
    if (field && this.canEdit(node, field)) this.editFrom(at, node.fields.indexOf(field), 1);
    else view.inspect(at, Math.max(0, Math.min(this.rowAt(node, y), node.outputs.length - 1)));
  }

  hover(event) {
    const { scene, tooltip, view } = this.view;
    const [x, y] = this.point(event);
    const at = nodeAt(scene, x, y);
    const link = at < 0 ? linkAt(scene, x, y, 6 / view.zoom) : undefined;
    if (at >= 0) tooltip.show(event, this.describe(scene.nodes[at], y), scene.nodes[at]);
    else if (link) tooltip.show(event, this.describeLink(link), scene.nodes[link[0]], link[1]);
    else tooltip.hide();
  }

  describe(node, y) {
    const field = this.fieldAt(node, y);
    const row = this.rowAt(node, y);
    const slots = [node.inputs[row], node.outputs[row]].filter(Boolean).map(([name, kind]) => `${name}: ${kind}`);
    const state = this.view.state(node).filter((each) => each !== null).join(" ");
    const value = field && (field.name ? `${field.name} = ${field.value}` : field.value);
    return [`${node.title} (#${node.id}) ${node.class}`, state, node.fault, ...(field ? [value] : slots)];
  }

  describeLink([source, slot, target, place, kind]) {
    const [from, to] = [this.view.scene.nodes[source], this.view.scene.nodes[target]];
    return [`${kind} from ${from.title} (${from.outputs[slot]?.[0] ?? slot}) to ${to.title} (${to.inputs[place][0]})`];
  }

  // Edits

  canEdit(node, field) {
    return this.view.scene.canEdit && node.box[3] > this.view.scene.sizes.head && !["other", "note"].includes(field.kind);
  }

  /** Opens the field at `place` of a node or, if it cannot be edited, the next one (`by` 1) or previous one (-1). */
  editFrom(at, place, by) {
    const { view } = this;
    const node = view.scene.nodes[at];
    while (node.fields[place] && !this.canEdit(node, node.fields[place])) place += by;
    const field = node.fields[place];
    if (!field) return view.canvas.focus();
    const { sizes } = view.scene;
    const box = [node.box[0] + 8, fieldTop(sizes, node, place), node.box[2] - 16, sizes.field];
    if (!view.showsAll(box)) view.centreOn(box);
    const { x, y, zoom } = view.view;
    const input = { id: node.id, name: field.name };
    view.editor.open(node, field, [(box[0] - x) * zoom, (box[1] - y) * zoom, box[2] * zoom], {
      submit: (value) => {
        view.model.send({ type: "edit", ...input, value });
        view.setValue(node.id, field.name, value);
      },
      reseed: () => view.model.send({ type: "reseed", ...input }),
      leave: (step) => {
        const now = view.at.get(node.id);
        const there = view.scene.nodes[now]?.fields.findIndex(({ name }) => name === field.name) ?? -1;
        if (step && there >= 0) this.editFrom(now, there + step, step);
        else view.canvas.focus();
      },
    });
  }

  // The keyboard

  key(event) {
    const { canvas, search } = this.view;
    const isTyping = event.target === search;
    const isHeld = event.ctrlKey || event.metaKey;
    if ((event.key === "f" && isHeld) || (event.key === "/" && !isTyping)) {
      event.preventDefault();
      search.focus();
    } else if (isTyping) {
      if (event.key === "Enter") this.pickNextFound();
    } else if (event.target === canvas && !isHeld && !event.altKey && this.handle(event.key)) event.preventDefault();
  }

  /** Handles a key on the canvas, and returns whether it has a meaning there. */
  handle(key) {
    const { view } = this;
    if (key.startsWith("Arrow")) return this.pickNeighbour(key), true;
    if (key === "+" || key === "-") return view.zoomBy(key === "+" ? 1.3 : 1 / 1.3), true;
    if (view.picked < 0) return false;
    if (key === "Enter") return view.inspect(view.picked, 0), true;
    if (key.toLowerCase() === "e") return this.editFrom(view.picked, 0, 1), true;
    return false;
  }

  pickNeighbour(key) {
    const { view } = this;
    const next = neighbour(view.scene, view.picked, key);
    if (next < 0) return;
    view.pick(next);
    view.centre(next);
    view.spoken.textContent = view.describe(next);
  }

  pickNextFound() {
    const found = [...this.view.found];
    if (!found.length) return;
    this.lastFound = (this.lastFound + 1) % found.length;
    this.view.pick(found[this.lastFound]);
    this.view.centre(this.view.picked);
  }
}
