// Two more ways to look at the weight that is chosen: a batch, sample by sample, while the average forms; and the loss over
// this weight and another one. Depends on numbers.js, words.js' symbols and plane.js' colours.

import { arrayOf, digits, html, nodesOf } from "./numbers.js";
import { colourOf } from "./plane.js";

const POINTS = 25, SPAN = 3; // points of the surface along each side; how far it goes to both sides
const SHADES = 12;

const make = (tag, attributes = {}, ...inside) => {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
};

function nameOf(round, { layer, j, k }) {
  const here = round.name(layer);
  return k === null ? html.symbol("b", nodesOf(j), here) : html.symbol("w", nodesOf(j, k), here);
}

// A batch from the sample on, one sample a click; `change` sends a message that changes the network.
export class BatchView {
  constructor(holder, round, act, send, place, change) {
    Object.assign(this, { round, place, traces: [], version: -1 });
    this.note = make("p", { role: "status" });
    this.table = make("table", { class: "bp-batch" });
    const next = make("button", { type: "button" }, "Next sample of the batch"), step = make("button", { type: "button" }, "Update with the average");
    next.addEventListener("click", () => act(() => this.more(send)));
    step.addEventListener("click", () => act(async () => {
      if (this.traces.length !== this.count) throw new Error(`the average has ${this.traces.length} of ${this.count} samples; go on to the last one`);
      await change({ do: "step", first: this.first, count: this.count });
    }));
    holder.replaceChildren(make("summary", {}, "A batch, sample by sample"), make("div", { class: "bp-bar" }, next, step), this.note, this.table);
  }

  get count() { return Math.min(this.round.state.batch, this.round.state.data.samples - this.first); }

  async more(send) {
    const { round } = this;
    if (!round.updates) throw new Error("a batch is of training samples");
    if (this.version !== round.state.version || this.begun !== round.index || this.traces.length >= this.count) this.traces = [];
    if (!this.traces.length) Object.assign(this, { version: round.state.version, begun: round.index, first: round.index });
    const { trace } = await send({ do: "trace", index: this.first + this.traces.length });
    this.traces.push({ index: trace.index, loss: trace.loss, x: arrayOf(trace.x), layers: trace.layers.map((layer) => ({ a: arrayOf(layer.a), dC_dz: arrayOf(layer.dC_dz) })) });
  }

  // The table for the weight that is chosen now.
  draw() {
    const { round } = this, { layer, j, k } = this.place();
    if (this.version !== round.state.version || this.begun !== round.index) this.traces = [];
    if (!this.traces.length) {
      this.note.textContent = "Each click adds a sample; the last line is the average so far, which a step would use.";
      return this.table.replaceChildren();
    }
    const weight = nameOf(round, this.place()), gradient = html.partial(html.loss(), weight);
    const rows = this.traces.map(({ index, loss, x, layers }) => ({ index, loss, product: layers[layer].dC_dz[j] * (k === null ? 1 : (layer === 0 ? x : layers[layer - 1].a)[k]) }));
    const mean = (key) => rows.reduce((sum, row) => sum + row[key], 0) / rows.length;
    const line = (name, loss, product) => `<tr><th scope="row">${name}</th><td>${digits(loss)}</td><td>${digits(product)}</td></tr>`;
    this.table.innerHTML = `<thead><tr><th scope="col">sample</th><th scope="col">${html.loss()}</th><th scope="col">${gradient}</th></tr></thead>` +
      `<tbody>${rows.map((row) => line(row.index, row.loss, row.product)).join("")}</tbody><tfoot>${line("average", mean("loss"), mean("product"))}</tfoot>`;
    this.table.dataset.mean = mean("product");
    this.note.textContent = `${rows.length} of ${this.count} samples`;
  }
}

// C over the weight that is chosen and the one that was chosen before.
export class SurfaceView {
  constructor(holder, page, round, act, send, place) {
    Object.assign(this, { page, round, place, other: null, last: null });
    this.canvas = make("canvas", { width: 300, height: 300, role: "img", class: "bp-surface", hidden: "" });
    this.note = make("p");
    const draw = make("button", { type: "button" }, "Draw the loss over the last two weights");
    draw.addEventListener("click", () => act(() => this.show(send)));
    holder.replaceChildren(make("summary", {}, "The loss over two weights"), make("div", { class: "bp-bar" }, draw), this.canvas, this.note);
  }

  // Remembers which weight was chosen before this one.
  follow() {
    const place = this.place(), key = JSON.stringify(place);
    if (key === JSON.stringify(this.last)) return;
    [this.other, this.last] = [this.last, place];
  }

  at({ layer, j, k }) {
    const { weights, biases } = this.round.places[layer];
    return k === null ? biases + j : weights + k * this.round.state.layers[layer].outputs + j;
  }

  async show(send) {
    const { round, last, other } = this;
    if (!other || other.layer >= round.layers) throw new Error("choose one weight, then another: the loss is drawn over both");
    const at = [this.at(last), this.at(other)], [x, y] = at.map((place) => round.state.parameters[place]);
    const along = (middle, i) => middle + SPAN * ((2 * i) / (POINTS - 1) - 1), values = new Float64Array(2 * POINTS * POINTS);
    for (let row = 0; row < POINTS; row++) for (let i = 0; i < POINTS; i++) values.set([along(x, i), along(y, row)], 2 * (row * POINTS + i));
    const losses = arrayOf((await send({ do: "losses", at, values })).losses);
    this.paint(losses);
    const low = digits(Math.min(...losses)), high = digits(Math.max(...losses)), range = (middle) => `${digits(middle - SPAN, 3)} to ${digits(middle + SPAN, 3)}`;
    this.note.innerHTML = `Across ${nameOf(round, last)}, ${range(x)}; up ${nameOf(round, other)}, ${range(y)}. C from ${low} to ${high}, the fuller the higher; the ring is where they are now.`;
    this.canvas.setAttribute("aria-label", `The loss over two weights, from ${low} to ${high}`);
    Object.assign(this.canvas.dataset, { middle: losses[(POINTS * POINTS - 1) / 2], low: Math.min(...losses) });
    this.canvas.hidden = false;
  }

  // Bands of equal steps, the higher the fuller.
  paint(losses) {
    const { canvas } = this, pen = canvas.getContext("2d"), cell = canvas.width / POINTS;
    const [low, high] = [Math.min(...losses), Math.max(...losses)], ink = colourOf(this.page, "ink");
    pen.fillStyle = colourOf(this.page, "ground");
    pen.globalAlpha = 1;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = colourOf(this.page, "4");
    losses.forEach((loss, i) => {
      pen.globalAlpha = 0.9 * (Math.round((SHADES * (loss - low)) / (high - low || 1)) / SHADES);
      pen.fillRect((i % POINTS) * cell, canvas.height - (Math.floor(i / POINTS) + 1) * cell, cell, cell);
    });
    pen.globalAlpha = 1;
    Object.assign(pen, { lineWidth: 3, strokeStyle: ink });
    pen.beginPath();
    pen.arc(canvas.width / 2, canvas.height / 2, 7, 0, 7);
    pen.stroke();
  }
}
