// Draws the network of a round as SVG. Depends on numbers.js and words.js.

import { largestOf, layerName, share, short, shownNodes } from "./numbers.js";
import { className, edgeLabel, nodeLabel } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const RADIUS = 17, TOP = 46, MARGIN = 26, LEAST_COLUMN = 74, MOST_COLUMN = 230, LEAST_ROW = 46, MOST_ROW = 54, ROOM = 76;
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

// maps: for each layer and node a canvas with what the node gives in the plane, or null.
export function drawNetwork(holder, round, { maps = null } = {}) {
  const { state } = round, drawn = drawnNodes(state), gaps = drawn.length - 1;
  const sizes = [state.layers[0].inputs, ...state.layers.map((layer) => layer.outputs)];
  const leftOut = drawn.map((nodes, c) => sizes[c] - nodes.length), rowsOf = (c) => drawn[c].length + (leftOut[c] > 0 ? 1 : 0);
  const rows = Math.max(...drawn.map((_, c) => rowsOf(c))), row = rows > 8 ? LEAST_ROW : MOST_ROW;
  const column = Math.min(MOST_COLUMN, Math.max(LEAST_COLUMN, (holder.clientWidth - 2 * MARGIN - ROOM) / gaps));
  const width = 2 * MARGIN + ROOM + column * gaps, height = TOP + row * rows + 4;
  const places = drawn.map((nodes, c) => {
    const top = TOP + (row * (rows - rowsOf(c))) / 2 + row / 2 - 6, split = nodes.length - Math.floor(nodes.length / 2);
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
      svg("text", { class: "bp-head", x, y: 14 }, layerName(c - 1, state.layers.length).replace("-", "−")),
      svg("text", { class: "bp-kind", x, y: 31 }, `${sizes[c]} ${kind}`),
    );
    const most = round.hasA(c - 1) ? largestOf(nodes.map((j) => round.a(c - 1)[j])) : 0;
    for (const j of nodes) picture.append(drawNode(round, c - 1, j, places[c].get(j), most, maps?.[c - 1]?.[j]));
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

function drawNode(round, layer, j, [x, y], most, map) {
  const { state } = round, known = round.hasA(layer), a = known ? round.a(layer)[j] : null, label = nodeLabel(round, layer, j);
  const delta = layer >= 0 && round.has("backward", layer) ? round.trace.layers[layer].dC_dz[j] : null, last = layer === round.last;
  const group = svg("g", { class: `bp-node${a < 0 ? " bp-minus" : ""}`, role: "img", "aria-label": label },
    svg("circle", { cx: x, cy: y, r: RADIUS }));
  if (map) group.append(svg("image", { class: "bp-map", href: map, x: x - 12, y: y - 12, width: 24, height: 24, preserveAspectRatio: "none" }));
  else group.append(svg("circle", { class: "bp-fill", cx: x, cy: y, r: RADIUS - 1, "fill-opacity": (known ? 0.45 * share(a, most) : 0).toFixed(2) }));
  if (known) group.append(svg("text", { class: "bp-value", x, y }, short(a)));
  group.append(svg("title", {}, label));
  if (layer >= 0 && state.layers[layer].bias) group.setAttribute("data-key", JSON.stringify([layer, j, null]));
  if (delta !== null) group.append(svg("text", { class: "bp-delta", x, y: y + RADIUS + 8 }, `δ ${short(delta)}`));
  if (!last) return group;
  const name = className(round, j), beside = x + RADIUS + 16;
  group.append(svg("text", { class: "bp-target", x: beside, y: name ? y + 7 : y }, `y ${short(round.trace.y[j])}`));
  if (name) group.append(svg("text", { class: "bp-class", x: beside, y: y - 7 }, name));
  if (delta === null) return group;
  const slopes = round.trace.layers[layer].dC_da, nudge = -slopes[j], up = nudge > 0 ? 1 : -1;
  if (nudge) {
    const length = up * Math.max(8, 24 * share(nudge, largestOf(slopes))), way = `M${x + RADIUS + 8} ${y + length / 2}v${-length}m-4 ${5 * up}l4 ${-5 * up}l4 ${5 * up}`;
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
