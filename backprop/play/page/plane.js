// The pictures beside the network: the plane of two inputs, a sample as an image, loss curves, and what each node gives in
// the plane. Depends on numbers.js and network.js.

import { digits, largestOf } from "./numbers.js";
import { svg } from "./network.js";

const SIDE = 60, SMALL = 12, WIDER = 0.1, CLASSES = 6;
const MARKS = [circle, square, triangle];
const MARK_NAMES = ["discs", "squares", "triangles"];

// Samples in the plane, from the engine's "points": their classes, and where the plane begins and ends.
export function planeOf({ inputs, columns, train, test }) {
  if (inputs !== 2 || train.x.length === 0) return null;
  const classOf = (y, i) => {
    if (columns === 1) return Number.isInteger(y[i]) ? y[i] : Number(y[i] >= 0.5);
    const row = y.subarray(i * columns, (i + 1) * columns);
    return row.indexOf(Math.max(...row));
  };
  const samples = ({ x, y }) => Array.from({ length: x.length / 2 }, (_, i) => ({ x: x[2 * i], y: x[2 * i + 1], class: classOf(y, i) }));
  const [own, tests] = [samples(train), samples(test)], all = [...own, ...tests];
  if (!all.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))) return null;
  const range = (key) => {
    const values = all.map((point) => point[key]), low = Math.min(...values), high = Math.max(...values);
    const room = (high > low ? high - low : 1) * WIDER;
    return [low - room, high + room];
  };
  return { points: own, tests, across: range("x"), up: range("y"), classes: Math.max(2, ...all.map((point) => point.class + 1)) };
}

// The points of a grid over the plane, the lowest row first, as rows of two inputs.
export function gridOf({ across, up }, side) {
  const at = ([low, high], i) => low + ((high - low) * i) / (side - 1), grid = new Float32Array(2 * side * side);
  for (let row = 0; row < side; row++) for (let i = 0; i < side; i++) grid.set([at(across, i), at(up, row)], 2 * (row * side + i));
  return grid;
}

export const regionGrid = (plane) => gridOf(plane, SIDE);
export const mapGrid = (plane) => gridOf(plane, SMALL);

// Which class the network gives each point of the grid, and how sure it is: the distance from 0.5, or from the next class.
function regionsOf(outputs) {
  const width = outputs.length / (SIDE * SIDE), classes = [], sure = [];
  for (let i = 0; i < SIDE * SIDE; i++) {
    const a = Array.from(outputs.subarray(i * width, (i + 1) * width));
    if (width === 1) {
      classes.push(Number(a[0] >= 0.5));
      sure.push(2 * Math.abs(a[0] - 0.5));
    } else {
      const best = a.indexOf(Math.max(...a));
      classes.push(best);
      sure.push(a[best] - Math.max(...a.filter((_, j) => j !== best)));
    }
  }
  return { classes, sure };
}

export const colourOf = (page, name) => getComputedStyle(page.keys[name]).color;
const partsOf = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);

// Each class a colour, the fuller the surer; a line where the class changes; samples with marks by class, test samples hollow.
export function drawPlane(page, plane, outputs, here, names) {
  const canvas = page.plane, pen = canvas.getContext("2d"), { classes, sure } = regionsOf(outputs);
  const colours = Array.from({ length: CLASSES }, (_, i) => colourOf(page, String(i)));
  const [ink, ground] = [colourOf(page, "ink"), colourOf(page, "ground")], cell = canvas.width / (SIDE - 1);
  const parts = colours.map(partsOf), small = new OffscreenCanvas(SIDE, SIDE), image = new ImageData(SIDE, SIDE);
  classes.forEach((name, i) => {
    const at = SIDE * (SIDE - 1 - Math.floor(i / SIDE)) + (i % SIDE);
    image.data.set([...parts[name % CLASSES], 30 + 100 * Math.min(sure[i], 1)], 4 * at);
  });
  small.getContext("2d").putImageData(image, 0, 0);
  pen.fillStyle = ground;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(small, -cell / 2, -cell / 2, canvas.width + cell, canvas.height + cell);
  pen.strokeStyle = ink;
  pen.lineWidth = 3;
  pen.stroke(border(classes, sure, SIDE, (x, y) => [x * cell, canvas.height - y * cell]));
  const share = ([low, high], value) => (value - low) / (high - low);
  const at = (point) => [share(plane.across, point.x) * canvas.width, (1 - share(plane.up, point.y)) * canvas.height];
  const mark = (point, fill, edge) => {
    pen.beginPath();
    MARKS[point.class % MARKS.length](pen, ...at(point));
    Object.assign(pen, { fillStyle: fill, strokeStyle: edge });
    pen.fill();
    pen.stroke();
  };
  pen.lineWidth = 2;
  for (const point of plane.tests) mark(point, ground, colours[point.class % CLASSES]);
  pen.lineWidth = 1.5;
  for (const point of plane.points) mark(point, colours[point.class % CLASSES], ground);
  const ring = (here.set === "test" ? plane.tests : plane.points)[here.index];
  if (ring) {
    pen.beginPath();
    pen.arc(...at(ring), 14, 0, 7);
    Object.assign(pen, { lineWidth: 4, strokeStyle: ink });
    pen.stroke();
  }
  const key = MARK_NAMES.slice(0, plane.classes).map((name, i) => `${names?.[i] ?? `class ${i}`}: ${name}`).join(", ");
  page.planeText.textContent = `${key}${plane.tests.length ? ", test samples hollow" : ""}. Across the first input, up the second; ` +
    "the line is the decision boundary, the ring the sample. Click a sample to pick it.";
  canvas.setAttribute("aria-label", `The plane of the two inputs with the decision boundary; ${key}`);
}

// The sample nearest to a click: {set, index}.
export function nearest(plane, canvas, event) {
  const box = canvas.getBoundingClientRect(), share = ([low, high], value) => (value - low) / (high - low);
  const x = (event.clientX - box.left) / box.width, y = 1 - (event.clientY - box.top) / box.height;
  const far = (point) => (share(plane.across, point.x) - x) ** 2 + (share(plane.up, point.y) - y) ** 2;
  const best = { set: "train", index: 0, far: Infinity };
  for (const [set, points] of [["train", plane.points], ["test", plane.tests]]) {
    points.forEach((point, index) => far(point) < best.far && Object.assign(best, { set, index, far: far(point) }));
  }
  return best;
}

// The line between the classes, within each square of four neighbours; it crosses a side where both would be equally unsure.
function border(classes, sure, side, at) {
  const line = new Path2D(), corners = [[0, 0], [1, 0], [1, 1], [0, 1]];
  for (let y = 0; y + 1 < side; y++) {
    for (let x = 0; x + 1 < side; x++) {
      const crossings = [];
      for (let c = 0; c < 4; c++) {
        const [[x1, y1], [x2, y2]] = [corners[c], corners[(c + 1) % 4]];
        const from = (y + y1) * side + x + x1, to = (y + y2) * side + x + x2;
        if (classes[from] === classes[to]) continue;
        const share = sure[from] + sure[to] > 0 ? sure[from] / (sure[from] + sure[to]) : 0.5;
        crossings.push([x + x1 + share * (x2 - x1), y + y1 + share * (y2 - y1)]);
      }
      if (crossings.length === 2) {
        line.moveTo(...at(...crossings[0]));
        line.lineTo(...at(...crossings[1]));
        continue;
      }
      const middle = [0, 1].map((i) => crossings.reduce((sum, each) => sum + each[i], 0) / crossings.length);
      for (const each of crossings) {
        line.moveTo(...at(...each));
        line.lineTo(...at(...middle));
      }
    }
  }
  return line;
}

function circle(pen, x, y) { pen.arc(x, y, 6, 0, 7); }
function square(pen, x, y) { pen.rect(x - 5.5, y - 5.5, 11, 11); }
function triangle(pen, x, y) { pen.moveTo(x, y - 7); pen.lineTo(x + 7, y + 6); pen.lineTo(x - 7, y + 6); pen.closePath(); }

// For each layer and node what it gives over the plane, as the address of a small picture: blue above 0, orange below.
export function mapsOf(page, layers, activations) {
  const [positive, negative] = ["plus", "minus"].map((name) => partsOf(colourOf(page, name)));
  return layers.map(({ outputs }, l) => {
    const a = activations[l];
    return Array.from({ length: outputs }, (_, j) => {
      const values = Array.from({ length: SMALL * SMALL }, (_, i) => a[i * outputs + j]), most = largestOf(values) || 1;
      const canvas = document.createElement("canvas"), image = new ImageData(SMALL, SMALL);
      canvas.width = canvas.height = SMALL;
      values.forEach((value, i) => {
        const at = SMALL * (SMALL - 1 - Math.floor(i / SMALL)) + (i % SMALL);
        image.data.set([...(value < 0 ? negative : positive), 255 * Math.min(Math.abs(value) / most, 1)], 4 * at);
      });
      canvas.getContext("2d").putImageData(image, 0, 0);
      return canvas.toDataURL();
    });
  });
}

// A sample that may be a square picture; false for any other.
export function drawImage(canvas, x) {
  const side = Math.round(Math.sqrt(x.length));
  if (side < 4 || side * side !== x.length) return false;
  const most = largestOf(x) || 1, pen = canvas.getContext("2d");
  canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  x.forEach((value, i) => {
    const grey = Number.isFinite(value) ? 255 * Math.min(Math.max(value / most, 0), 1) : 0;
    image.data.set([grey, grey, grey, 255], 4 * i);
  });
  pen.putImageData(image, 0, 0);
  return true;
}

// Loss curves: runs of {label, points: [{epoch, train, test}]}, the latest last and strongest; C on a logarithmic axis.
export function drawCurve(holder, runs) {
  const points = runs.flatMap((run) => run.points), values = points.flatMap(({ train, test }) => [train, test]).filter((value) => value > 0);
  if (points.length < 2 || values.length < 2) return holder.replaceChildren();
  const width = Math.max(holder.clientWidth, 200), height = 120, left = 44, bottom = 18;
  const last = Math.max(...points.map(({ epoch }) => epoch), 1), low = Math.log(Math.min(...values)), high = Math.log(Math.max(...values));
  const x = (epoch) => left + ((width - left - 6) * epoch) / last;
  const y = (value) => 6 + ((height - bottom - 8) * (high - Math.log(value))) / (high - low || 1);
  const path = (run, key) => run.points.filter((point) => point[key] > 0).map((point, i) => `${i ? "L" : "M"}${x(point.epoch).toFixed(1)} ${y(point[key]).toFixed(1)}`).join("");
  const now = runs.at(-1).points.at(-1) ?? points.at(-1);
  const said = `C by epoch: ${runs.map((run) => `${run.label} ended at ${digits(run.points.at(-1)?.train)}`).join("; ")}`;
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": said },
    svg("path", { class: "bp-axis", d: `M${left} 4V${height - bottom}H${width - 4}` }));
  for (const [value, at] of [[Math.exp(high), 10], [Math.exp(low), height - bottom - 3]]) {
    picture.append(svg("text", { class: "bp-tick", x: left - 4, y: at, "text-anchor": "end" }, digits(value, 2)));
  }
  picture.append(svg("text", { class: "bp-tick", x: width - 6, y: height - 5, "text-anchor": "end" }, `epoch ${last}`));
  runs.forEach((run, i) => {
    const old = i < runs.length - 1 ? " bp-old" : "";
    for (const key of ["train", "test"]) picture.append(svg("path", { class: `bp-curve bp-${key}${old}`, d: path(run, key) }));
    if (old) picture.append(svg("text", { class: "bp-tick bp-old", x: Math.min(x(run.points.at(-1).epoch), width - 60), y: Math.max(y(run.points.at(-1).train) - 6, 12) }, run.label));
  });
  picture.append(svg("circle", { class: "bp-here", cx: x(now.epoch), cy: y(now.train), r: 3 }));
  holder.replaceChildren(picture);
}
