// Where the things of a scene are: boxes of nodes as the kernel laid them out, slots, fields and links.

const HEAD = 30, ROW = 20, FIELD = 24, PAD = 8, PREVIEW = 104, WIDTH = 230, MAP_FROM = 60, LEAST_HEIGHT = 220;
const NEAR = 0.35; // the zoom from which there are values to see
const INKS = {
  running: "--cnb-blue", done: "--cnb-green", failed: "--cnb-red", blocked: "--cnb-amber", stopped: "--cnb-amber",
};

const button = (label, title, press) => pushButton("", label, title, press);

const short = (value, most) => {
  const text = String(value).replace(/\s+/g, " ");
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
};

/** A text in lines that are no wider than there is room; a word that is too long is broken. */
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

function hull(scene) {
  const boxes = [...scene.nodes, ...scene.groups].map(({ box }) => box);
  for (const link of scene.links) boxes.push(...link[5].map(([x, y]) => [x, y, WIDTH, 0]));
  if (!boxes.length) return [0, 0, 100, 100];
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y, w, h] of boxes) {
    left = Math.min(left, x), top = Math.min(top, y);
    right = Math.max(right, x + w), bottom = Math.max(bottom, y + h);
  }
  return [left - 24, top - 24, right - left + 48, bottom - top + 48];
}

/** Where a slot is; a folded node has all of them in its head. */
const slotAt = ([x, y, w, h], place, isOut) => [x + (isOut ? w : 0), y + (h > HEAD ? HEAD + (place + 0.5) * ROW : HEAD / 2)];

/** The curves of a link, each from a point to a point; between them it goes level past a column of nodes. */
function curves(scene, [source, slot, target, place, , via]) {
  const found = [];
  let [x, y] = slotAt(scene.nodes[source].box, slot, true);
  for (const [toX, toY] of via) {
    found.push([x, y, toX, toY]);
    [x, y] = [toX + WIDTH, toY];
  }
  found.push([x, y, ...slotAt(scene.nodes[target].box, place, false)]);
  return found;
}

/** The way of every link: its curves, and the box that holds them. */
const routed = (scene) => scene.links.map((link) => {
  const legs = curves(scene, link);
  return { legs, box: around(legs) };
});

/** The box that holds some curves. */
function around(legs) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y, toX, toY] of legs) {
    left = Math.min(left, x, toX), right = Math.max(right, x, toX);
    top = Math.min(top, y, toY), bottom = Math.max(bottom, y, toY);
  }
  return [left, top, right - left, bottom - top];
}

const bendOf = (x, toX) => Math.max(Math.abs(toX - x) / 2, 30);

const fieldTop = (node, at) =>
  node.box[1] + HEAD + Math.max(node.inputs.length, node.outputs.length) * ROW + at * FIELD;
