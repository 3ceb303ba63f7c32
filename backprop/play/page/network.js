// Draws the network of a round as SVG. Depends on numbers.js and words.js.

import { largestOf, layerName, share, short, shownNodes } from "./numbers.js";
import { className, edgeLabel, nodeLabel } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const TOP = 38, MARGIN = 26, MOST_RADIUS = 17, SMALL_RADIUS = 14, LEAST_COLUMN = 46, LEAST_COLUMN_WITH_DELTA = 74, MOST_COLUMN = 230, LEAST_BESIDE = 60, LETTER = 6.4;
const LEAST_ROW = 22, MOST_ROW = 54, ROW_WITH_DELTA = 36; // pixels; from the last one on there is room for δ below a node
export const MOST_OUTPUTS = 10; // that are drawn all

export function svg(tag, attributes, ...inside) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

// Which nodes of each layer, the inputs first, are drawn.
export function drawnNodes(state) {
  const sizes = [state.layers[0].inputs, ...state.layers.map((layer) => layer.outputs)];
  return sizes.map((size, c) => shownNodes(size, c === sizes.length - 1 ? Math.max(state.nodes, MOST_OUTPUTS) : state.nodes));
}

// The pixels between two nodes of a column, such that what is above the network, all its rows and the panel of terms below fit
// what is seen at once, of the window or of what scrolls in a notebook: from its beginning, or else from the widget's on.
function rowHeight(holder, rows) {
  const root = holder.closest(".bp-root"), panel = getComputedStyle(root.querySelector(".bp-weight"));
  const whole = root.offsetHeight - holder.offsetHeight + TOP + MOST_ROW * rows, top = holder.getBoundingClientRect().top;
  const framed = window !== window.parent; // as tall as what is in it, so its own height tells nothing
  let seen = framed ? 0.75 * screen.availHeight : document.documentElement.clientHeight, begin = framed ? root.getBoundingClientRect().top : -window.scrollY;
  for (let each = root.parentElement; each && each !== document.body; each = each.parentElement) {
    if (getComputedStyle(each).overflowY === "visible" || each.clientHeight === 0 || each.clientHeight >= Math.min(whole, seen)) continue;
    [seen, begin] = [each.clientHeight, each.getBoundingClientRect().top - each.scrollTop];
  }
  const left = seen - ["minHeight", "marginTop"].reduce((sum, name) => sum + parseFloat(panel[name]), TOP + 8);
  const fitting = (from) => Math.floor((left - (top - from)) / rows), easy = fitting(begin);
  return Math.min(MOST_ROW, Math.max(LEAST_ROW, easy >= LEAST_ROW ? easy : fitting(root.getBoundingClientRect().top)));
}

// maps: for each layer and node a canvas with what the node gives in the plane, or null.
export function drawNetwork(holder, round, { maps = null } = {}) {
  const { state } = round, drawn = drawnNodes(state), gaps = drawn.length - 1;
  const sizes = [state.layers[0].inputs, ...state.layers.map((layer) => layer.outputs)];
  const leftOut = drawn.map((nodes, c) => sizes[c] - nodes.length), rowsOf = (c) => drawn[c].length + (leftOut[c] > 0 ? 1 : 0);
  const rows = Math.max(...drawn.map((_, c) => rowsOf(c))), row = rowHeight(holder, rows);
  const below = row >= ROW_WITH_DELTA, least = below ? LEAST_COLUMN : LEAST_COLUMN_WITH_DELTA;
  const beside = Math.max(LEAST_BESIDE, LETTER * lettersBeside(round, drawn.at(-1), below) + 10);
  const column = Math.min(MOST_COLUMN, Math.max(least, (holder.clientWidth - 2 * MARGIN - beside) / gaps));
  const width = 2 * MARGIN + beside + column * gaps, height = TOP + row * rows + 4;
  const radius = Math.min(MOST_RADIUS, below ? (row - 12) / 2 : (row - 3) / 2, below ? 0.31 * column : (column - 46) / 2);
  const places = drawn.map((nodes, c) => {
    const top = TOP + (row * (rows - rowsOf(c))) / 2 + row / 2 - (below ? 6 : 0), split = nodes.length - Math.floor(nodes.length / 2);
    return new Map(nodes.map((j, i) => [j, [MARGIN + column * c, top + row * (i + (leftOut[c] > 0 && i >= split ? 1 : 0))]]));
  });
  const picture = svg("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, role: "group",
    "aria-label": "The network: arrow keys go from weight to weight, Page Up and Page Down from layer to layer",
  });
  const active = round.latest?.layer;
  if (active !== undefined) {
    picture.append(svg("rect", { class: "bp-band", x: MARGIN + column * (active + 1) - 25, y: 2, width: 50, height: height - 4, rx: 8 }));
  }
  state.layers.forEach((_, l) => drawEdges(picture, round, l, drawn, places));
  picture.append(svg("g", { class: "bp-edge bp-over", "aria-hidden": "true" }));
  drawn.forEach((nodes, c) => {
    const x = MARGIN + column * c, kind = c === 0 ? "inputs" : state.layers[c - 1].activation;
    picture.append(
      svg("text", { class: "bp-head", x, y: 12 }, layerName(c - 1, state.layers.length).replace("-", "−")),
      svg("text", { class: "bp-kind", x, y: 28 }, `${sizes[c]} ${kind}`),
    );
    const most = round.hasA(c - 1) ? largestOf(nodes.map((j) => round.a(c - 1)[j])) : 0;
    for (const j of nodes) picture.append(drawNode(round, c - 1, j, { place: places[c].get(j), most, radius, row, below, map: maps?.[c - 1]?.[j] }));
    if (leftOut[c] > 0) {
      const above = places[c].get(nodes[nodes.length - Math.floor(nodes.length / 2) - 1])[1];
      picture.append(svg("text", { class: "bp-kind", x, y: above + row }, `⋮ ${leftOut[c]} more`));
    }
  });
  const left = holder.scrollLeft;
  holder.replaceChildren(picture);
  holder.scrollLeft = left;
}

function drawEdges(picture, round, layer, drawn, places) {
  const weights = [];
  for (const k of drawn[layer]) for (const j of drawn[layer + 1]) weights.push([j, k, round.now(layer, j, k)]);
  const most = largestOf(weights.map(([, , w]) => w));
  for (const [j, k, w] of weights) {
    const [x1, y1] = places[layer].get(k), [x2, y2] = places[layer + 1].get(j), thickness = 0.5 + 4.5 * share(w, most);
    const line = { x1, y1, x2, y2 }, label = edgeLabel(round, layer, j, k);
    picture.append(svg("g", {
      class: `bp-edge${w < 0 ? " bp-minus" : ""}`, "data-key": JSON.stringify([layer, j, k]), role: "img", "aria-label": label,
    },
    svg("line", { class: "bp-halo", ...line, "stroke-width": (thickness + 7).toFixed(2) }),
    svg("line", { class: "bp-gap", ...line, "stroke-width": (thickness + 3).toFixed(2) }),
    svg("line", { class: "bp-seen", ...line, "stroke-width": thickness.toFixed(2) }),
    svg("line", { class: "bp-hit", ...line }),
    svg("title", {}, label)));
  }
}

function drawNode(round, layer, j, { place: [x, y], most, radius, row, below, map }) {
  const { state } = round, known = round.hasA(layer), a = known ? round.a(layer)[j] : null, label = nodeLabel(round, layer, j);
  const delta = layer >= 0 && round.has("backward", layer) ? round.trace.layers[layer].dC_dz[j] : null, last = layer === round.last;
  const group = svg("g", { class: `bp-node${a < 0 ? " bp-minus" : ""}`, role: "img", "aria-label": label },
    svg("circle", { cx: x, cy: y, r: radius }));
  if (map) group.append(svg("image", { class: "bp-map", href: map, x: x - 0.7 * radius, y: y - 0.7 * radius, width: 1.4 * radius, height: 1.4 * radius, preserveAspectRatio: "none" }));
  else group.append(svg("circle", { class: "bp-fill", cx: x, cy: y, r: radius - 1, "fill-opacity": (known ? 0.45 * share(a, most) : 0).toFixed(2) }));
  if (known) group.append(svg("text", { class: `bp-value${radius < SMALL_RADIUS ? " bp-small" : ""}`, x, y }, short(a)));
  group.append(svg("title", {}, label));
  if (layer >= 0 && state.layers[layer].bias) group.setAttribute("data-key", JSON.stringify([layer, j, null]));
  if (delta !== null && below) group.append(svg("text", { class: "bp-delta", x, y: y + radius + 8 }, `δ ${short(delta)}`));
  else if (delta !== null && !last) group.append(svg("text", { class: "bp-delta bp-beside", x: x + radius + 3, y }, `δ ${short(delta)}`));
  return last ? drawTarget(group, round, j, { place: [x, y], radius, row, below, delta }) : group;
}

// The most letters that drawTarget writes in one line.
function lettersBeside(round, outputs, below) {
  const lengths = outputs.map((j) => [className(round, j).length, 2 + short(round.trace.y[j]).length]);
  return Math.max(...lengths.map(([name, target]) => (below ? Math.max(name, target) : name + 2 + target)));
}

// Beside an output: its class, its target, δ where there is no room for it below, and the way the loss wants it to go.
function drawTarget(group, round, j, { place: [x, y], radius, row, below, delta }) {
  const name = className(round, j), text = (kind, lines, line, inside) => group.append(
    svg("text", { class: kind, x: x + radius + 16, y: y + (lines === 1 ? 0 : Math.min(7, row / 4) * (2 * line - 1)) }, inside));
  const target = `y ${short(round.trace.y[j])}`, both = !below && delta !== null;
  if (both) {
    text("bp-target", 2, 0, name ? `${name}: ${target}` : target);
    text("bp-target", 2, 1, `δ ${short(delta)}`);
  } else if (name) {
    text("bp-class", 2, 0, name);
    text("bp-target", 2, 1, target);
  } else text("bp-target", 1, 0, target);
  if (delta === null) return group;
  const slopes = round.trace.layers[round.last].dC_da, nudge = -slopes[j], up = nudge > 0 ? 1 : -1;
  if (nudge) {
    const length = up * Math.max(8, Math.min(24, row - 4) * share(nudge, largestOf(slopes)));
    const way = `M${x + radius + 8} ${y + length / 2}v${-length}m-4 ${5 * up}l4 ${-5 * up}l4 ${5 * up}`;
    group.append(svg("path", { class: `bp-nudge${up < 0 ? " bp-minus" : ""}`, d: way }));
  }
  return group;
}

// Marks the weight that is looked at, and the paths that feed its ∂C_0/∂a: all edges from its node on to the outputs.
export function markPlace(holder, place, stop) {
  const key = (each) => JSON.stringify([each.layer, each.j, each.k]);
  const here = place && holder.querySelector(`[data-key='${key(place)}']`);
  const over = here?.classList.contains("bp-edge") ? [...here.children].slice(0, 3) : [];
  const top = holder.querySelector(".bp-over");
  top?.replaceChildren(...over.map((line) => line.cloneNode()));
  top?.classList.toggle("bp-minus", Boolean(here?.matches(".bp-minus")));
  const tab = stop && holder.querySelector(`[data-key='${key(stop)}']`);
  const first = tab ?? holder.querySelector("[data-key]");
  for (const element of holder.querySelectorAll("[data-key]")) {
    const [layer, j, k] = JSON.parse(element.dataset.key);
    element.classList.toggle("bp-chosen", element === here);
    element.classList.toggle("bp-feeds", Boolean(place) && k !== null && layer > place.layer && (layer > place.layer + 1 || k === place.j));
    element.setAttribute("tabindex", element === first ? "0" : "-1");
  }
}

// Arrow keys go through all weights, Page Up and Page Down to the first one of another layer.
export function moveByKey(holder, event) {
  const stops = [...holder.querySelectorAll("[data-key]")], here = stops.indexOf(document.activeElement);
  if (here < 0) return;
  const layer = (stop) => JSON.parse(stop.dataset.key)[0];
  const layers = Math.max(...stops.map(layer)) + 1;
  const first = (wanted) => stops.findIndex((stop) => layer(stop) === (wanted + layers) % layers);
  const to = {
    ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1,
    Home: 0, End: stops.length - 1, PageDown: first(layer(stops[here]) + 1), PageUp: first(layer(stops[here]) - 1),
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  stops[(to + stops.length) % stops.length].focus();
}
