/** Draws groups, links and nodes, with less detail the further they are zoomed out. */
class Painter {
  constructor(canvas, style) {
    this.pen = canvas.getContext("2d");
    this.canvas = canvas;
    this.style = style;
    this.notes = new WeakMap(); // the lines of a note, by its field
  }

  begin(view, scale, sizes) {
    this.sizes = sizes;
    const read = (name) => this.style.getPropertyValue(name).trim();
    this.inks = { ink: read("--cnb-ink"), faint: read("--cnb-faint"), paper: read("--cnb-paper"), line: read("--cnb-line") };
    for (const [state, name] of Object.entries(INKS)) this.inks[state] = read(name);
    this.pen.setTransform(1, 0, 0, 1, 0, 0);
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.pen.setTransform(scale * view.zoom, 0, 0, scale * view.zoom, -view.x * scale * view.zoom, -view.y * scale * view.zoom);
    this.zoom = view.zoom;
  }

  groups(groups) {
    for (const { title, box, colour } of groups) {
      this.pen.fillStyle = colour || this.inks.line;
      this.pen.globalAlpha = colour ? 0.2 : 0.35;
      this.pen.fillRect(...box);
      this.pen.globalAlpha = 1;
      this.title(title, box, this.inks.faint, box[2] - 20, 16);
    }
  }

  links(scene, isVisible, lit) {
    const paths = new Map();
    scene.links.forEach((link, at) => {
      const { curves, box } = scene.routes[at];
      if (!isVisible(...box)) return;
      const isLit = link[0] === lit || link[2] === lit;
      const key = `${isLit ? 1 : 0}${link[4]}`;
      if (!paths.has(key)) paths.set(key, new Path2D());
      const path = paths.get(key);
      path.moveTo(curves[0][0], curves[0][1]);
      for (const [x, y, toX, toY] of curves) {
        if (x !== curves[0][0]) path.lineTo(x, y);
        const bend = bendOf(x, toX);
        if (this.zoom < 0.12) path.lineTo(toX, toY);
        else path.bezierCurveTo(x + bend, y, toX - bend, toY, toX, toY);
      }
    });
    for (const [key, path] of paths) {
      this.pen.strokeStyle = scene.colours[key.slice(1)];
      this.pen.lineWidth = key[0] === "1" ? 4 : Math.max(2, 0.7 / this.zoom);
      this.pen.stroke(path);
    }
  }

  node(node, marks) {
    const { pen, inks } = this;
    const { head } = this.sizes;
    const [x, y, w, h] = node.box;
    const state = marks.state[0];
    pen.globalAlpha = state === "stale" || node.mode !== "active" ? 0.55 : 1;
    pen.fillStyle = inks.paper;
    pen.strokeStyle = node.fault ? inks.failed : inks[state] ?? inks.faint;
    pen.lineWidth = marks.isPicked ? 4 : 1.5;
    pen.setLineDash(node.fault || state === "stale" || node.mode !== "active" ? [6, 4] : []);
    pen.beginPath();
    if (this.zoom < 0.25) pen.rect(x, y, w, h);
    else pen.roundRect(x, y, w, h, 6);
    pen.fill();
    pen.stroke();
    pen.setLineDash([]);
    if (this.zoom < 0.12) {
      pen.fillStyle = inks[state] ?? inks.faint;
      pen.fillRect(x, y, w, h);
      pen.globalAlpha = 1;
      return;
    }
    if (node.colour) {
      pen.fillStyle = node.colour;
      pen.globalAlpha *= 0.35;
      pen.fillRect(x + 1, y + 1, w - 2, head);
      pen.globalAlpha = state === "stale" || node.mode !== "active" ? 0.55 : 1;
    }
    if (marks.isFound) {
      pen.fillStyle = inks.blocked;
      pen.fillRect(x, y, w, 4);
    }
    const showsState = state !== "idle" && this.zoom > 0.5;
    this.title(node.title, node.box, inks.ink, w - (showsState ? 80 : 20), 13);
    if (showsState) this.text(state, x + w - 8, y + 20, inks[state] ?? inks.faint, 64, 11, "right");
    if (state === "running") {
      pen.fillStyle = inks.line;
      pen.fillRect(x + 8, y + head - 4, w - 16, 3);
      pen.fillStyle = inks.running;
      pen.fillRect(x + 8, y + head - 4, (w - 16) * (marks.state[1] ?? 0.05), 3);
    }
    if (this.zoom >= NEAR) this.inside(node, marks);
    pen.globalAlpha = 1;
  }

  inside(node, marks) {
    const { pen, inks, sizes } = this;
    const [x, y, w, h] = node.box;
    pen.save();
    pen.beginPath();
    pen.rect(x - 6, y, w + 12, h);
    pen.clip();
    for (const [isOut, slots] of [[false, node.inputs], [true, node.outputs]]) {
      slots.forEach(([name, kind], at) => {
        const [dotX, dotY] = slotAt(sizes, node.box, at, isOut);
        pen.fillStyle = marks.colours[kind];
        pen.beginPath();
        pen.arc(dotX, dotY, 4.5, 0, 7);
        pen.fill();
        const half = node.inputs.length && node.outputs.length ? w / 2 - 14 : w - 24;
        this.text(name, dotX + (isOut ? -10 : 10), dotY + 4, inks.faint, half, 11, isOut ? "right" : "left");
      });
    }
    node.fields.forEach((field, at) => {
      const top = fieldTop(sizes, node, at);
      if (field.kind === "note") return this.note(field, x + 12, top + 14, w - 24, y + h);
      pen.strokeStyle = inks.line;
      pen.lineWidth = 1;
      pen.strokeRect(x + 8, top + 2, w - 16, sizes.field - 4);
      this.text(field.name, x + 14, top + 16, inks.faint, w * 0.4, 11);
      this.text(field.value, x + w - 14, top + 16, inks.ink, w * 0.46, 11, "right");
    });
    if (marks.picture) {
      const top = fieldTop(sizes, node, node.fields.length) + 2;
      const room = Math.min(sizes.preview - 4, y + h - top - sizes.pad / 2);
      const scale = Math.min((w - 16) / marks.picture.width, room / marks.picture.height);
      const wide = marks.picture.width * scale;
      if (room > 12) pen.drawImage(marks.picture, x + (w - wide) / 2, top, wide, marks.picture.height * scale);
    }
    pen.restore();
  }

  /** Writes a text in as many lines as there is room for, and an ellipsis if some are left out. */
  note(field, x, y, room, bottom) {
    this.pen.font = "12px system-ui, sans-serif";
    const lines = this.notes.get(field) ?? wrapped(this.pen, field.value, room);
    this.notes.set(field, lines);
    const most = Math.max(Math.floor((bottom - y) / 16), 1);
    lines.slice(0, most).forEach((line, at) => {
      const isCut = at === most - 1 && lines.length > most;
      this.text(isCut ? `${line.slice(0, -1)}…` : line, x, y + at * 16, this.inks.ink, Infinity, 12);
    });
  }

  /** Zoomed out, a title is enlarged as far as the head has room. */
  title(text, [x, y], ink, room, size) {
    const enlarged = Math.min(Math.max(size, 9 / this.zoom), 24);
    this.text(text, x + 10, y + this.sizes.head / 2 + enlarged * 0.35, ink, room, enlarged);
  }

  text(text, x, y, ink, room, size, align = "left") {
    if (size * this.zoom < 5 || room < 12) return;
    this.pen.font = `${size}px system-ui, sans-serif`;
    this.pen.fillStyle = ink;
    this.pen.textAlign = align;
    this.pen.fillText(short(text, Math.max(Math.floor(room / (size * 0.54)), 2)), x, y);
  }
}
