// The elements of the page that stay, by name. Depends on nothing.

const ACTIVATIONS = ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "identity"];
const OUTPUTS = ["sigmoid", "softmax", "tanh", "identity"];
const LOSSES = ["squared_error", "mean_squared_error", "binary_cross_entropy", "cross_entropy", "huber"];
const KEYS = ["0", "1", "2", "3", "4", "5", "ink", "ground", "plus", "minus"];

const PHASE = "one layer of a phase";
const LEGEND = "An edge is a weight: blue positive, orange and dashed negative, the thicker the larger. A node shows its a, below " +
  "it or beside it δ; the arrow says where the loss wants an output to go. Point at an edge for its three terms; click, or use the arrow " +
  "keys, to keep it; the paths that feed it are lit. A node stands for its bias.";

export function build(root) {
  const page = {};
  const make = (name, tag, attributes = {}, ...inside) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    if (name) page[name] = element;
    return element;
  };
  const button = (name, text, attributes = {}) => make(name, "button", { type: "button", ...attributes }, text);
  const numeric = (name, attributes) => make(name, "input", { type: "number", inputmode: "decimal", ...attributes });
  const group = (label, ...inside) => make(null, "span", { class: `bp-group${label === PHASE ? " bp-phase" : ""}`, role: "group", "aria-label": label }, ...inside);
  const labelled = (text, element, name = null) => make(name, "label", {}, make(null, "span", {}, text), element);
  const select = (name, options, attributes = {}) => make(name, "select", attributes, ...options.map((each) => new Option(each, each)));

  const bar = make(null, "div", { class: "bp-bar" },
    button("next", "Next", { class: "bp-main" }),
    button("back", "Back", { "aria-label": "one step back" }),
    group(PHASE, button("forward", "Forward"), button("backward", "Backward"), button("update", "Update")),
    group("sample",
      button("before", "‹", { "aria-label": "the sample before" }),
      labelled("sample", numeric("sample", { min: 0, step: 1 })),
      make("count", "span"),
      button("after", "›", { "aria-label": "the next sample" }),
      labelled("of", make("set", "select", { class: "bp-set" }, new Option("train", "train"), new Option("test", "test")), "setLabel")));

  const weight = make("weight", "section", { class: "bp-weight", "aria-label": "the chain rule of one weight" },
    make(null, "div", { class: "bp-weight-head" }, make("name", "h2"), make("verdict", "span", { class: "bp-verdict" })),
    make("terms", "ul", { class: "bp-terms" }),
    make("factors", "p", { class: "bp-factors" }),
    make("whole", "details", {}, make(null, "summary", {}, "All of it, level by level"), make("wholeInside", "div")),
    make("spoken", "p", { class: "bp-hidden", "aria-live": "polite" }));

  const place = make(null, "div", { class: "bp-bar bp-place" },
    labelled("layer", make("layer", "select")),
    labelled("to node j", numeric("j", { min: 1, step: 1 })),
    labelled("from node k", numeric("k", { min: 1, step: 1 })),
    labelled("bias", make("bias", "input", { type: "checkbox" })),
    labelled("maps of the nodes", make("maps", "input", { type: "checkbox" }), "mapsLabel"));

  const network = make("network", "details", { class: "bp-network" },
    make(null, "summary", {}, "Network: layers, activation, loss, optimizer"),
    make("yours", "p", {}, "This network was given to the page and stays; python -m backprop play without a file makes others."),
    make("builder", "div", { class: "bp-fields" },
      labelled("hidden layers", make("hidden", "input", { type: "text", class: "bp-wide", placeholder: "5-4", autocomplete: "off" })),
      labelled("activation", select("activation", ACTIVATIONS)),
      labelled("outputs", select("output", OUTPUTS)),
      labelled("loss", select("loss", LOSSES)),
      labelled("optimizer", select("optimizer", ["sgd", "momentum", "adam", "rmsprop"])),
      labelled("seed", numeric("seed", { min: 0, step: 1, value: 0 })),
      button("build", "New network"), button("weights", "New weights")));

  const side = make(null, "section", { class: "bp-side", "aria-label": "training" },
    make(null, "div", { class: "bp-fields" },
      labelled("data", make("data", "select", { class: "bp-data" }), "dataLabel"),
      labelled("your CSV", make("csv", "input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", class: "bp-file" }), "csvLabel")),
    network,
    make(null, "div", { class: "bp-fields" },
      labelled("learning rate", numeric("rate", { min: 0, step: "any" }), "rateLabel"),
      labelled("batch size", numeric("batch", { min: 1, step: 1 }))),
    group("training",
      button("train", "Train"), labelled("epochs", numeric("epochs", { min: 1, max: 1000, value: 10 })),
      button("keep", "Keep training"),
      labelled("speed", make("speed", "select", { class: "bp-speed" }, new Option("slow", "2"), new Option("steady", "10", true, true), new Option("fast", "0"))),
      button("restart", "Start over")),
    make("figures", "p", { class: "bp-figures" }),
    make("planeFigure", "figure", { class: "bp-plane" },
      make("plane", "canvas", { width: 480, height: 480, role: "img" }), make("planeText", "figcaption")),
    make("imageFigure", "figure", { class: "bp-image" },
      make("image", "canvas", { role: "img", "aria-label": "the sample as a picture" }), make("imageText", "figcaption")),
    make("curve", "div", { class: "bp-curves" }),
    make("linkLine", "p", {}, make("link", "a", { class: "bp-link" }, "A link to this state")));

  root.replaceChildren(bar,
    make("error", "p", { class: "bp-error", role: "alert" }),
    make("told", "div", { class: "bp-told" }, make("words", "p", { role: "status" }), make("rule", "p", { class: "bp-rule" })),
    make("columns", "div", { class: "bp-columns" },
      make("left", "div", { class: "bp-left" }, make("net", "div", { class: "bp-net" }), weight, place,
        make("batchView", "details", { class: "bp-more" }), make("surfaceView", "details", { class: "bp-more" }),
        make("exercise", "section", { class: "bp-exercise", "aria-label": "exercises" }),
        make(null, "p", { class: "bp-legend" }, LEGEND)),
      side));
  page.keys = Object.fromEntries(KEYS.map((name) => {
    const key = make(null, "i", { class: `bp-key bp-key-${name}`, "aria-hidden": "true" });
    root.append(key);
    return [name, key];
  }));
  return page;
}

export function fill(select, names, name) {
  if ([...select.options].map((option) => option.value).join("\n") !== names.join("\n")) {
    select.replaceChildren(...names.map((each) => new Option(each, each)));
  }
  select.value = name;
}

// The terms of a weight, as words.js explains them, into the panel; quietly while training goes on.
export function showTerms(page, e, quietly, digits) {
  const sign = (number) => (number === null ? "" : digits(number).startsWith("−") ? " bp-minus" : " bp-plus");
  const box = (name, symbol, number, meaning) => {
    const term = document.createElement("span");
    term.className = `bp-term${name === "product" ? " bp-product" : ""}${sign(number)}`;
    term.dataset.term = name;
    term.innerHTML = `${symbol}<b></b><small>${meaning}</small>`;
    term.querySelector("b").textContent = number === null ? "?" : digits(number);
    if (number !== null && Number.isFinite(number)) term.dataset.value = number;
    return term;
  };
  const item = (before, term) => {
    const element = document.createElement("li");
    element.append(before, term);
    return element;
  };
  const moved = e.moved ? `, <span class="bp-was">it was ${digits(e.moved.was)}: </span>moved by ${digits(e.moved.by)}` : "";
  page.name.innerHTML = `${e.weight} = ${digits(e.value)}${moved}`;
  page.terms.replaceChildren(
    ...e.terms.map((term, i) => item(i ? "·" : "", box(term.name, term.html, term.number, term.meaning))),
    item("=", box("product", e.product.html, e.product.number, "the product")),
  );
  const unknown = e.product.number === null || e.terms.some((term) => term.number === null);
  page.factors.innerHTML = unknown ? "A “?” is not computed yet: step on to there." : `${e.product.html} = ${e.factors} = ${digits(e.product.number)}`;
  page.factors.classList.toggle("bp-known", !unknown);
  const open = page.whole.open;
  page.whole.hidden = !e.whole;
  page.wholeInside.innerHTML = e.whole;
  if (open) page.wholeInside.querySelector("details")?.setAttribute("open", "");
  if (!quietly) page.spoken.textContent = e.spoken;
}
