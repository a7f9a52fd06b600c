// Where the parts of a scene are: nodes as the kernel laid them out, slots, fields and links.
// `scene.sizes` are the kernel's too: the heights of a node's head, rows, fields, padding and preview, and its width.

const MAP_FROM = 60, MAP_WIDTH = 150, MAP_HEIGHT = 96, MAP_LEAST_HEIGHT = 16;
const LEAST_HEIGHT = 220;
const NEAR = 0.35; // the zoom from which values are drawn
const READABLE = 0.6, NATURAL = 0.8; // the zoom from which they can be read, and at which they are read with ease
const INKS = {
  running: "--cnb-blue", done: "--cnb-green", failed: "--cnb-red", blocked: "--cnb-amber", stopped: "--cnb-amber",
};

const between = (low, value, high) => Math.min(Math.max(low, value), high);

const button = (label, title, press) => pushButton("", label, title, press);

const short = (value, most) => {
  const text = String(value).replace(/\s+/g, " ");
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
};

/** Breaks a text into lines that fit into `room`, and a word that is too long for a line. */
function wrapped(pen, text, room) {
  const lines = [];
  for (const line of text.split("\n")) {
    let now = "";
    for (const piece of line.match(/\S+\s*|\s+/gu) ?? [""]) {
      if (pen.measureText(now + piece.trimEnd()).width <= room) {
        now += piece;
        continue;
      }
      if (now) lines.push(now);
      now = "";
      for (const character of piece) {
        if (now && pen.measureText(now + character).width > room) {
          lines.push(now);
          now = "";
        }
        now += character;
      }
    }
    lines.push(now);
  }
  return lines;
}

/** The box that holds the whole scene, with a margin. */
function boundsOf(scene) {
  const boxes = [...scene.nodes, ...scene.groups].map(({ box }) => box);
  for (const link of scene.links) boxes.push(...link[5].map(([x, y]) => [x, y, scene.sizes.width, 0]));
  if (!boxes.length) return [0, 0, 100, 100];
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y, w, h] of boxes) {
    left = Math.min(left, x), top = Math.min(top, y);
    right = Math.max(right, x + w), bottom = Math.max(bottom, y + h);
  }
  return [left - 24, top - 24, right - left + 48, bottom - top + 48];
}

/** The point of a slot; a folded node has all of them in its head. */
const slotAt = ({ head, row }, [x, y, w, h], place, isOut) =>
  [x + (isOut ? w : 0), y + (h > head ? head + (place + 0.5) * row : head / 2)];

/** The curves of a link, each from a point to a point; between them it runs level past a column of nodes. */
function curvesOf({ nodes, sizes }, [source, slot, target, place, , via]) {
  const found = [];
  let [x, y] = slotAt(sizes, nodes[source].box, slot, true);
  for (const [toX, toY] of via) {
    found.push([x, y, toX, toY]);
    [x, y] = [toX + sizes.width, toY];
  }
  found.push([x, y, ...slotAt(sizes, nodes[target].box, place, false)]);
  return found;
}

/** The route of every link: its curves, and the box that holds them. */
const routesOf = (scene) => scene.links.map((link) => {
  const curves = curvesOf(scene, link);
  return { curves, box: boxAround(curves) };
});

function boxAround(curves) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y, toX, toY] of curves) {
    left = Math.min(left, x, toX), right = Math.max(right, x, toX);
    top = Math.min(top, y, toY), bottom = Math.max(bottom, y, toY);
  }
  return [left, top, right - left, bottom - top];
}

const bendOf = (x, toX) => Math.max(Math.abs(toX - x) / 2, 30);

const fieldTop = ({ head, row, field }, node, place) =>
  node.box[1] + head + Math.max(node.inputs.length, node.outputs.length) * row + place * field;
