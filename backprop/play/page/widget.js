// Draws a Stage (backprop/stage.py). Numbers, symbols and words come from Python; nothing is computed here but
// where they stand. `mount` needs a function that takes a message and promises the answer.

const SVG = "http://www.w3.org/2000/svg";
const RADIUS = 18, ROW = 56, TOP = 66, MARGIN = 34, NARROWEST = 84, WIDEST = 260;
const MARKS = [circle, square, triangle];

export function mount(root, ask) {
  root.classList.add("bp-root");
  // A notebook's own keys, such as b for a new cell, rest while the focus is here; those with Ctrl work.
  root.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  });
  const page = build(root);
  // `chosen` is what was clicked or went to by keys, `pointed` what the pointer is over: shown for as long.
  let state = null, chosen = null, pointed = null, training = false, asked = null, waiting = false;

  async function send(message) {
    let answer;
    try {
      answer = await ask(message);
    } catch (error) {
      answer = { error: `No answer from Python: ${error.message}` };
    }
    take(answer);
    return answer;
  }

  function take(answer) {
    page.error.textContent = answer.error ?? "";
    if (answer.state) {
      const first = state === null;
      state = answer.state;
      draw();
      if (first) choose(state.layers.length - 2, 0, 0);
      else show();
    }
    if (answer.explanation) explain(page, answer.explanation, training);
  }

  function choose(layer, j, k) {
    chosen = { layer, j, k };
    pointed = null;
    show();
  }

  function point(place) {
    const [layer, j, k] = place ?? [];
    pointed = place && { layer, j, k };
    show();
  }

  // One question at a time: of many that a moving pointer asks, the last one counts.
  async function show() {
    mark();
    fillIn();
    asked = { do: "explain", ...(pointed ?? chosen) };
    if (waiting) return;
    waiting = true;
    while (asked) {
      const message = asked;
      asked = null;
      await send(message);
    }
    waiting = false;
  }

  function draw() {
    const focused = page.net.contains(document.activeElement) ? document.activeElement.dataset?.key : null;
    drawNetwork(page.net, state);
    for (const element of page.net.querySelectorAll("[data-key]")) {
      const place = JSON.parse(element.dataset.key);
      const go = () => choose(...place);
      element.addEventListener("pointerenter", () => point(place));
      element.addEventListener("pointerdown", go);
      element.addEventListener("focus", go);
    }
    mark();
    if (focused) find(JSON.parse(focused))?.focus({ preventScroll: true });
    const { coming, done, sample } = state;
    page.next.textContent = `Next: ${coming.text}`;
    for (const phase of ["forward", "backward", "update"]) {
      page[phase].setAttribute("aria-disabled", String(phase !== coming.phase));
    }
    page.told.dataset.phase = done.phase ?? "";
    page.words.textContent = done.text;
    page.rule.innerHTML = done.phase ? done.html : "";
    fill(page.data, state.data.names, state.data.name);
    page.dataLabel.hidden = state.data.names.length < 2;
    if (document.activeElement !== page.sample) page.sample.value = sample.index;
    page.sample.max = sample.count - 1;
    page.count.textContent = `of ${sample.count}`;
    page.rateLabel.hidden = state.rate === null;
    if (document.activeElement !== page.rate) page.rate.value = state.rate ?? "";
    const some = state.measured < sample.count ? ` (first ${state.measured})` : "";
    page.figures.innerHTML =
      `epochs <b>${state.epochs}</b> · C <b>${state.loss.text}</b> · accuracy <b>${state.accuracy.text}</b>${some}`;
    page.planeFigure.hidden = !state.plane;
    page.imageFigure.hidden = !sample.image;
    if (state.plane) drawPlane(page, state);
    if (sample.image) drawImage(page.image, sample.image);
  }

  const find = (place) => page.net.querySelector(`[data-key='${JSON.stringify(place)}']`);

  // The network is one stop of the tab key: that of what is chosen, if it is drawn.
  function mark() {
    const of = (place) => place && find([place.layer, place.j, place.k]);
    const here = of(pointed ?? chosen), stop = of(chosen) ?? page.net.querySelector("[data-key]");
    const over = here?.classList.contains("bp-edge") ? [...here.children].slice(0, 2) : [];
    page.net.querySelector(".bp-over")?.replaceChildren(...over.map((line) => line.cloneNode()));
    page.net.querySelector(".bp-over")?.classList.toggle("bp-minus", Boolean(here?.matches(".bp-minus")));
    for (const element of page.net.querySelectorAll("[data-key]")) {
      element.classList.toggle("bp-chosen", element === here);
      element.setAttribute("tabindex", element === stop ? "0" : "-1");
    }
  }

  function fillIn() {
    const { layer, j, k } = pointed ?? chosen, names = state.layers.slice(1).map((each) => each.name);
    fill(page.layer, names, names[layer]);
    if (document.activeElement !== page.j) page.j.value = j + 1;
    if (document.activeElement !== page.k && k !== null) page.k.value = k + 1;
    page.j.max = state.sizes[layer + 1];
    page.k.max = state.sizes[layer];
    page.bias.checked = k === null;
    page.bias.disabled = !state.biases[layer];
    page.k.disabled = k === null;
  }

  function chooseByHand() {
    const layer = page.layer.selectedIndex;
    const within = (input, size) => Math.min(Math.max(Math.round(Number(input.value)) || 1, 1), size) - 1;
    const bias = page.bias.checked && state.biases[layer];
    choose(layer, within(page.j, state.sizes[layer + 1]), bias ? null : within(page.k, state.sizes[layer]));
  }

  async function keepTraining() {
    training = !training;
    page.keep.classList.toggle("bp-on", training);
    page.keep.textContent = training ? "Stop" : "Keep training";
    while (training && root.isConnected) {
      const answer = await send({ do: "train", epochs: 1 });
      if (answer.error) break;
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    if (training) keepTraining();
  }

  for (const what of ["next", "forward", "backward", "update", "restart"]) {
    page[what].addEventListener("click", () => {
      if (page[what].getAttribute("aria-disabled") !== "true") send({ do: what });
    });
  }
  page.train.addEventListener("click", () => send({ do: "train", epochs: Number(page.epochs.value) }));
  page.keep.addEventListener("click", keepTraining);
  page.data.addEventListener("change", () => send({ do: "data", name: page.data.value }));
  page.sample.addEventListener("change", () => send({ do: "sample", index: Number(page.sample.value) }));
  const other = (by) => send({ do: "sample", index: (state.sample.index + by + state.sample.count) % state.sample.count });
  page.before.addEventListener("click", () => other(-1));
  page.after.addEventListener("click", () => other(1));
  page.rate.addEventListener("change", () => send({ do: "rate", lr: Number(page.rate.value) }));
  for (const input of [page.layer, page.j, page.k, page.bias]) input.addEventListener("change", chooseByHand);
  page.net.addEventListener("keydown", (event) => moveByKey(page.net, event));
  page.net.addEventListener("pointerleave", () => pointed && point(null));
  page.plane.addEventListener("click", (event) => {
    const box = page.plane.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = 1 - (event.clientY - box.top) / box.height;
    const far = (point) => (point.x - x) ** 2 + (point.y - y) ** 2;
    const points = state.plane.points;
    send({ do: "sample", index: points.reduce((best, point, i) => (far(point) < far(points[best]) ? i : best), 0) });
  });
  let width = 0;
  const watch = new ResizeObserver(() => {
    if (state && Math.abs(page.net.clientWidth - width) > 1) draw();
    width = page.net.clientWidth;
  });
  watch.observe(page.net);
  const dark = matchMedia("(prefers-color-scheme: dark)"), redraw = () => state && draw();
  dark.addEventListener("change", redraw);
  const theme = new MutationObserver(redraw); // JupyterLab and VS Code say there whether they are dark
  theme.observe(document.body, { attributeFilter: ["class", "data-jp-theme-light"] });
  send({ do: "state" });
  return {
    take,
    stop() {
      training = false;
      watch.disconnect();
      theme.disconnect();
      dark.removeEventListener("change", redraw);
    },
  };
}

// The elements that stay, by name.
function build(root) {
  const page = {};
  const make = (name, tag, attributes = {}, ...inside) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    if (name) page[name] = element;
    return element;
  };
  const button = (name, text, attributes = {}) => make(name, "button", { type: "button", ...attributes }, text);
  const numeric = (name, attributes) => make(name, "input", { type: "number", ...attributes });
  const group = (label, ...inside) => make(null, "span", { class: "bp-group", role: "group", "aria-label": label }, ...inside);
  root.replaceChildren(
    make(null, "div", { class: "bp-bar" },
      button("next", "Next", { class: "bp-main" }),
      group("one layer of a phase", button("forward", "Forward"), button("backward", "Backward"), button("update", "Update")),
      group("sample",
        button("before", "‹", { "aria-label": "the sample before" }),
        make(null, "label", {}, "sample", numeric("sample", { min: 0, step: 1 })),
        make("count", "span"),
        button("after", "›", { "aria-label": "the next sample" }))),
    make("error", "p", { class: "bp-error", role: "alert" }),
    make("told", "div", { class: "bp-told" },
      make("words", "p", { role: "status" }),
      make("rule", "p", { class: "bp-rule" })),
    make("columns", "div", { class: "bp-columns" },
      make("left", "div", {},
        make("net", "div", { class: "bp-net" }),
        make(null, "p", { class: "bp-legend" },
          "An edge is a weight: blue positive, orange and dashed negative, the thicker the larger. A node shows its a, " +
          "below it δ; the arrow says where the loss wants an output to go. Point at an edge for its three terms; " +
          "click, or use the arrow keys, to keep it. A node stands for its bias."),
        make("weight", "section", { class: "bp-weight", "aria-label": "the chain rule of one weight" },
          make("name", "h2"),
          make("terms", "ul", { class: "bp-terms" }),
          make("factors", "p"),
          make("whole", "details", {}, make(null, "summary", {}, "All of it, level by level"), make("wholeInside", "div")),
          make(null, "div", { class: "bp-bar" },
            make(null, "label", {}, "layer", make("layer", "select")),
            make(null, "label", {}, "to node j", numeric("j", { min: 1, step: 1 })),
            make(null, "label", {}, "from node k", numeric("k", { min: 1, step: 1 })),
            make(null, "label", {}, make("bias", "input", { type: "checkbox" }), "bias")),
          make("spoken", "p", { class: "bp-hidden", "aria-live": "polite" }))),
      make(null, "section", { class: "bp-side", "aria-label": "training" },
        make("dataLabel", "label", {}, "data", make("data", "select", { class: "bp-data" })),
        group("training",
          button("train", "Train"),
          make(null, "label", {}, numeric("epochs", { min: 1, max: 1000, value: 10 }), "epochs"),
          button("keep", "Keep training")),
        group("rate",
          make("rateLabel", "label", {}, "learning rate", numeric("rate", { min: 0, step: "any" })),
          button("restart", "Start over")),
        make("figures", "p", { class: "bp-figures" }),
        make("planeFigure", "figure", { class: "bp-plane" },
          make("plane", "canvas", { width: 480, height: 480, role: "img" }),
          make("planeText", "figcaption")),
        make("imageFigure", "figure", { class: "bp-image" },
          make("image", "canvas", { role: "img", "aria-label": "the sample as a picture" }),
          make(null, "figcaption", {}, "the sample as a picture")))),
  );
  page.keys = Object.fromEntries(["0", "1", "2", "3", "4", "5", "ink", "ground"].map((name) => {
    const key = make(null, "i", { class: `bp-key bp-key-${name}`, "aria-hidden": "true" });
    root.append(key);
    return [name, key];
  }));
  return page;
}

function fill(select, names, name) {
  if ([...select.options].map((option) => option.value).join("\n") !== names.join("\n")) {
    select.replaceChildren(...names.map((each) => new Option(each, each)));
  }
  select.value = name;
}

function svg(tag, attributes, ...inside) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

function drawNetwork(holder, state) {
  const { layers } = state, gaps = layers.length - 1, room = 58; // to the right, for arrows and targets
  const column = Math.min(WIDEST, Math.max(NARROWEST, (holder.clientWidth - 2 * MARGIN - room) / gaps));
  const rows = Math.max(...layers.map((layer) => layer.nodes.length + (layer.left_out > 0)));
  const width = 2 * MARGIN + room + column * gaps, height = TOP + ROW * rows;
  const place = layers.map((layer, c) => {
    const own = layer.nodes.length + (layer.left_out > 0), top = TOP + (ROW * (rows - own)) / 2 + ROW / 2 - 8;
    return new Map(layer.nodes.map((node, row) => {
      const gap = layer.left_out > 0 && row >= layer.split ? 1 : 0;
      return [node.j, [MARGIN + column * c, top + ROW * (row + gap)]];
    }));
  });
  const picture = svg("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, role: "group",
    "aria-label": "The network: arrow keys go from weight to weight, Page Up and Page Down from layer to layer",
  });
  layers.forEach((layer, c) => {
    if (layer.active) {
      picture.append(svg("rect", { class: "bp-band", x: MARGIN + column * c - 30, y: 2, width: 60, height: height - 4, rx: 8 }));
    }
  });
  for (const edge of state.edges) {
    const [x1, y1] = place[edge.layer].get(edge.k), [x2, y2] = place[edge.layer + 1].get(edge.j);
    const ends = { x1: x1 + RADIUS, y1, x2: x2 - RADIUS, y2 };
    picture.append(svg("g", {
      class: `bp-edge${edge.negative ? " bp-minus" : ""}`, role: "img", "aria-label": edge.label,
      "data-key": JSON.stringify([edge.layer, edge.j, edge.k]),
    },
    svg("line", { class: "bp-halo", ...ends }),
    svg("line", { class: "bp-seen", "stroke-width": (0.6 + 4.4 * edge.share).toFixed(2), ...ends }),
    svg("line", { class: "bp-hit", ...ends })));
  }
  picture.append(svg("g", { class: "bp-edge bp-chosen bp-over", "aria-hidden": "true" }));
  layers.forEach((layer, c) => {
    const x = MARGIN + column * c;
    picture.append(svg("text", { class: "bp-head", x, y: 16 }, `layer ${layer.name}`));
    picture.append(svg("text", { class: "bp-kind", x, y: 33 }, layer.kind));
    for (const node of layer.nodes) picture.append(drawNode(state, node, c, place[c].get(node.j)));
    if (layer.left_out > 0) {
      const above = place[c].get(layer.nodes[layer.split - 1].j)[1];
      picture.append(svg("text", { class: "bp-kind", x, y: above + ROW }, `⋮ ${layer.left_out} more`));
    }
  });
  const left = holder.scrollLeft;
  holder.replaceChildren(picture);
  holder.scrollLeft = left;
}

function drawNode(state, node, c, [x, y]) {
  const biased = c > 0 && state.biases[c - 1];
  const group = svg("g", {
    class: `bp-node${node.a && node.a.short.startsWith("-") ? " bp-minus" : ""}`, role: "img", "aria-label": node.label,
  },
  svg("circle", { cx: x, cy: y, r: RADIUS }),
  svg("circle", { class: "bp-fill", cx: x, cy: y, r: RADIUS - 1, "fill-opacity": (0.45 * (node.a?.share ?? 0)).toFixed(2) }),
  svg("text", { class: "bp-value", x, y }, minus(node.a?.short ?? "")),
  svg("title", {}, node.label));
  if (biased) group.setAttribute("data-key", JSON.stringify([c - 1, node.j, null]));
  if (node.delta) group.append(svg("text", { class: "bp-delta", x, y: y + RADIUS + 9 }, `δ ${minus(node.delta.short)}`));
  if (node.target) group.append(svg("text", { class: "bp-target", x: x + RADIUS + 18, y }, `y ${minus(node.target.short)}`));
  if (node.nudge?.value) {
    const up = node.nudge.value > 0 ? 1 : -1, length = up * Math.max(8, 26 * node.nudge.share);
    const path = `M${x + RADIUS + 9} ${y + length / 2}v${-length}m-4 ${5 * up}l4 ${-5 * up}l4 ${5 * up}`;
    group.append(svg("path", { class: `bp-nudge${up < 0 ? " bp-minus" : ""}`, d: path }));
  }
  return group;
}

const minus = (text) => text.replaceAll("-", "−");

// Arrow keys go through all weights, Page Up and Page Down to the first one of another layer.
function moveByKey(holder, event) {
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

function explain(page, e, quietly) {
  const sign = (number) => (number?.text.startsWith("−") ? " bp-minus" : number ? " bp-plus" : "");
  const box = (name, symbol, number, meaning) => {
    const term = document.createElement("span");
    term.className = `bp-term${name === "product" ? " bp-product" : ""}${sign(number)}`;
    term.dataset.term = name;
    term.innerHTML = `${symbol}<b></b><small>${meaning}</small>`;
    term.querySelector("b").textContent = number?.text ?? "?";
    if (number?.value != null) term.dataset.value = number.value;
    return term;
  };
  const item = (before, term) => {
    const element = document.createElement("li");
    element.append(before, term);
    return element;
  };
  const was = e.was ? `, it was ${e.was.text}: moved by ${e.moved.text}` : "";
  page.name.innerHTML = `${e.weight.html} = <span></span>`;
  page.name.querySelector("span").textContent = e.weight.text + was;
  page.terms.replaceChildren(
    ...e.terms.map((term, i) => item(i ? "·" : "", box(term.name, term.html, term.number, term.meaning))),
    item("=", box("product", e.product.html, e.product.number, "the product")),
  );
  const unknown = e.terms.some((term) => !term.number) || !e.product.number;
  page.factors.innerHTML = unknown
    ? "A “?” is not computed yet: step on to there."
    : `${e.product.html} = ${e.factors} = ${e.product.number.text}`;
  page.whole.hidden = !e.whole;
  page.wholeInside.innerHTML = e.whole ?? "";
  if (!quietly) page.spoken.textContent = e.spoken;
}

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

function drawImage(canvas, { side, pixels }) {
  canvas.width = canvas.height = side;
  const pen = canvas.getContext("2d"), image = pen.createImageData(side, side);
  bytes(pixels).forEach((grey, i) => image.data.set([grey, grey, grey, 255], 4 * i));
  pen.putImageData(image, 0, 0);
}

// Each class a colour, the fuller the surer; a line where the class changes; samples with marks by class.
function drawPlane(page, state) {
  const { plane } = state, { side } = plane, canvas = page.plane, pen = canvas.getContext("2d");
  const colour = (name) => getComputedStyle(page.keys[name]).color;
  const colours = ["0", "1", "2", "3", "4", "5"].map(colour), ink = colour("ink"), ground = colour("ground");
  const classes = bytes(plane.classes), sure = bytes(plane.sure), cell = canvas.width / (side - 1);
  const parts = colours.map((each) => each.match(/\d+/g).slice(0, 3).map(Number));
  const small = new OffscreenCanvas(side, side), image = new ImageData(side, side);
  classes.forEach((name, i) => {
    const at = side * (side - 1 - Math.floor(i / side)) + (i % side);
    image.data.set([...parts[name % parts.length], 30 + 0.4 * sure[i]], 4 * at);
  });
  small.getContext("2d").putImageData(image, 0, 0);
  pen.fillStyle = ground;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(small, -cell / 2, -cell / 2, canvas.width + cell, canvas.height + cell);
  pen.strokeStyle = ink;
  pen.lineWidth = 3;
  pen.stroke(border(classes, sure, side, (x, y) => [x * cell, canvas.height - y * cell]));
  const at = (point) => [point.x * canvas.width, (1 - point.y) * canvas.height];
  pen.lineWidth = 1.5;
  for (const point of plane.points) {
    pen.beginPath();
    MARKS[point.class % MARKS.length](pen, ...at(point));
    pen.fillStyle = colours[point.class % colours.length];
    pen.fill();
    pen.strokeStyle = ground;
    pen.stroke();
  }
  const here = plane.points[state.sample.index];
  if (here) {
    pen.beginPath();
    pen.arc(...at(here), 14, 0, 7);
    pen.lineWidth = 4;
    pen.strokeStyle = ink;
    pen.stroke();
  }
  const names = ["discs", "squares", "triangles"].slice(0, Math.max(2, ...plane.points.map((point) => point.class + 1)));
  const key = names.map((name, i) => `class ${i}: ${name}`).join(", ");
  page.planeText.textContent = `${key}; the first input across, the second up; the line is the decision boundary, the ring the sample. Click a sample to pick it.`;
  canvas.setAttribute("aria-label", `The plane of the two inputs with the decision boundary; ${key}; accuracy ${state.accuracy.text}`);
}

// The line between the classes, within each square of four neighbours; it crosses a side where both would be
// equally unsure.
function border(classes, sure, side, at) {
  const line = new Path2D();
  const corners = [[0, 0], [1, 0], [1, 1], [0, 1]];
  for (let y = 0; y + 1 < side; y++) {
    for (let x = 0; x + 1 < side; x++) {
      const crossings = [];
      for (let c = 0; c < 4; c++) {
        const [[x1, y1], [x2, y2]] = [corners[c], corners[(c + 1) % 4]];
        const from = (y + y1) * side + x + x1, to = (y + y2) * side + x + x2;
        if (classes[from] === classes[to]) continue;
        const share = (sure[from] + 1) / (sure[from] + sure[to] + 2);
        crossings.push([x + x1 + share * (x2 - x1), y + y1 + share * (y2 - y1)]);
      }
      if (crossings.length === 0) continue;
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

// A notebook: anywidget calls render for each place where the widget is shown.
function render({ model, el }) {
  const pending = new Map(), mine = Math.random().toString(36).slice(2);
  let count = 0, view = null;
  const receive = ({ id, answer }) => {
    if (pending.has(id)) {
      pending.get(id)(answer);
      pending.delete(id);
    } else if (answer.state) view?.take(answer); // another view of the same widget asked
  };
  const ask = (message) => new Promise((resolve) => {
    const id = `${mine}-${++count}`;
    pending.set(id, resolve);
    model.send({ id, message });
  });
  model.on("msg:custom", receive);
  const root = document.createElement("div");
  el.append(root);
  view = mount(root, ask);
  return () => {
    view.stop();
    model.off("msg:custom", receive);
  };
}

export default { render };

// python -m backprop play: the page's own element, answered by the server it came from.
for (const root of document.querySelectorAll("[data-backprop-play]")) {
  mount(root, async (message) => {
    const reply = await fetch("message", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(message),
    });
    if (!reply.ok) throw new Error(`${reply.status} ${reply.statusText}`);
    return reply.json();
  });
}
